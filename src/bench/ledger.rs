//! The trials that were made, a line each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::trial::Trial;
use crate::fault::{Fault, Result};

/// A file of trials that is only added to.
pub(super) struct Ledger {
    file: File,
    made: Vec<Trial>,
}

impl Ledger {
    /// Opens or begins a ledger. A last line that was cut off is left out and made again.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |error: &std::io::Error| {
            Fault::failed(
                format!("writing the results `{}`", path.display()),
                error.to_string(),
            )
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| failed(&error))?;
        }
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(&error)),
        };
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| failed(&error))?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n").map_err(|error| failed(&error))?;
        }
        let made = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        Ok(Self {
            made: made.collect(),
            file,
        })
    }

    /// The trial of that name, if it was made of these bytes and on this basis; the last one counts. One that broke off is made again.
    pub fn made(&self, name: &str, model: &str, basis: &str) -> Option<&Trial> {
        let same = |trial: &&Trial| {
            trial.name == name
                && trial.error.is_none()
                && trial.model_sha256 == model
                && trial.basis == basis
        };
        self.made.iter().rfind(same)
    }

    pub fn add(&mut self, trial: &Trial) -> Result<()> {
        let failed = |error: String| Fault::failed("writing a result", error);
        let line = serde_json::to_string(trial).map_err(|error| failed(error.to_string()))?;
        let written = self.file.write_all((line + "\n").as_bytes());
        written.map_err(|error| failed(error.to_string()))
    }
}

/// The trials of the ledgers of other parts, each made by `method`, and none of them `taken` or in two parts. Of a name the last line counts.
pub(super) fn other_parts(
    files: &[PathBuf],
    method: &str,
    mut taken: BTreeSet<String>,
) -> Result<Vec<Trial>> {
    let mut all = Vec::new();
    for file in files {
        let part = part(file, method)?;
        if let Some(twice) = part.keys().find(|name| taken.contains(*name)) {
            return Err(wrong(
                file,
                format!("`{twice}`, which is here or in another part too"),
            )
            .expected("every trial in one part")
            .hint("divide by --family, --seed or --form"));
        }
        taken.extend(part.keys().cloned());
        all.extend(part.into_values());
    }
    Ok(all)
}

fn part(file: &Path, method: &str) -> Result<BTreeMap<String, Trial>> {
    let text = fs::read_to_string(file).map_err(|error| wrong(file, error.to_string()))?;
    let mut made = BTreeMap::new();
    for (line, number) in text.lines().zip(1..) {
        let trial: Trial = serde_json::from_str(line).map_err(|error| {
            wrong(file, format!("{error}, in line {number}"))
                .expected("a trials.jsonl of `candor bench organisms` of this version")
        })?;
        if trial.method != method {
            let other = format!("line {number}, made with the method {}", trial.method);
            return Err(wrong(file, other)
                .expected(format!("{method}: the same code, recipe and rules"))
                .hint("make that part again"));
        }
        made.insert(trial.name.clone(), trial);
    }
    Ok(made)
}

fn wrong(file: &Path, found: String) -> Fault {
    Fault::usage(
        format!("reading the trials of another part `{}`", file.display()),
        found,
    )
}
