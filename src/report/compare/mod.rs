//! Holding a report against that of the model that was approved before.
//!
//! A finding that the approved model had at least as gravely is excused from the gate only where the paired comparison of its suite
//! shows that this model is no worse. Excusing needs every rate of the suite to be shown no worse, which is an intersection: no
//! correction for their number is needed.

mod caveats;
mod findings;
mod items;
mod pairs;

use std::path::Path;

use super::baseline::{BaselineModel, BaselineRecord};
use super::{AuditReport, Finding, WaiverState, json};
use crate::digest::sha256_of;
use crate::fault::{Fault, Result};

/// By how much a rate may rise where nobody says otherwise.
pub const DEFAULT_MARGIN: f64 = 0.05;

/// The report of the approved model, opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Approved {
    /// Where it was read from.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// What it says.
    pub report: AuditReport,
}

/// What a comparison is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// By how much a rate may rise before the model counts as worse, within 0 and 1.
    pub margin: f64,
    /// Models and the approved ones that they are held against, where neither the name nor being alone tells.
    pub pairs: Vec<(String, String)>,
}

impl Approved {
    /// Reads a stored report.
    ///
    /// # Errors
    /// The file cannot be read or is no report of this version.
    pub fn open(path: &Path) -> Result<Self> {
        let doing = format!("reading the baseline `{}`", path.display());
        let bytes = std::fs::read(path).map_err(|error| {
            Fault::usage(&doing, error.to_string())
                .expected("the report.json of the approved model's audit")
        })?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            Fault::usage(&doing, format!("no text: {error}"))
                .expected("the report.json of the approved model's audit")
        })?;
        let report = json::read(text).map_err(|fault| Fault { doing, ..fault })?;
        Ok(Self {
            path: path.display().to_string(),
            sha256: sha256_of(&bytes),
            report,
        })
    }

    /// Whether an audit of these models and suites can be held against it at all.
    ///
    /// # Errors
    /// The margin is none, a pair names a model that is not there, or the reports share no model or no suite.
    pub fn check(&self, models: &[&str], suites: &[&str], terms: &Terms) -> Result<()> {
        let doing = || format!("comparing with the baseline `{}`", self.path);
        if !(terms.margin > 0.0 && terms.margin < 1.0) {
            return Err(
                Fault::usage(doing(), format!("the margin {}", terms.margin))
                    .expected("a number between 0 and 1, such as 0.05"),
            );
        }
        let counterparts =
            pairs::counterparts(models, &self.report, &terms.pairs).map_err(|fault| Fault {
                doing: doing(),
                ..fault
            })?;
        let had = || {
            let models = counterparts.iter().flatten();
            models.flat_map(|model| model.suites.iter().map(|suite| suite.id.as_str()))
        };
        if !had().any(|suite| suites.contains(&suite)) {
            let had: Vec<&str> = had().collect();
            return Err(
                Fault::usage(doing(), format!("no suite of {}", suites.join(", ")))
                    .expected(format!("at least one of {}", had.join(", ")))
                    .hint("audit both models with the same suites"),
            );
        }
        Ok(())
    }
}

impl AuditReport {
    /// Holds the report against the approved one: says of each finding how it compares, and what was fixed. To be called after
    /// the findings are judged and waived.
    ///
    /// # Errors
    /// As [`Approved::check`].
    pub fn compare(&mut self, approved: &Approved, terms: &Terms) -> Result<()> {
        let names: Vec<&str> = self
            .models
            .iter()
            .map(|model| model.name.as_str())
            .collect();
        let counterparts = pairs::counterparts(&names, &approved.report, &terms.pairs)?;
        let caveats = caveats::of(self, approved, &counterparts);
        let mut models = Vec::new();
        for (model, counterpart) in self.models.iter_mut().zip(counterparts) {
            let Some(old) = counterpart else {
                findings::all_new(model);
                continue;
            };
            let same_files = pairs::same_files(model, old);
            let comparisons = items::compare(model, old, terms.margin, same_files)?;
            let name = model.name.clone();
            let lapsed = |finding: &Finding| {
                let mut waivers = self.waivers.iter();
                waivers.any(|one| one.state == WaiverState::Expired && one.fits(&name, finding))
            };
            findings::mark(model, old, &comparisons, lapsed);
            models.push(BaselineModel {
                model: model.name.clone(),
                against: old.name.clone(),
                same_files,
                fixed: findings::fixed(model, old),
                comparisons,
            });
        }
        self.baseline = Some(BaselineRecord {
            path: approved.path.clone(),
            sha256: approved.sha256.clone(),
            finished: approved.report.finished.clone(),
            tool_version: approved.report.tool_version.clone(),
            margin: terms.margin,
            models,
            caveats,
        });
        Ok(())
    }
}
