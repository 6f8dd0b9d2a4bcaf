//! Where reports go: the registry of formats, and writing that leaves nothing half-written.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::archive::Archive;
use crate::fault::{Fault, Result};
use crate::files::Staged;
use crate::rules::Severity;
use crate::seal::Key;

use super::{AuditReport, Finding, cyclonedx, gating_severity, html, intoto, json, oscal, parquet};

/// The folder of evidence beside a report.
pub const EVIDENCE: &str = "evidence";

/// What a format is made from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The findings.
    pub report: &'a AuditReport,
    /// The evidence behind them; `None` where a stored report is rendered again and its evidence is not beside it.
    pub evidence: Option<&'a Archive>,
    /// The least severity that lists of findings show (`--min-severity`). What gates and what is stored does not depend on it.
    pub min_severity: Severity,
    /// What attestations are signed with (`--sign`).
    pub key: Option<&'a Key>,
}

impl Source<'_> {
    /// Whether a list of findings shows this one: by the severity that it can gate with, or by its rule's.
    #[must_use]
    pub fn shows(&self, finding: &Finding) -> bool {
        gating_severity(finding).unwrap_or(finding.severity) >= self.min_severity
    }
}

/// A report format.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// Its name in `--output NAME=PATH`.
    pub name: &'static str,
    /// Its file or folder in the output folder, where no other was asked for.
    pub default_path: &'static str,
    /// Whether every audit writes it.
    pub usual: bool,
    stage: fn(&Source, &Path) -> Result<Vec<Staged>>,
}

/// Every format. A new one is a file of code beside this one and a line here.
#[rustfmt::skip]
pub const FORMATS: &[Format] = &[
    Format { name: "json", default_path: "report.json", usual: true, stage: json::stage },
    Format { name: "html", default_path: "report.html", usual: true, stage: html::stage },
    Format { name: "oscal", default_path: "oscal.json", usual: false, stage: oscal::stage },
    Format { name: "cyclonedx", default_path: "bom.cdx.json", usual: false, stage: cyclonedx::stage },
    Format { name: "intoto", default_path: "attestation.intoto.jsonl", usual: false, stage: intoto::stage },
    Format { name: "parquet", default_path: "tables", usual: false, stage: parquet::stage },
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
    /// The formats that every audit writes, at their usual places in `folder`.
    #[must_use]
    pub fn usual_in(folder: &Path) -> Vec<Self> {
        let in_folder = |format: &Format| Self {
            format: *format,
            path: folder.join(format.default_path),
        };
        let usual = FORMATS.iter().filter(|format| format.usual);
        usual.map(in_folder).collect()
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
