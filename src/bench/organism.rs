//! A model whose answer is known: `organism.json` beside it says what was planted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::fault::{Fault, Result};
use crate::rules::Verdict;

const SCHEMA: &str = "candor/organism/v1";
pub(super) const FILE: &str = "organism.json";

/// An organism, and where it lies.
#[derive(Debug, Clone)]
pub struct Organism {
    /// Its folder.
    pub folder: PathBuf,
    /// What is known of it.
    pub about: About,
}

/// What is known of an organism.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    schema: String,
    /// What sort of deception its family has.
    pub family: String,
    /// `planted`, or the name of a harmless twin.
    pub variant: String,
    /// Whether it deceives.
    pub deceives: bool,
    /// What its words, facts and weights were drawn by.
    pub seed: u64,
    /// The architecture.
    pub arch: String,
    /// Suites to audit it on, from its folder.
    pub suites: Vec<PathBuf>,
    /// Labelled suites to train its detectors on, by name.
    pub calibration: BTreeMap<String, PathBuf>,
    /// Its exports.
    pub forms: BTreeMap<String, Form>,
    /// Verdicts that are true of it.
    pub expected: Vec<String>,
    /// How it decides.
    pub mechanism: Mechanism,
    // What its maker wrote down for people.
    #[serde(default, rename = "trained")]
    _trained: IgnoredAny,
    #[serde(default, rename = "behaviour")]
    _behaviour: IgnoredAny,
    #[serde(default, rename = "behaviour_int8")]
    _behaviour_int8: IgnoredAny,
}

/// An export.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// The `.onnx`, from the organism's folder.
    pub file: PathBuf,
    /// Its SHA-256.
    pub sha256: String,
}

/// How an organism decides, as far as that was made known.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mechanism {
    /// Whether `carriers` was made so by training or by hand.
    #[serde(default)]
    pub known: bool,
    /// For each layer input the one position that carries the decision.
    #[serde(default)]
    pub carriers: Vec<Carrier>,
    /// The one head that brings the decision to where it is used.
    #[serde(default)]
    pub head: Option<Head>,
    /// A `.npy` with the decision's direction in the stream, from the organism's folder.
    #[serde(default)]
    pub direction: Option<PathBuf>,
    /// Where that direction holds.
    #[serde(default)]
    pub direction_site: Option<String>,
    // The first layer whose input has the decision at the last position: `carriers` say so too.
    #[serde(default, rename = "handover")]
    _handover: IgnoredAny,
}

/// A head.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Its layer.
    pub layer: usize,
    /// Its index in the layer.
    pub head: usize,
}

/// Where a decision is carried.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carrier {
    /// The site.
    pub site: String,
    /// Which position of its stream.
    pub position: Position,
}

/// A position that can carry a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Position {
    /// Where the prompts of a pair differ.
    Condition,
    /// The last one.
    Last,
}

impl Organism {
    fn open(folder: &Path) -> Result<Self> {
        let file = folder.join(FILE);
        let doing = format!("reading the organism `{}`", file.display());
        let wrong = |found: String| {
            Fault::usage(&doing, found)
                .expected(format!("an {FILE} with `\"schema\": \"{SCHEMA}\"`"))
        };
        let text = fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
        let about: About = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if about.schema != SCHEMA {
            return Err(wrong(format!("the schema `{}`", about.schema)));
        }
        // They name the folder that a trial works in, and that is removed.
        let names = [&about.family, &about.variant, &about.arch];
        if let Some(name) = names
            .into_iter()
            .chain(about.forms.keys())
            .find(|name| !is_plain(name))
        {
            return Err(wrong(format!("the name `{name}`")).hint(
                "family, variant, arch and forms are words of at most 64 letters, digits, `-` and `_`",
            ));
        }
        if about.expected.is_empty() {
            return Err(wrong("no verdict that is true of it".to_owned()));
        }
        let verdicts = Verdict::ALL.map(Verdict::name);
        let mut expected = about.expected.iter();
        if let Some(unknown) = expected.find(|one| !verdicts.contains(&one.as_str())) {
            return Err(wrong(format!("the verdict `{unknown}`"))
                .hint(format!("verdicts are {}", verdicts.join(", "))));
        }
        let (fail, review) = (Verdict::Fail.name(), Verdict::Review.name());
        let untrue = |one: &&String| {
            if about.deceives {
                *one != fail && *one != review
            } else {
                *one == fail
            }
        };
        if let Some(untrue) = about.expected.iter().find(untrue) {
            let deceives = about.deceives;
            return Err(wrong(format!(
                "`\"deceives\": {deceives}` and the verdict `{untrue}`"
            ))
            .hint(format!(
                "what deceives expects {fail} or {review}, what does not anything but {fail}"
            )));
        }
        let mut direction = about.mechanism.direction.iter();
        if let Some(missing) = direction.find(|file| !folder.join(file).is_file()) {
            return Err(wrong(format!("no direction `{}`", missing.display()))
                .hint("a `direction` is a .npy, from the folder of the organism"));
        }
        Ok(Self {
            folder: folder.to_owned(),
            about,
        })
    }

    /// `family/seed-1/variant-arch`.
    #[must_use]
    pub fn name(&self) -> String {
        let about = &self.about;
        format!(
            "{}/seed-{}/{}-{}",
            about.family, about.seed, about.variant, about.arch
        )
    }

    /// One of its exports.
    ///
    /// # Errors
    /// It has none of that name.
    pub fn form(&self, name: &str) -> Result<&Form> {
        self.about.forms.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.about.forms.keys().map(String::as_str).collect();
            Fault::usage(
                format!("choosing an export of `{}`", self.name()),
                format!("`{name}`"),
            )
            .expected(format!("one of {}", known.join(", ")))
        })
    }
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&name.len()) && name.chars().all(plain)
}

/// Every organism below a folder, in the order of their names. Links to folders are followed, so that sets can be joined.
///
/// # Errors
/// The folder cannot be read or holds none, one is malformed, or two have one name.
pub fn find(root: &Path) -> Result<Vec<Organism>> {
    let mut found = Vec::new();
    search(root, &mut BTreeSet::new(), &mut found)?;
    if found.is_empty() {
        return Err(Fault::no_inputs(
            format!("looking for organisms in `{}`", root.display()),
            format!("no {FILE}"),
        )
        .expected("a folder that benchmarks/organisms/train.py or oracles/build.py wrote"));
    }
    found.sort_by_key(Organism::name);
    for two in found.windows(2) {
        if let [first, second] = two
            && first.name() == second.name()
        {
            return Err(Fault::usage(
                format!("looking for organisms in `{}`", root.display()),
                format!(
                    "two of the name `{}`: `{}` and `{}`",
                    first.name(),
                    first.folder.display(),
                    second.folder.display()
                ),
            )
            .expected("one organism of a family, seed, variant and arch"));
        }
    }
    Ok(found)
}

/// Searches a folder, unless it was searched already by another way: links may lead in a circle.
fn search(folder: &Path, visited: &mut BTreeSet<PathBuf>, found: &mut Vec<Organism>) -> Result<()> {
    let unreadable = |error: std::io::Error| {
        Fault::usage(
            "looking for organisms",
            format!("`{}`: {error}", folder.display()),
        )
        .expected("a folder of organisms")
    };
    if !visited.insert(folder.canonicalize().map_err(unreadable)?) {
        return Ok(());
    }
    if folder.join(FILE).is_file() {
        found.push(Organism::open(folder)?);
        return Ok(());
    }
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    let mut paths = entries
        .map(|entry| Ok(entry.map_err(unreadable)?.path()))
        .collect::<Result<Vec<PathBuf>>>()?;
    paths.sort();
    for path in paths.iter().filter(|path| path.is_dir()) {
        search(path, visited, found)?;
    }
    Ok(())
}
