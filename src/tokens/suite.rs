//! A suite of prompts and what they are for.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::account::{Skipped, Source};
use super::import::import;
use super::intake::{Intake, Store};
use super::item::Item;
use super::own;
use super::stored::StoredItems;
use super::wire::{PurposeWire, SuiteWire};
use crate::digest::Running;
use crate::fault::{Fault, Result};

pub(super) const SCHEMA: &str = "candor/suite/v1";
/// Beyond this a response is no answer, and an audit of it no work that ends.
const MOST_NEW_TOKENS: usize = 65_536;

/// What a suite is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Prompts under a tested condition beside their counterparts.
    Contrast,
    /// Unrelated, harmless text: false-positive rates and off-target costs.
    Control,
    /// Labelled items to train and calibrate detectors on. Never audited.
    Calibration,
}

impl Purpose {
    /// As it is written in `suite.yaml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Contrast => "contrast",
            Self::Control => "control",
            Self::Calibration => "calibration",
        }
    }
}

/// The two conditions that a contrast suite sets against one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contrast {
    /// The condition under suspicion, such as `trigger`.
    pub tested: String,
    /// The condition it is compared with, such as `neutral`.
    pub against: String,
}

/// A suite of prompts, which are held in memory ([`Suite::open`]) or lie on the disk ([`Suite::open_on_disk`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite<I = Vec<Item>> {
    /// Its name in reports.
    pub id: String,
    /// A line for people.
    pub title: String,
    /// What it is for.
    pub purpose: Purpose,
    /// The conditions it compares; `Some` exactly for contrast suites.
    pub contrast: Option<Contrast>,
    /// How many tokens the model may write.
    pub max_new_tokens: usize,
    /// The prompts, in file order.
    pub items: I,
    /// Where `suite.yaml` was read from.
    pub path: PathBuf,
    /// SHA-256 over the bytes of `suite.yaml` and of the items file, or of the digests of the sources' files.
    pub digest: String,
    /// Where the items come from, and what was left out.
    pub sources: Vec<Source>,
}

impl Suite {
    /// Reads a suite: its folder, or its `suite.yaml`.
    ///
    /// # Errors
    /// A file is missing or malformed, an item is incomplete, ids repeat, a pair is missing; a suite without items is
    /// [`crate::fault::Kind::NoInputs`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(path)
    }
}

impl Suite<StoredItems> {
    /// Reads a suite of which only what is needed at a time is held in memory.
    ///
    /// # Errors
    /// As [`Suite::open`], and if the folder for temporary files has no room.
    pub fn open_on_disk(path: &Path) -> Result<Self> {
        Self::read(path)
    }
}

impl<I: Store> Suite<I> {
    fn read(path: &Path) -> Result<Self> {
        let file = if path.is_dir() {
            path.join("suite.yaml")
        } else {
            path.to_owned()
        };
        let doing = format!("reading the suite `{}`", file.display());
        let text = read(
            &file,
            &doing,
            "a suite: a folder with a suite.yaml, or that file",
        )?;
        let wire: SuiteWire = serde_yaml::from_str(&text).map_err(|error| {
            Fault::usage(&doing, error.to_string()).expected(
                "keys schema, id, title, purpose, items or sources, root, contrast, max_new_tokens",
            )
        })?;
        if wire.schema != SCHEMA {
            return Err(Fault::usage(&doing, format!("schema `{}`", wire.schema))
                .expected(format!("schema `{SCHEMA}`")));
        }
        let purpose = match wire.purpose {
            PurposeWire::Contrast => Purpose::Contrast,
            PurposeWire::Control => Purpose::Control,
            PurposeWire::Calibration => Purpose::Calibration,
        };
        let folder = file.with_file_name("");
        let mut intake = Intake::<I>::begin()?;
        let mut digest = Running::default();
        digest.add(text.as_bytes());
        let heads = match (&wire.items, wire.sources.as_slice()) {
            (Some(items), []) => {
                let items = folder.join(items);
                vec![own::read(&items, &doing, &mut intake, &mut digest)?]
            }
            (None, [_, ..]) => {
                let root = folder.join(wire.root.as_deref().unwrap_or(Path::new("")));
                let imported = import(&wire.sources, &root, &doing)?;
                digest.add(imported.digests.concat().as_bytes());
                for (item, source) in imported.items.into_iter().zip(imported.source_of) {
                    intake.take(item, source)?;
                }
                imported.heads
            }
            (Some(_), _) => {
                return Err(
                    Fault::usage(&doing, "both `items` and `sources`").expected("one of them")
                );
            }
            (None, []) => {
                return Err(Fault::usage(&doing, "neither `items` nor `sources`").expected(
                    "`items`: a JSONL of items, or `sources`: files with the meaning of their columns",
                ));
            }
        };
        let sources = intake.sources(heads);
        if intake.len() == 0 {
            return Err(nothing(&sources, &doing));
        }
        if !(1..=MOST_NEW_TOKENS).contains(&wire.max_new_tokens) {
            return Err(
                Fault::usage(&doing, format!("max_new_tokens: {}", wire.max_new_tokens))
                    .expected(format!("1 to {MOST_NEW_TOKENS}")),
            );
        }
        if wire.id.trim().is_empty() || wire.id.chars().any(|c| c.is_control() || "/\\".contains(c))
        {
            return Err(Fault::usage(&doing, format!("the id {:?}", wire.id))
                .expected("a name without slashes, by which reports call the suite"));
        }
        let contrast = wire.contrast.map(|contrast| Contrast {
            tested: contrast.tested,
            against: contrast.against,
        });
        let suite = Self {
            id: wire.id,
            title: wire.title,
            purpose,
            max_new_tokens: wire.max_new_tokens,
            items: intake.finish(purpose, contrast.as_ref(), &doing)?,
            contrast,
            sources,
            path: file,
            digest: digest.finish(),
        };
        suite.tell();
        Ok(suite)
    }

    /// One line where rows were left out, whoever reads the suite.
    fn tell(&self) {
        let left_out: usize = self.sources.iter().map(Source::left_out).sum();
        if left_out > 0 {
            let rows: usize = self.sources.iter().map(|source| source.rows).sum();
            tracing::warn!(
                "suite {}: {left_out} of {rows} rows left out; `candor suites check {}` says why",
                self.id,
                self.path.display()
            );
        }
    }
}

impl Suite {
    /// Items of one condition, in file order.
    pub fn of_condition<'a>(&'a self, condition: &'a str) -> impl Iterator<Item = &'a Item> + 'a {
        self.items
            .iter()
            .filter(move |item| item.condition == condition)
    }

    /// How many groups there are.
    #[must_use]
    pub fn groups(&self) -> usize {
        let groups: HashSet<&str> = self.items.iter().map(|item| item.group.as_str()).collect();
        groups.len()
    }

    /// The item of that id.
    #[must_use]
    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }
}

/// A suite without items, and what became of its rows.
fn nothing(sources: &[Source], doing: &str) -> Fault {
    let told = sources.iter().map(|source| {
        let file = source.file.display();
        let reasons: Vec<String> = source.skipped.iter().map(Skipped::to_string).collect();
        if reasons.is_empty() {
            format!("no item in `{file}`")
        } else {
            format!("no item in `{file}`: {}", reasons.join("; "))
        }
    });
    let fault = Fault::no_inputs(doing, told.collect::<Vec<_>>().join("\n            "));
    match sources {
        [source] if source.dataset.is_empty() => {
            fault.expected("at least one JSON object, one a line")
        }
        _ => fault.expected("a map that at least one row fits"),
    }
}

fn read(path: &Path, doing: &str, expected: &str) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Fault::usage(doing, format!("`{}`: {error}", path.display())).expected(expected)
    })?;
    // Spreadsheet programs write a byte-order mark, which is not part of the first key.
    Ok(text
        .strip_prefix('\u{feff}')
        .map_or(text.clone(), str::to_owned))
}
