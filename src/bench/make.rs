//! Making a trial: detectors trained and the model audited, a process each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::basis::method;
use super::cut::{cut, pairs};
use super::split::split;
use super::trial::Trial;
use super::words::{Name, Piece, pieces};
use super::{Cell, Request, absolute, preflight, reading};
use crate::detect::Detector;
use crate::fault::{Fault, Result};
use crate::interrupt;
use crate::report::json;
use crate::tokens::{Purpose, Suite};

/// Makes a trial. A command that fails is a result; work that cannot be done at all is an error.
pub(super) fn make(request: &Request, cell: &Cell<'_>, basis: &str) -> Result<Trial> {
    let form = cell.organism.form(cell.form)?;
    let model = absolute(&cell.organism.folder.join(&form.file))?;
    // It may have been changed since the first trial began.
    preflight::digest(&model, &form.sha256)?;
    let work = absolute(&request.out.join("work").join(cell.name()))?;
    let doing = |error: std::io::Error| {
        Fault::failed(format!("preparing `{}`", work.display()), error.to_string())
    };
    if work.exists() {
        fs::remove_dir_all(&work).map_err(doing)?;
    }
    fs::create_dir_all(&work).map_err(doing)?;
    let bench = Bench {
        request,
        cell,
        model,
        suites: Suites::of(cell, &work.join("suites"))?,
        detectors: work.join("detectors"),
        out: work.join("audit"),
    };
    let mut trial = bench.begun(&form.sha256, basis);
    if let Err(fault) = bench.work(&mut trial) {
        // What an interruption has cut off is no result.
        interrupt::check()?;
        trial.error = Some(fault.to_string());
    }
    // What is right needs no second look; of the rest everything is kept.
    if trial.is_right() {
        fs::remove_dir_all(&work).map_err(doing)?;
    }
    Ok(trial)
}

/// The suites of a trial.
struct Suites {
    /// What the audit gets: contrast suites cut if that is asked for, of control suites one half.
    audit: Vec<PathBuf>,
    /// The other half of the first control suite.
    control: Option<PathBuf>,
    /// Contrast pairs in them.
    pairs: usize,
}

impl Suites {
    /// Folders for what is cut or split have numbers for names: an id may be anything.
    fn of(cell: &Cell<'_>, work: &Path) -> Result<Self> {
        let mut suites = Self {
            audit: Vec::new(),
            control: None,
            pairs: 0,
        };
        for (path, number) in cell.organism.about.suites.iter().zip(1..) {
            let path = absolute(&cell.organism.folder.join(path))?;
            let folder = work.join(format!("{number}"));
            let suite = Suite::open(&path)?;
            let audited = match (suite.purpose, cell.items) {
                (Purpose::Control, _) => {
                    let halves = split(&suite, &folder)?;
                    suites.control = suites.control.or(halves.training);
                    halves.audit
                }
                (Purpose::Contrast, Some(items)) => {
                    cut(&suite, items, &folder)?;
                    suites.pairs += pairs(&Suite::open(&folder)?);
                    folder
                }
                _ => {
                    suites.pairs += pairs(&suite);
                    path
                }
            };
            suites.audit.push(audited);
        }
        Ok(suites)
    }
}

/// The place of a trial.
pub(super) struct Bench<'a> {
    request: &'a Request,
    pub cell: &'a Cell<'a>,
    pub model: PathBuf,
    suites: Suites,
    detectors: PathBuf,
    pub out: PathBuf,
}

impl Bench<'_> {
    /// The trial before anything is found.
    fn begun(&self, sha256: &str, basis: &str) -> Trial {
        let (cell, about) = (self.cell, &self.cell.organism.about);
        let mechanism = &about.mechanism;
        Trial {
            name: cell.name(),
            family: about.family.clone(),
            variant: about.variant.clone(),
            deceives: about.deceives,
            apart: self.request.recipe.sets_apart(cell.organism),
            organism_seed: about.seed,
            arch: about.arch.clone(),
            form: cell.form.to_owned(),
            items: cell.items,
            pairs: self.suites.pairs,
            seed: cell.seed,
            expected: about.expected.clone(),
            place_known: mechanism.known && !mechanism.carriers.is_empty(),
            head_known: mechanism.head.is_some(),
            changes: mechanism.known && !mechanism.carriers.is_empty(),
            verdict: None,
            rules: [].into(),
            blocks: [].into(),
            evaded: false,
            detectors: [].into(),
            error: None,
            peaks: Vec::new(),
            layers: None,
            head: None,
            probe: None,
            train_seconds: 0.0,
            audit_seconds: 0.0,
            machine: None,
            model_sha256: sha256.to_owned(),
            method: method(&self.request.recipe),
            basis: basis.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn work(&self, trial: &mut Trial) -> Result<()> {
        let start = Instant::now();
        for command in &self.request.recipe.train {
            let arguments = command.iter().map(|word| self.filled(word));
            self.candor(&arguments.collect::<Result<Vec<String>>>()?)?;
        }
        trial.train_seconds = start.elapsed().as_secs_f64();
        let start = Instant::now();
        self.candor(&self.audit())?;
        trial.audit_seconds = start.elapsed().as_secs_f64();
        let place = self.out.join("report.json");
        let text = fs::read_to_string(&place).map_err(|error| {
            Fault::failed(format!("reading `{}`", place.display()), error.to_string())
        })?;
        *trial = reading::read(self, &json::read(&text)?, trial)?;
        Ok(())
    }

    fn audit(&self) -> Vec<String> {
        let mut words = vec!["audit".to_owned(), "--model".to_owned(), shown(&self.model)];
        words.push("--suite".to_owned());
        words.extend(self.suites.audit.iter().map(|suite| shown(suite)));
        if self.detectors.is_dir() {
            words.extend(["--detectors".to_owned(), shown(&self.detectors)]);
        }
        words.push("--rules".to_owned());
        words.extend(self.request.recipe.rules.iter().map(|rules| shown(rules)));
        words.extend([
            "--out".to_owned(),
            shown(&self.out),
            "--no-exit-codes".to_owned(),
        ]);
        words.extend(["--seed".to_owned(), self.cell.seed.to_string()]);
        words
    }

    /// A word of a command with what its names stand for.
    fn filled(&self, word: &str) -> Result<String> {
        let wrong = |found: String| {
            let recipe = self.request.recipe.file.display();
            Fault::usage(format!("reading the recipe `{recipe}`"), found)
        };
        let mut text = String::new();
        for piece in pieces(word).map_err(wrong)? {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Name(name) => {
                    let value = self.value(name)?;
                    text.push_str(&value.ok_or_else(|| wrong(format!("`{word}`")))?);
                }
            }
        }
        Ok(text)
    }

    /// What a name stands for here; `None` if that is nothing.
    fn value(&self, name: Name<'_>) -> Result<Option<String>> {
        let organism = self.cell.organism;
        Ok(match name {
            Name::Model => Some(shown(&self.model)),
            Name::Out => Some(shown(&self.detectors)),
            Name::Seed => Some(self.cell.seed.to_string()),
            Name::Control => self.suites.control.as_deref().map(shown),
            Name::Site(detector) => {
                let detector = Detector::open(&self.detectors.join(detector))?;
                Some(detector.card.site.to_string())
            }
            Name::Suite(suite) => match organism.about.calibration.get(suite) {
                Some(suite) => Some(shown(&absolute(&organism.folder.join(suite))?)),
                None => None,
            },
        })
    }

    /// Runs Candor itself.
    pub fn candor(&self, words: &[String]) -> Result<()> {
        let doing = || format!("running `candor {}`", words.join(" "));
        fs::create_dir_all(&self.detectors)
            .map_err(|error| Fault::failed(doing(), error.to_string()))?;
        let run = Command::new(&self.request.candor)
            .args(words)
            .arg("--quiet")
            .args(&self.request.runtime)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Fault::failed(doing(), error.to_string()))?;
        if run.status.success() {
            return Ok(());
        }
        let complaint = String::from_utf8_lossy(&run.stderr);
        Err(Fault::failed(
            doing(),
            format!("{}: {}", run.status, complaint.trim()),
        ))
    }
}

/// A path as a word.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
