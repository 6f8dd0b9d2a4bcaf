//! Reading rule files so that everything wrong in all of them is said at once, each with file, line and column.

mod coherence;
mod conditions;
pub(super) mod diagnostic;
mod document;
mod evidence;
pub(super) mod files;
mod needs;
pub(super) mod reader;
mod signals;
pub(super) mod tree;

use std::collections::BTreeMap;
use std::path::Path;

use self::reader::Reader;
use super::rule::{RuleFile, RulePack};
use crate::digest::sha256_of;
use crate::fault::{Fault, Result};

pub use diagnostic::{Code, Diagnostic, Level, render};
pub(super) use document::SCHEMA;
pub(super) use evidence::{LEAST_PAIRS, LEAST_RANDOM, points};

const WHAT: &str = "rule";

/// Reads rule files and folders of them (`*.yaml` and `*.yml`, at any depth, in the order of their paths).
///
/// The pack is there exactly if no diagnostic is an error. Diagnostics come in the order of files and lines.
#[must_use]
pub fn check<P: AsRef<Path>>(paths: &[P]) -> (Option<RulePack>, Vec<Diagnostic>) {
    let mut pack = RulePack::default();
    let mut found = Vec::new();
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    for file in files::of(paths, WHAT, &mut found) {
        let text = match files::text(&file, WHAT) {
            Ok(text) => text,
            Err(diagnostic) => {
                found.push(*diagnostic);
                continue;
            }
        };
        let mut reader = Reader::new(&file, &text);
        let document = document::read(&mut reader, &file, &text);
        for (id, place) in document.ids {
            let here = format!("{}:{}", file.display(), place.line);
            if let Some(first) = ids.get(&id) {
                let message = format!("another rule has the id `{id}`");
                let hint = format!("it is at {first}");
                reader.report_with_hint(place, Code::DuplicateId, message, hint);
            } else {
                ids.insert(id, here);
            }
        }
        reader.found.sort_by_key(|one| (one.line, one.column));
        found.append(&mut reader.found);
        pack.rules.extend(document.rules);
        pack.files.push(RuleFile {
            sha256: sha256_of(text.as_bytes()),
            path: file,
        });
    }
    let usable = found.iter().all(|one| one.severity != Level::Error);
    (usable.then_some(pack), found)
}

impl RulePack {
    /// Reads rule files and folders of them.
    ///
    /// # Errors
    /// Everything that [`check`] finds wrong, as one usage error. Warnings are logged.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Self> {
        let (pack, found) = check(paths);
        if let Some(pack) = pack {
            for warning in &found {
                tracing::warn!("{warning}");
            }
            return Ok(pack);
        }
        let named: Vec<String> = paths
            .iter()
            .map(|path| format!("`{}`", path.as_ref().display()))
            .collect();
        Err(Fault::usage(
            format!("reading the rules {}", named.join(", ")),
            format!("\n\n{}", render(&found).trim_end()),
        )
        .expected("rules without an error")
        .hint("`candor rules check PATH` says the same without an audit"))
    }
}
