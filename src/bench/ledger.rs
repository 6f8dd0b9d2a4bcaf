//! The trials that were made, a line each, with the day.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::trial::Trial;
use crate::fault::{Fault, Result};

/// A line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Line {
    /// The day on which it was made, such as `2026-11-26`.
    pub made: String,
    #[serde(flatten)]
    pub trial: Trial,
}

/// A file of trials that is only added to.
pub(super) struct Ledger {
    file: File,
    made: Vec<Line>,
}

impl Ledger {
    /// Opens or begins a ledger. A last line that was cut off is removed, and its trial made again.
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
        let mut bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(&error)),
        };
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| failed(&error))?;
        let ends = bytes.iter().rposition(|byte| *byte == b'\n');
        let whole = ends.map_or(0, |end| end + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(|error| failed(&error))?;
            bytes.truncate(whole);
        }
        let text = String::from_utf8_lossy(&bytes);
        let made = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        Ok(Self {
            made: made.collect(),
            file,
        })
    }

    /// The trial of that name, if it was made of these bytes and on this basis; the last one counts. One that broke off is made again.
    pub fn made(&self, name: &str, model: &str, basis: &str) -> Option<&Line> {
        let same = |Line { trial, .. }: &&Line| {
            trial.name == name
                && trial.error.is_none()
                && trial.model_sha256 == model
                && trial.basis == basis
        };
        self.made.iter().rfind(same)
    }

    /// Adds a trial that was made today.
    pub fn add(&mut self, trial: Trial) -> Result<Line> {
        let failed = |error: String| Fault::failed("writing a result", error);
        let made = today();
        let line = Line { made, trial };
        let text = serde_json::to_string(&line).map_err(|error| failed(error.to_string()))?;
        let written = self.file.write_all((text + "\n").as_bytes());
        written.map_err(|error| failed(error.to_string()))?;
        Ok(line)
    }
}

fn today() -> String {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    now.chars().take_while(|c| *c != 'T').collect()
}

/// The trials of the ledgers of other parts, each made by `method`, and none of them `taken` or in two parts. Of a name the last line counts.
pub(super) fn other_parts(
    files: &[PathBuf],
    method: &str,
    mut taken: BTreeSet<String>,
) -> Result<Vec<Line>> {
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

/// The trials of one ledger. A line that was cut off is no trial: whoever went on there made it again.
fn part(file: &Path, method: &str) -> Result<BTreeMap<String, Line>> {
    let bytes = fs::read(file).map_err(|error| wrong(file, error.to_string()))?;
    let all = String::from_utf8_lossy(&bytes);
    let mut made: BTreeMap<String, (usize, Line)> = BTreeMap::new();
    for (text, number) in all.lines().zip(1..) {
        match serde_json::from_str::<Line>(text) {
            Ok(line) => _ = made.insert(line.trial.name.clone(), (number, line)),
            Err(error) if error.is_eof() => {}
            Err(error) => {
                return Err(wrong(file, format!("{error}, in line {number}"))
                    .expected("a trials.jsonl of `candor bench organisms` of this version"));
            }
        }
    }
    if made.is_empty() {
        return Err(wrong(file, "no trial".to_owned()).expected("one at least"));
    }
    let checked = made.into_iter().map(|(name, (number, line))| {
        let other = &line.trial.method;
        if other != method {
            let found = format!("line {number}, made with the method {other}");
            return Err(wrong(file, found)
                .expected(format!("{method}: the same code, recipe and rules"))
                .hint("make that part again"));
        }
        Ok((name, line))
    });
    checked.collect()
}

fn wrong(file: &Path, found: String) -> Fault {
    Fault::usage(
        format!("reading the trials of another part `{}`", file.display()),
        found,
    )
}
