//! Waivers: who accepts which finding, why and until when. Read from YAML so that everything wrong in all files is said at once,
//! each with file, line and column.

mod day;
mod document;
mod schema;

use std::path::{Path, PathBuf};

use super::check::diagnostic::{Code, Diagnostic, Level, render};
use super::check::files;
use super::check::reader::Reader;
use crate::fault::{Fault, Result};

pub use day::Day;
pub use schema::schema as waivers_schema;

const WHAT: &str = "waiver";

/// A finding that a person accepts until a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The rule that it waives.
    pub rule: String,
    /// The model that it is limited to.
    pub model: Option<String>,
    /// The suite that it is limited to.
    pub suite: Option<String>,
    /// Why the finding is accepted.
    pub reason: String,
    /// Who accepts it.
    pub owner: String,
    /// The last day on which it holds, in UTC.
    pub expires: Day,
    /// Its file.
    pub file: PathBuf,
    /// Its line in `file`, from 1.
    pub line: usize,
}

/// The waivers of some files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waivers {
    /// In the order of files and lines.
    pub waivers: Vec<Waiver>,
    /// The files, in the order they were named.
    pub files: Vec<PathBuf>,
}

/// Reads waiver files and folders of them (`*.yaml` and `*.yml`).
///
/// The waivers are there exactly if nothing is wrong. Diagnostics come in the order of files and lines.
#[must_use]
pub fn check_waivers<P: AsRef<Path>>(paths: &[P]) -> (Option<Waivers>, Vec<Diagnostic>) {
    let mut read = Waivers::default();
    let mut found = Vec::new();
    for file in files::of(paths, WHAT, &mut found) {
        let text = match files::text(&file, WHAT) {
            Ok(text) => text,
            Err(diagnostic) => {
                found.push(*diagnostic);
                continue;
            }
        };
        let mut reader = Reader::new(&file, &text);
        for (waiver, place) in document::read(&mut reader, &file, &text) {
            let twin = read
                .waivers
                .iter()
                .find(|other| other.aim() == waiver.aim());
            if let Some(first) = twin {
                let message = "another waiver waives the same rule, model and suite";
                let hint = format!("it is at {}:{}", first.file.display(), first.line);
                reader.report_with_hint(place, Code::DuplicateWaiver, message, hint);
            } else {
                read.waivers.push(waiver);
            }
        }
        reader.found.sort_by_key(|one| (one.line, one.column));
        found.append(&mut reader.found);
        read.files.push(file);
    }
    let usable = found.iter().all(|one| one.severity != Level::Error);
    (usable.then_some(read), found)
}

impl Waivers {
    /// Reads waiver files and folders of them; no path gives no waiver.
    ///
    /// # Errors
    /// Everything that [`check_waivers`] finds wrong, as one usage error.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Self> {
        if paths.is_empty() {
            return Ok(Self::default());
        }
        let (read, found) = check_waivers(paths);
        read.ok_or_else(|| {
            let named: Vec<String> = paths
                .iter()
                .map(|path| format!("`{}`", path.as_ref().display()))
                .collect();
            Fault::usage(
                format!("reading the waivers {}", named.join(", ")),
                format!("\n\n{}", render(&found).trim_end()),
            )
            .expected("waivers without an error")
            .hint("`candor waivers check PATH` says the same without an audit")
        })
    }
}

impl Waiver {
    /// What two waivers may not share.
    fn aim(&self) -> (&str, Option<&str>, Option<&str>) {
        (&self.rule, self.model.as_deref(), self.suite.as_deref())
    }
}
