//! Where reports go: the registry of formats, and writing that leaves nothing half-written.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::archive::Archive;
use crate::fault::{Fault, Result};
use crate::files::{self, Staged};
use crate::rules::Severity;
use crate::seal::Key;

use super::{
    AuditReport, Finding, annotations, csv, cyclonedx, gating_severity, html, intoto, json, junit,
    markdown, oscal, parquet, sarif,
};

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
        shows(finding, self.min_severity)
    }
}

/// Whether a list of findings from `least` on shows this one.
pub(super) fn shows(finding: &Finding, least: Severity) -> bool {
    gating_severity(finding).unwrap_or(finding.severity) >= least
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
    make: Make,
}

/// How a format is made.
#[derive(Debug, Clone, Copy)]
enum Make {
    /// One text.
    Text(fn(&Source) -> Result<String>),
    /// Several files in a folder.
    Folder(fn(&Source, &Path) -> Result<Vec<Staged>>),
}

impl Format {
    /// Whether it is several files in a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        matches!(self.make, Make::Folder(_))
    }
}

/// Every format. A new one is a file of code beside this one and a line here.
#[rustfmt::skip]
pub const FORMATS: &[Format] = &[
    Format { name: "json", default_path: "report.json", usual: true, make: Make::Text(json::text) },
    Format { name: "html", default_path: "report.html", usual: true, make: Make::Text(html::text) },
    Format { name: "markdown", default_path: "summary.md", usual: false, make: Make::Text(|source| Ok(markdown::text(source))) },
    Format { name: "sarif", default_path: "results.sarif", usual: false, make: Make::Text(sarif::text) },
    Format { name: "github", default_path: "annotations.txt", usual: false, make: Make::Text(|source| Ok(annotations::text(source))) },
    Format { name: "junit", default_path: "junit.xml", usual: false, make: Make::Text(junit::text) },
    Format { name: "csv", default_path: "findings.csv", usual: false, make: Make::Text(csv::text) },
    Format { name: "oscal", default_path: "oscal.json", usual: false, make: Make::Text(oscal::text) },
    Format { name: "cyclonedx", default_path: "bom.cdx.json", usual: false, make: Make::Text(cyclonedx::text) },
    Format { name: "intoto", default_path: "attestation.intoto.jsonl", usual: false, make: Make::Text(intoto::text) },
    Format { name: "parquet", default_path: "tables", usual: false, make: Make::Folder(parquet::stage) },
];

/// One `--output FORMAT=PATH`.
#[derive(Debug, Clone)]
pub struct Output {
    /// What to write.
    pub format: Format,
    /// The file, or the folder for a format of several files.
    pub path: PathBuf,
    /// What becomes of what is there.
    pub mode: Mode,
}

/// What an output does with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A whole new file, or nothing.
    Replace,
    /// Behind what is in the file: another program owns it, such as the runner of a pipeline its summary.
    Append,
    /// Standard output.
    Print,
}

impl Output {
    /// The formats that every audit writes, at their usual places in `folder`.
    #[must_use]
    pub fn usual_in(folder: &Path) -> Vec<Self> {
        let in_folder = |format: &Format| Self {
            format: *format,
            path: folder.join(format.default_path),
            mode: Mode::Replace,
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
                .hint("for example `--output html=report.html`; `-` is standard output")
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
        let printed = path == "-";
        if printed && format.is_folder() {
            return Err(Fault::usage(
                "reading `--output`",
                format!("`{text}`, but {name} is a folder of files"),
            )
            .expected("a folder, since only a single file can go to standard output"));
        }
        Ok(Self {
            format: *format,
            path: path.into(),
            mode: if printed { Mode::Print } else { Mode::Replace },
        })
    }
}

/// Writes every output. All are written under temporary names first and renamed at the end, so that an
/// interruption or a full disk leaves whole old files or whole new ones. What is appended or printed comes last.
///
/// # Errors
/// If a format cannot be made from `source` or a file cannot be written.
pub fn write_all(source: &Source, outputs: &[Output]) -> Result<()> {
    let mut staged = Vec::new();
    let mut open = Vec::new();
    for output in outputs {
        match (output.format.make, output.mode) {
            (Make::Text(text), Mode::Replace) => {
                staged.push(Staged::bytes(&output.path, text(source)?.as_bytes())?);
            }
            (Make::Text(text), _) => open.push((output, text(source)?)),
            (Make::Folder(stage), _) => staged.extend(stage(source, &output.path)?),
        }
    }
    staged.into_iter().try_for_each(Staged::put_in_place)?;
    for (output, text) in open {
        if output.mode == Mode::Append {
            files::append(&output.path, text.as_bytes())?;
        } else {
            let mut out = std::io::stdout().lock();
            match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                // A closed pipe (`candor … | head`) is not an error.
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    return Err(
                        Fault::failed("writing to standard output", error.to_string())
                            .expected("a place that has room"),
                    );
                }
                _ => {}
            }
        }
    }
    Ok(())
}
