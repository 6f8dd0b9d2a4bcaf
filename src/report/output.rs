//! Where reports go: the registry of formats, and writing that leaves nothing half-written.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::evidence::Evidence;
use crate::fault::{Fault, Result};
use crate::files::Staged;
use crate::rules::Severity;

use super::{AuditReport, Finding, gating_severity, html, json, parquet};

/// What a format is made from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The findings.
    pub report: &'a AuditReport,
    /// The evidence of each model; empty where a stored report is rendered again.
    pub evidence: &'a [ModelEvidence<'a>],
    /// The least severity that lists of findings show (`--min-severity`). What gates and what is stored does not depend on it.
    pub min_severity: Severity,
}

impl Source<'_> {
    /// Whether a list of findings shows this one.
    #[must_use]
    pub fn shows(&self, finding: &Finding) -> bool {
        shows(finding, self.min_severity)
    }
}

/// Whether a list of findings from `least` on shows this one: by the severity that it can gate with, or by its rule's.
pub(super) fn shows(finding: &Finding, least: Severity) -> bool {
    gating_severity(finding).unwrap_or(finding.severity) >= least
}

/// The evidence of one model.
#[derive(Debug, Clone, Copy)]
pub struct ModelEvidence<'a> {
    /// The model's name.
    pub model: &'a str,
    /// SHA-256 of the plan that the evidence was made by, in lower-case hexadecimal.
    pub plan_digest: &'a str,
    /// What was measured.
    pub evidence: &'a Evidence,
}

/// A report format.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// Its name in `--output NAME=PATH`.
    pub name: &'static str,
    /// Its file or folder in the output folder, where no other was asked for.
    pub default_path: &'static str,
    stage: fn(&Source, &Path) -> Result<Vec<Staged>>,
}

/// Every format. A new one is a file of code beside this one and a line here.
#[rustfmt::skip]
pub const FORMATS: &[Format] = &[
    Format { name: "json", default_path: "report.json", stage: json::stage },
    Format { name: "html", default_path: "report.html", stage: html::stage },
    Format { name: "parquet", default_path: "evidence", stage: parquet::stage },
];

/// One `--output FORMAT=PATH`.
#[derive(Debug, Clone)]
pub struct Output {
    /// What to write.
    pub format: Format,
    /// The file, or the folder for a format of several files.
    pub path: PathBuf,
}

impl Output {
    /// Every format at its usual place in `folder`.
    #[must_use]
    pub fn all_in(folder: &Path) -> Vec<Self> {
        let in_folder = |format: &Format| Self {
            format: *format,
            path: folder.join(format.default_path),
        };
        FORMATS.iter().map(in_folder).collect()
    }
}

impl FromStr for Output {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |found: String| {
            let names: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
            Fault::usage("reading `--output`", found)
                .expected(format!("FORMAT=PATH with one of {}", names.join(", ")))
                .hint("for example `--output html=report.html`")
        };
        let (name, path) = text
            .split_once('=')
            .ok_or_else(|| wrong(format!("`{text}`")))?;
        let format = FORMATS
            .iter()
            .find(|format| format.name == name)
            .ok_or_else(|| wrong(format!("the format `{name}`")))?;
        if path.is_empty() {
            return Err(wrong(format!("`{text}`, without a path")));
        }
        Ok(Self {
            format: *format,
            path: path.into(),
        })
    }
}

/// Writes every output. All are written under temporary names first and renamed at the end, so that an
/// interruption or a full disk leaves whole old files or whole new ones.
///
/// # Errors
/// If a format cannot be made from `source` or a file cannot be written.
pub fn write_all(source: &Source, outputs: &[Output]) -> Result<()> {
    let mut staged = Vec::new();
    for output in outputs {
        staged.extend((output.format.stage)(source, &output.path)?);
    }
    staged.into_iter().try_for_each(Staged::put_in_place)
}
