//! How organisms are audited: the commands that train detectors, and the rules. The same for all of them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::organism::Organism;
use super::words::{KNOWN, Name, names, pieces};
use crate::digest::Running;
use crate::fault::{Fault, Result};
use crate::rules::RulePack;

const SCHEMA: &str = "candor/bench/v1";
const KEYS: &str = "keys schema (candor/bench/v1), rules, train (a list of commands), apart (a list of variants that are counted nowhere)";
/// The commands that make detectors.
const MAKERS: [&str; 2] = ["train", "detectors"];

/// A recipe.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The file.
    pub file: PathBuf,
    /// Commands of Candor, one after the other, before an audit. `{model}`, `{control}`, `{out}` and the names of calibration suites in braces
    /// stand for paths; `{site:NAME}` for the site that the detector `{out}/NAME` reads.
    pub train: Vec<Vec<String>>,
    /// Rule files or folders.
    pub rules: Vec<PathBuf>,
    apart: Vec<Apart>,
    digest: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    schema: String,
    rules: Vec<PathBuf>,
    train: Vec<Vec<String>>,
    #[serde(default)]
    apart: Vec<Apart>,
}

/// A variant that is neither planted nor harmless: what it does is shown, and counted nowhere.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Apart {
    family: String,
    variant: String,
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// The file or a rule is missing or malformed, there is no command or no rule, a command makes no detector, or a brace is not closed.
    pub fn open(path: &Path) -> Result<Self> {
        let wrong = |found: String| wrong(path, found).expected(KEYS);
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let wire: Wire = serde_yaml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if wire.schema != SCHEMA {
            return Err(wrong(format!("the schema `{}`", wire.schema)));
        }
        let empty = [
            ("rules", wire.rules.is_empty()),
            ("train", wire.train.is_empty()),
        ];
        if let Some((key, _)) = empty.into_iter().find(|(_, empty)| *empty) {
            return Err(wrong(format!("`{key}`, an empty list")));
        }
        commands(path, &wire.train)?;
        let rules: Vec<PathBuf> = wire
            .rules
            .iter()
            .map(|rules| path.with_file_name("").join(rules))
            .collect();
        let mut digest = Running::default();
        digest.add(text.as_bytes());
        let pack = RulePack::open(&rules)?;
        for file in &pack.files {
            // What was measured of rules does not change what they say.
            if pack.certificates.iter().any(|one| one.file == file.path) {
                continue;
            }
            let bytes = fs::read(&file.path).map_err(|error| wrong(error.to_string()))?;
            digest.add(&bytes);
        }
        Ok(Self {
            file: path.to_owned(),
            train: wire.train,
            rules,
            apart: wire.apart,
            digest: digest.finish(),
        })
    }

    /// SHA-256 over the recipe and its rules: what else a result hangs on, beside the model. Certificates of the rules are left out.
    #[must_use]
    pub fn digest(&self) -> String {
        self.digest.clone()
    }

    /// Whether an organism is shown and counted nowhere.
    pub(super) fn sets_apart(&self, organism: &Organism) -> bool {
        let about = &organism.about;
        let mut apart = self.apart.iter();
        apart.any(|one| one.family == about.family && one.variant == about.variant)
    }

    /// What its commands name.
    fn names(&self) -> impl Iterator<Item = Name<'_>> {
        self.train.iter().flatten().flat_map(|word| names(word))
    }

    /// Whether a command reads the control suite.
    pub(super) fn reads_control(&self) -> bool {
        self.names().any(|name| name == Name::Control)
    }

    /// Whether an organism has all that the commands name.
    pub(super) fn fits(&self, organism: &Organism) -> Result<()> {
        let suites = &organism.about.calibration;
        let missing = self.names().find_map(|name| match name {
            Name::Suite(suite) if !suites.contains_key(suite) => Some(suite),
            _ => None,
        });
        let Some(name) = missing else { return Ok(()) };
        let known: Vec<&str> = suites.keys().map(String::as_str).collect();
        Err(wrong(&self.file, format!("`{{{name}}}`")).expected(format!(
            "{KNOWN}, or a calibration suite of `{}`: {}",
            organism.name(),
            known.join(", ")
        )))
    }
}

fn wrong(path: &Path, found: String) -> Fault {
    Fault::usage(format!("reading the recipe `{}`", path.display()), found)
}

/// Each is one that makes detectors, and every brace in it is closed.
fn commands(path: &Path, commands: &[Vec<String>]) -> Result<()> {
    for command in commands {
        let first = command.first().map_or("", String::as_str);
        if !MAKERS.contains(&first) {
            return Err(wrong(path, format!("the command `{}`", command.join(" ")))
                .expected(format!("one that begins with {}", MAKERS.join(" or "))));
        }
        for word in command {
            pieces(word).map_err(|found| {
                wrong(path, found).expected(format!("{KNOWN}, or the name of a calibration suite"))
            })?;
        }
    }
    Ok(())
}
