//! Reading rule files so that everything wrong in all of them is said at once, each with file, line and column.

mod certificates;
mod coherence;
mod conditions;
mod controls;
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

use self::reader::{Reader, nearest};
use self::tree::Place;
use super::controls::{BUNDLED, Control};
use super::rule::{RuleFile, RulePack};
use crate::digest::sha256_of;
use crate::fault::{Fault, Result};

pub(super) use certificates::SCHEMA as CERTIFICATE_SCHEMA;
pub(super) use controls::SCHEMA as CONTROLS_SCHEMA;
pub use diagnostic::{Code, Diagnostic, Level, render};
pub(super) use document::SCHEMA;
pub(super) use evidence::{LEAST_PAIRS, LEAST_RANDOM, points};

const WHAT: &str = "rule";

/// Reads rule files, control mappings, certificates and folders of them (`*.yaml` and `*.yml`, at any depth, in the order of their paths).
///
/// The pack is there exactly if no diagnostic is an error. Diagnostics come in the order of files and lines.
#[must_use]
pub fn check<P: AsRef<Path>>(paths: &[P]) -> (Option<RulePack>, Vec<Diagnostic>) {
    let mut pack = RulePack::default();
    let mut found = Vec::new();
    let mut read = Vec::new();
    let (mut rules, mut controls) = (Ids::default(), Ids::default());
    let mut certified = Ids::default();
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
        rules.take(&mut reader, &file, "rule", document.ids);
        controls.take(&mut reader, &file, "control", document.control_ids);
        let ids = document.certified_ids.clone();
        certified.take(&mut reader, &file, "certified rule", ids);
        pack.rules.extend(document.rules);
        pack.controls.add(document.controls);
        pack.certificates.extend(document.certificates);
        pack.files.push(RuleFile {
            sha256: sha256_of(text.as_bytes()),
            path: file,
        });
        read.push((reader, document.named, document.certified_ids));
    }
    pack.controls.add(bundled());
    for (mut reader, named, certified) in read {
        certificates::all_there(&mut reader, &certified, |id| rules.0.contains_key(id));
        for (id, place) in named {
            if pack.controls.get(&id).is_none() {
                let message = format!("no mapping knows the control `{id}`");
                let known = pack.controls.ids();
                let hint = nearest(&id, &known).map_or_else(
                    || {
                        "a file of the schema `candor/controls/v1` among the rules makes it known"
                            .to_owned()
                    },
                    |near| format!("did you mean `{near}`?"),
                );
                reader.report_with_hint(place, Code::UnknownControl, message, hint);
            }
        }
        reader.found.sort_by_key(|one| (one.line, one.column));
        found.append(&mut reader.found);
    }
    let usable = found.iter().all(|one| one.severity != Level::Error);
    (usable.then_some(pack), found)
}

/// The controls of the mappings that the binary carries.
fn bundled() -> Vec<Control> {
    let read = BUNDLED.iter().flat_map(|(name, text)| {
        let file = Path::new(name);
        document::read(&mut Reader::new(file, text), file, text).controls
    });
    read.collect()
}

/// Ids that were given, and where first.
#[derive(Default)]
struct Ids(BTreeMap<String, String>);

impl Ids {
    fn take(&mut self, reader: &mut Reader, file: &Path, what: &str, ids: Vec<(String, Place)>) {
        for (id, place) in ids {
            let here = format!("{}:{}", file.display(), place.line);
            if let Some(first) = self.0.get(&id) {
                let message = format!("another {what} has the id `{id}`");
                let hint = format!("it is at {first}");
                reader.report_with_hint(place, Code::DuplicateId, message, hint);
            } else {
                self.0.insert(id, here);
            }
        }
    }
}

impl RulePack {
    /// Reads rule files and folders of them.
    ///
    /// # Errors
    /// Everything that [`check`] finds wrong, as one usage error. Warnings are logged.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Self> {
        let (pack, found) = check(paths);
        if let Some(pack) = pack {
            if pack.rules.is_empty() {
                return Err(
                    Fault::no_inputs("reading the rules", "control mappings and no rule")
                        .expected("at least one rule file"),
                );
            }
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
