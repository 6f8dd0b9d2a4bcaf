//! One trial: detectors trained, the model audited, and what was found beside what is true.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use ndarray::Array1;
use serde::{Deserialize, Serialize};

use super::cut::cut;
use super::heads::{self, HeadFound};
use super::organism::Organism;
use super::{Cell, Request, absolute};
use crate::detect::Detector;
use crate::digest::sha256_of_file;
use crate::evidence::{CellEffect, arrival};
use crate::fault::{Fault, Result};
use crate::interrupt;
use crate::report::{AuditReport, MapExhibit, ModelAudit, PositionClass, json};
use crate::tokens::{Purpose, Suite};

/// What a trial found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trial {
    /// Family, seed, variant, architecture, export, items and run, as a path.
    pub name: String,
    /// The family.
    pub family: String,
    /// `planted`, or the name of a harmless twin.
    pub variant: String,
    /// Whether the organism deceives.
    pub deceives: bool,
    /// The organism's seed.
    pub organism_seed: u64,
    /// The architecture.
    pub arch: String,
    /// The export.
    pub form: String,
    /// Items that the contrast suite was cut to.
    pub items: Option<usize>,
    /// Seed of training and audit.
    pub seed: u64,
    /// Verdicts that are true of the organism.
    pub expected: Vec<String>,
    /// The verdict that was reached; `None` if the work failed.
    pub verdict: Option<String>,
    /// The verdict of each rule.
    pub rules: BTreeMap<String, String>,
    /// Rules whose representation block holds.
    pub represented: Vec<String>,
    /// Kinds of detectors by what they are used for.
    pub detectors: BTreeMap<String, String>,
    /// Why there is no verdict.
    pub error: Option<String>,
    /// Where patching found the decision, for each mode.
    pub peaks: Vec<Peak>,
    /// Layer inputs at which the position with the largest effect is the true one, and how many there are; `None` where no map was made or
    /// the truth is not known.
    pub layers: Option<[usize; 2]>,
    /// The head whose patch does most, where it is known which one decides.
    pub head: Option<HeadFound>,
    /// The condition probe.
    pub probe: Option<ProbeFound>,
    /// Seconds of training.
    pub train_seconds: f64,
    /// Seconds of the audit.
    pub audit_seconds: f64,
    /// SHA-256 of the model.
    pub model_sha256: String,
    /// SHA-256 over what else it hangs on: Candor's deciding code, recipe, rules, suites.
    pub basis: String,
    /// Version of Candor.
    pub version: String,
}

/// The place at which patching shows the decision to arrive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// `denoising` or `noising`.
    pub mode: String,
    /// The site.
    pub site: String,
    /// `condition`, `last` or `elsewhere`.
    pub position: String,
    /// Share of the whole effect.
    pub effect: f64,
    /// Whether the decision is carried there; `None` where that is not known.
    pub right: Option<bool>,
}

/// What the condition probe is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeFound {
    /// Its kind.
    pub kind: String,
    /// Where it reads.
    pub site: String,
    /// AUROC between the conditions of the audit's own suite.
    pub auroc: Option<f64>,
    /// Absolute cosine of its direction with the true one, where that is known at this site.
    pub cosine: Option<f64>,
}

impl Trial {
    /// Whether the verdict is one that is true of the organism.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.verdict
            .as_ref()
            .is_some_and(|verdict| self.expected.contains(verdict))
    }
}

/// Makes a trial. A command that fails is a result; work that cannot be done at all is an error.
pub(super) fn make(request: &Request, cell: &Cell<'_>, basis: &str) -> Result<Trial> {
    let about = &cell.organism.about;
    let form = cell.organism.form(cell.form)?;
    let model = absolute(&cell.organism.folder.join(&form.file))?;
    check(&model, &form.sha256)?;
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
        suites: suites(cell, &work)?,
        detectors: work.join("detectors"),
        out: work.join("audit"),
    };
    let mut trial = Trial {
        name: cell.name(),
        family: about.family.clone(),
        variant: about.variant.clone(),
        deceives: about.deceives,
        organism_seed: about.seed,
        arch: about.arch.clone(),
        form: cell.form.to_owned(),
        items: cell.items,
        seed: cell.seed,
        expected: about.expected.clone(),
        verdict: None,
        rules: BTreeMap::new(),
        represented: Vec::new(),
        detectors: BTreeMap::new(),
        error: None,
        peaks: Vec::new(),
        layers: None,
        head: None,
        probe: None,
        train_seconds: 0.0,
        audit_seconds: 0.0,
        model_sha256: form.sha256.clone(),
        basis: basis.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
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

fn check(model: &Path, sha256: &str) -> Result<()> {
    let doing = format!("opening the organism `{}`", model.display());
    let (found, _) =
        sha256_of_file(model).map_err(|error| Fault::usage(&doing, error.to_string()))?;
    if found == sha256 {
        return Ok(());
    }
    Err(Fault::usage(&doing, format!("SHA-256 {found}"))
        .expected(format!("{sha256}, as its organism.json says"))
        .hint("make the organism again"))
}

/// The suites of the audit, the contrast suite cut if that is asked for.
fn suites(cell: &Cell<'_>, work: &Path) -> Result<Vec<PathBuf>> {
    let folder = &cell.organism.folder;
    let suites = cell
        .organism
        .about
        .suites
        .iter()
        .map(|suite| absolute(&folder.join(suite)));
    let mut suites = suites.collect::<Result<Vec<PathBuf>>>()?;
    if let Some(items) = cell.items {
        for path in &mut suites {
            let suite = Suite::open(path)?;
            if suite.purpose == Purpose::Contrast {
                let folder = work.join(format!("suite-{}", suite.id));
                cut(&suite, items, &folder)?;
                *path = folder;
            }
        }
    }
    Ok(suites)
}

struct Bench<'a> {
    request: &'a Request,
    cell: &'a Cell<'a>,
    model: PathBuf,
    suites: Vec<PathBuf>,
    detectors: PathBuf,
    out: PathBuf,
}

impl Bench<'_> {
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
        self.read(&json::read(&text)?, trial)
    }

    fn audit(&self) -> Vec<String> {
        let mut words = vec!["audit".to_owned(), "--model".to_owned(), shown(&self.model)];
        words.push("--suite".to_owned());
        words.extend(self.suites.iter().map(|suite| shown(suite)));
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

    /// A word of a command with paths in the place of names in braces.
    fn filled(&self, word: &str) -> Result<String> {
        let organism = self.cell.organism;
        let of_folder = |path: &Path| Ok(shown(&absolute(&organism.folder.join(path))?));
        let Some((before, rest)) = word.split_once('{') else {
            return Ok(word.to_owned());
        };
        let unknown = |name: &str| {
            let known: Vec<&str> = organism
                .about
                .calibration
                .keys()
                .map(String::as_str)
                .collect();
            Fault::usage("reading the recipe", format!("`{{{name}}}`")).expected(format!(
                "{{model}}, {{control}}, {{out}}, {{seed}}, {{site:NAME}}, or a calibration suite: {}",
                known.join(", ")
            ))
        };
        let (name, after) = rest.split_once('}').ok_or_else(|| unknown(rest))?;
        let value = match name {
            "model" => shown(&self.model),
            "out" => shown(&self.detectors),
            "seed" => self.cell.seed.to_string(),
            "control" => match self.control()? {
                Some(control) => shown(&control),
                None => return Err(unknown(name)),
            },
            _ => match (
                name.strip_prefix("site:"),
                organism.about.calibration.get(name),
            ) {
                (Some(detector), _) => Detector::open(&self.detectors.join(detector))?
                    .card
                    .site
                    .to_string(),
                (None, Some(suite)) => of_folder(suite)?,
                (None, None) => return Err(unknown(name)),
            },
        };
        Ok(format!("{before}{value}{}", self.filled(after)?))
    }

    fn control(&self) -> Result<Option<PathBuf>> {
        for path in &self.suites {
            if Suite::open(path)?.purpose == Purpose::Control {
                return Ok(Some(path.clone()));
            }
        }
        Ok(None)
    }

    fn candor(&self, words: &[String]) -> Result<()> {
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

    fn read(&self, report: &AuditReport, trial: &mut Trial) -> Result<()> {
        let Some(model) = report.models.first() else {
            return Err(Fault::failed("reading the report of a trial", "no model"));
        };
        trial.verdict = Some(model.verdict.to_string());
        for finding in &model.findings {
            trial
                .rules
                .insert(finding.rule.clone(), finding.verdict.to_string());
            let mut blocks = finding.blocks.iter();
            if blocks.any(|block| block.name == "representation" && block.holds == Some(true)) {
                trial.represented.push(finding.rule.clone());
            }
        }
        for detector in &model.detectors {
            trial
                .detectors
                .insert(detector.role.clone(), detector.kind.clone());
        }
        let organism = self.cell.organism;
        trial.peaks = model
            .exhibits
            .maps
            .iter()
            .filter_map(|map| peak(map, organism))
            .collect();
        trial.layers = layers(model, organism);
        trial.head = self.head(model)?;
        trial.probe = self.probe(model)?;
        Ok(())
    }

    fn head(&self, model: &ModelAudit) -> Result<Option<HeadFound>> {
        let Some(truth) = &self.cell.organism.about.mechanism.head else {
            return Ok(None);
        };
        let (pairs, map) = (
            self.out.with_file_name("pairs.jsonl"),
            self.out.with_file_name("heads.json"),
        );
        if !heads::write_pairs(model, &pairs)? {
            return Ok(None);
        }
        let [model, pairs, out] = [&self.model, &pairs, &map].map(|path| shown(path));
        let words = [
            "patch", &model, "--pairs", &pairs, "--by", "head", "--out", &out,
        ];
        self.candor(&words.map(str::to_owned))?;
        heads::strongest(&map, truth)
    }

    fn probe(&self, model: &ModelAudit) -> Result<Option<ProbeFound>> {
        let Some(record) = model.detectors.iter().find(|one| one.role == "condition") else {
            return Ok(None);
        };
        let mechanism = &self.cell.organism.about.mechanism;
        let cosine = match (&mechanism.direction, &mechanism.direction_site) {
            (Some(file), Some(site)) if *site == record.site => {
                let truth = self.cell.organism.folder.join(file);
                let truth: Array1<f32> = ndarray_npy::read_npy(&truth).map_err(|error| {
                    Fault::usage(format!("reading `{}`", truth.display()), error.to_string())
                        .expected("a direction in the stream, float32 [d_model]")
                })?;
                let found = Detector::open(Path::new(&record.path))?.direction(None)?;
                cosine(&found.vector, &truth)
            }
            _ => None,
        };
        Ok(Some(ProbeFound {
            kind: record.kind.clone(),
            site: record.site.clone(),
            auroc: record.auroc.map(|auroc| auroc.point),
            cosine,
        }))
    }
}

fn cosine(a: &Array1<f32>, b: &Array1<f32>) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let dot = |a: &Array1<f32>, b: &Array1<f32>| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    Some((dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()).abs())
}

/// What every position does at one site: the one with the largest mean effect.
fn strongest(map: &MapExhibit, site: usize) -> Option<(PositionClass, f64)> {
    let cells = map.columns.iter().zip(map.cells.get(site)?);
    cells
        .filter_map(|(class, cell)| Some((*class, map.mode.effect(cell.as_ref()?.point))))
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The place of a map at which the decision arrives. The embedding is left out, as rules leave it out: changing it is changing the prompt.
fn peak(map: &MapExhibit, organism: &Organism) -> Option<Peak> {
    let rows = map.sites.iter().zip(&map.cells).enumerate().skip(1);
    let cells = rows.flat_map(|(row, (site, cells))| {
        let cells = map.columns.iter().zip(cells);
        cells.filter_map(move |(class, cell)| {
            Some(CellEffect {
                cell: (site, *class),
                row,
                at_answer: *class == PositionClass::Last,
                effect: map.mode.effect(cell.as_ref()?.point),
            })
        })
    });
    let arrived = arrival(cells)?;
    let ((site, class), effect) = (arrived.cell, arrived.effect);
    let mechanism = &organism.about.mechanism;
    let position = position(class);
    let carried = |carrier: &super::Carrier| carrier.site == *site && carrier.position == position;
    Some(Peak {
        mode: map.mode.name().to_owned(),
        site: site.clone(),
        position: position.to_owned(),
        effect,
        right: mechanism
            .known
            .then(|| mechanism.carriers.iter().any(carried)),
    })
}

/// Layer inputs at which both modes name the position that carries the decision.
fn layers(model: &ModelAudit, organism: &Organism) -> Option<[usize; 2]> {
    let mechanism = &organism.about.mechanism;
    if !mechanism.known || model.exhibits.maps.is_empty() {
        return None;
    }
    let (mut right, mut of) = (0, 0);
    for map in &model.exhibits.maps {
        for (at, site) in map.sites.iter().enumerate() {
            let truth = mechanism
                .carriers
                .iter()
                .find(|carrier| carrier.site == *site);
            if let (Some(truth), Some((class, _))) = (truth, strongest(map, at)) {
                of += 1;
                right += usize::from(position(class) == truth.position);
            }
        }
    }
    (of > 0).then_some([right, of])
}

fn position(class: PositionClass) -> &'static str {
    match class {
        PositionClass::Differing => "condition",
        PositionClass::Last => "last",
        PositionClass::Elsewhere => "elsewhere",
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
