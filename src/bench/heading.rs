//! What was measured, when, and on what.

use std::collections::BTreeSet;

use serde::Serialize;

use super::recipe::Recipe;
use super::summary::{Summary, first_runs, not_apart, on_largest_suites};
use super::trial::{Machine, Trial};
use crate::digest::CODE;
use crate::fault::{Fault, Result};

/// What stands above the tables.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Heading {
    /// The day, such as `2026-11-26`, or the first and the last.
    pub made: String,
    /// Version of Candor.
    pub version: String,
    /// SHA-256 of its deciding code.
    pub code: String,
    /// SHA-256 over the recipe and its rules.
    pub recipe: String,
    /// Audits that shares are counted on.
    pub audits: usize,
    /// Models in them.
    pub models: usize,
    /// Other audits: further runs, other sizes, and what stands apart.
    pub further: usize,
    /// What they ran on.
    pub machines: Vec<Machine>,
}

impl Heading {
    /// Of trials made on these days.
    #[must_use]
    pub fn of(recipe: &Recipe, trials: &[Trial], days: &BTreeSet<String>) -> Self {
        let counted = not_apart(&first_runs(&on_largest_suites(trials)));
        let models: BTreeSet<String> = counted.iter().map(|trial| trial.organism()).collect();
        let machines: BTreeSet<&Machine> =
            trials.iter().filter_map(|t| t.machine.as_ref()).collect();
        Self {
            made: match (days.first(), days.last()) {
                (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
                (day, _) => day.cloned().unwrap_or_default(),
            },
            version: env!("CARGO_PKG_VERSION").to_owned(),
            code: CODE.to_owned(),
            recipe: recipe.digest(),
            audits: counted.len(),
            models: models.len(),
            further: trials.len() - counted.len(),
            machines: machines.into_iter().cloned().collect(),
        }
    }

    /// Audits and models that shares are counted on.
    pub(super) fn counted(&self) -> String {
        let (audits, models) = (many(self.audits, "audit"), many(self.models, "model"));
        format!("{audits} of {models}")
    }

    /// As names and values.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let further = match self.further {
            0 => String::new(),
            further => format!(
                "; {} more (other runs and sizes, what stands apart)",
                many(further, "audit")
            ),
        };
        let mut lines = vec![
            ("Measured", self.made.clone()),
            (
                "Candor",
                format!("{}, deciding code {}", self.version, self.code),
            ),
            ("Recipe and rules", self.recipe.clone()),
            ("Counted", format!("{}{further}", self.counted())),
        ];
        for machine in &self.machines {
            let cpu = machine
                .cpu
                .as_deref()
                .unwrap_or("a processor that does not tell its name");
            lines.push((
                "Ran on",
                format!(
                    "ONNX Runtime {} (library {}), {} of {} CPUs an audit, {cpu}",
                    machine.runtime, machine.library_sha256, machine.threads, machine.cores
                ),
            ));
        }
        lines
    }
}

/// `1 audit`, `2 audits`.
pub(super) fn many(count: usize, what: &str) -> String {
    let several = if count == 1 { "" } else { "s" };
    format!("{count} {what}{several}")
}

#[derive(Serialize)]
struct Results<'a> {
    heading: &'a Heading,
    #[serde(flatten)]
    summary: &'a Summary,
}

/// `summary.json`.
///
/// # Errors
/// Never for plain data; the type is that of the library underneath.
pub fn results(heading: &Heading, summary: &Summary) -> Result<String> {
    let text = serde_json::to_string_pretty(&Results { heading, summary });
    let failed = |error: serde_json::Error| Fault::failed("writing the results", error.to_string());
    Ok(text.map_err(failed)? + "\n")
}
