//! How organisms are audited: the commands that train detectors, and the rules. The same for all of them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::digest::Running;
use crate::fault::{Fault, Result};
use crate::rules::RulePack;

const SCHEMA: &str = "candor/bench/v1";

/// A recipe.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Commands of Candor, one after the other, before an audit. `{model}`, `{control}`, `{out}` and the names of calibration suites in braces
    /// stand for paths; `{site:NAME}` for the site that the detector `{out}/NAME` reads.
    pub train: Vec<Vec<String>>,
    /// Rule files or folders.
    pub rules: Vec<PathBuf>,
    digest: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    schema: String,
    rules: Vec<PathBuf>,
    train: Vec<Vec<String>>,
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// The file or a rule is missing or malformed.
    pub fn open(path: &Path) -> Result<Self> {
        let doing = format!("reading the recipe `{}`", path.display());
        let wrong = |found: String| {
            Fault::usage(&doing, found).expected(format!(
                "keys schema ({SCHEMA}), rules, train (a list of commands)"
            ))
        };
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let wire: Wire = serde_yaml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if wire.schema != SCHEMA {
            return Err(wrong(format!("the schema `{}`", wire.schema)));
        }
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
            train: wire.train,
            rules,
            digest: digest.finish(),
        })
    }

    /// SHA-256 over the recipe and its rules: what else a result hangs on, beside the model. Certificates of the rules are left out.
    #[must_use]
    pub fn digest(&self) -> String {
        self.digest.clone()
    }
}
