//! `verdicts.csv`: what every trial came to, and whether another benchmark came to the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::trial::Trial;
use crate::fault::{Fault, Result};

const HEAD: &str = "trial,model_sha256,verdict";
/// What is said of a trial that broke off.
const NONE: &str = "none";
/// Differences that are listed.
const MOST: usize = 10;

/// The verdicts of trials as a table, in the order of their names. Neither names nor verdicts have a comma.
#[must_use]
pub fn verdicts(trials: &[Trial]) -> String {
    let mut lines: Vec<String> = trials
        .iter()
        .map(|trial| format!("{},{},{}", trial.name, trial.model_sha256, verdict(trial)))
        .collect();
    lines.sort();
    lines.insert(0, HEAD.to_owned());
    lines.join("\n") + "\n"
}

fn verdict(trial: &Trial) -> &str {
    trial.verdict.as_deref().unwrap_or(NONE)
}

/// The verdicts of another benchmark.
#[derive(Debug, Clone)]
pub struct Verdicts {
    file: PathBuf,
    /// SHA-256 of the model and the verdict, by the trial's name.
    of: BTreeMap<String, (String, String)>,
}

impl Verdicts {
    /// Reads what [`verdicts`] wrote.
    ///
    /// # Errors
    /// The file is missing or malformed, or names a trial twice.
    pub fn open(file: &Path) -> Result<Self> {
        let wrong = |found: String| {
            Fault::usage(format!("reading the verdicts `{}`", file.display()), found).expected(
                format!("a verdicts.csv of `candor bench organisms`: {HEAD}"),
            )
        };
        let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        let mut lines = text.lines().zip(1..);
        if let Some((first, _)) = lines.next().filter(|(first, _)| *first != HEAD) {
            return Err(wrong(format!("`{first}` in line 1")));
        }
        let mut of = BTreeMap::new();
        for (line, number) in lines {
            let [name, sha256, verdict] = line.split(',').collect::<Vec<_>>()[..] else {
                return Err(wrong(format!("`{line}` in line {number}")));
            };
            let found = (sha256.to_owned(), verdict.to_owned());
            if of.insert(name.to_owned(), found).is_some() {
                return Err(wrong(format!("`{name}` again in line {number}")));
            }
        }
        if of.is_empty() {
            return Err(wrong("no verdict".to_owned()));
        }
        Ok(Self {
            file: file.to_owned(),
            of,
        })
    }

    /// A line which says that all trials have the verdicts that trials of these names had there.
    ///
    /// # Errors
    /// Some have another one, or are not there.
    pub fn same_as(&self, trials: &[Trial]) -> Result<String> {
        let file = self.file.display();
        let of = trials.len();
        let (mut different, mut other_models) = (Vec::new(), 0);
        for trial in trials {
            let (name, found) = (&trial.name, verdict(trial));
            match self.of.get(name) {
                None => different.push(format!("{name}: {found}, and not there")),
                Some((sha256, verdict)) => {
                    let other_model = *sha256 != trial.model_sha256;
                    other_models += usize::from(other_model);
                    if verdict != found {
                        let of_other = if other_model {
                            " of another model file"
                        } else {
                            ""
                        };
                        different.push(format!("{name}: {found}, there {verdict}{of_other}"));
                    }
                }
            }
        }
        if different.is_empty() {
            let of_others = match other_models {
                0 => String::new(),
                models => format!(", {models} of them of other model files"),
            };
            let all = match of {
                1 => "The one verdict is that".to_owned(),
                of => format!("All {of} verdicts are those"),
            };
            return Ok(format!("{all} of `{file}`{of_others}."));
        }
        let more = different.len().saturating_sub(MOST);
        let count = different.len();
        different.truncate(MOST);
        if more > 0 {
            different.push(format!("and {more} more"));
        }
        // One below the other, each where the first line of what was found begins.
        different.insert(0, format!("{count} of {of} that are not the same"));
        Err(Fault::failed(
            format!("comparing the verdicts with `{file}`"),
            different.join("\n            "),
        )
        .expected("every verdict as it is there"))
    }
}
