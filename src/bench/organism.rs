//! A model whose answer is known: `organism.json` beside it says what was planted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::fault::{Fault, Result};

const SCHEMA: &str = "candor/organism/v1";
const FILE: &str = "organism.json";

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
}

/// An export.
#[derive(Debug, Clone, Deserialize)]
pub struct Form {
    /// The `.onnx`, from the organism's folder.
    pub file: PathBuf,
    /// Its SHA-256.
    pub sha256: String,
}

/// How an organism decides, as far as that was made known.
#[derive(Debug, Clone, Default, Deserialize)]
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
}

/// A head.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// Its layer.
    pub layer: usize,
    /// Its index in the layer.
    pub head: usize,
}

/// Where a decision is carried.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Carrier {
    /// The site.
    pub site: String,
    /// `condition` (where the prompts of a pair differ) or `last`.
    pub position: String,
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
                "family, variant, arch and forms are words of letters, digits, `-` and `_`",
            ));
        }
        if about.expected.is_empty() {
            return Err(wrong("no verdict that is true of it".to_owned()));
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
    !name.is_empty() && name.chars().all(plain)
}

/// Every organism below a folder, in the order of their names.
///
/// # Errors
/// The folder cannot be read or holds none, or one is malformed.
pub fn find(root: &Path) -> Result<Vec<Organism>> {
    let mut found = Vec::new();
    search(root, &mut found)?;
    if found.is_empty() {
        return Err(Fault::no_inputs(
            format!("looking for organisms in `{}`", root.display()),
            format!("no {FILE}"),
        )
        .expected("a folder that benchmarks/organisms/train.py or oracles/build.py wrote"));
    }
    found.sort_by_key(Organism::name);
    Ok(found)
}

fn search(folder: &Path, found: &mut Vec<Organism>) -> Result<()> {
    let unreadable = |error: std::io::Error| {
        Fault::usage(
            "looking for organisms",
            format!("`{}`: {error}", folder.display()),
        )
        .expected("a folder of organisms")
    };
    if folder.join(FILE).is_file() {
        found.push(Organism::open(folder)?);
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            search(&path, found)?;
        }
    }
    Ok(())
}
