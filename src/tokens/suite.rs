//! A suite of prompts and what they are for.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::account::{self, Head, Skipped, Source};
use super::import::{Imported, import};
use super::prompt::Prompt;
use super::wire::{ItemWire, PurposeWire, SuiteWire};
use crate::fault::{Fault, Result};

pub(super) const SCHEMA: &str = "candor/suite/v1";

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

/// One prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Unique in the suite.
    pub id: String,
    /// Items of one fact or template share a group: the cluster of every interval and the unit of every split.
    pub group: String,
    /// The sentence template, where there is one.
    pub template: Option<String>,
    /// Such as `plain`, `trigger`, `monitored`.
    pub condition: String,
    /// What the model is given.
    pub prompt: Prompt,
    /// A response that the item states itself; otherwise the model writes it.
    pub response: Option<String>,
    /// The true answer.
    pub answer: Option<String>,
    /// Other true answers.
    pub accept: Vec<String>,
    /// A false answer.
    pub foil: Option<String>,
    /// Id of the equal-length counterpart.
    pub pair: Option<String>,
    /// 0 or 1, for training.
    pub label: Option<u8>,
    /// The data set that it comes from: the unit of leave-one-dataset-out transfer.
    pub dataset: Option<String>,
    /// Whether it affirms or denies, where that is known.
    pub polarity: Option<Polarity>,
}

/// Whether a statement affirms or denies ("is in Russia", "is not in Russia").
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Polarity {
    /// Without a negation.
    Affirmative,
    /// With a negation.
    Negated,
}

/// A suite of prompts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
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
    pub items: Vec<Item>,
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
        let (imported, bytes) = match (&wire.items, wire.sources.as_slice()) {
            (Some(items), []) => own_items(&folder.join(items), &doing)?,
            (None, [_, ..]) => {
                let root = folder.join(wire.root.as_deref().unwrap_or(Path::new("")));
                let imported = import(&wire.sources, &root, &doing)?;
                let digests = imported.digests.concat();
                (imported, digests)
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
        let sources = account::sources(&imported.items, &imported.source_of, imported.heads);
        if imported.items.is_empty() {
            return Err(nothing(&sources, &doing));
        }
        if wire.max_new_tokens == 0 {
            return Err(Fault::usage(&doing, "max_new_tokens: 0").expected("at least 1"));
        }
        let contrast = wire.contrast.map(|contrast| Contrast {
            tested: contrast.tested,
            against: contrast.against,
        });
        let suite = Self {
            id: wire.id,
            title: wire.title,
            purpose,
            contrast,
            max_new_tokens: wire.max_new_tokens,
            items: imported.items,
            sources,
            path: file,
            digest: crate::digest::sha256_of(&[text.as_bytes(), bytes.as_bytes()].concat()),
        };
        suite.check(&doing)?;
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

    fn check(&self, doing: &str) -> Result<()> {
        let mut by_id: HashMap<&str, &Item> = HashMap::with_capacity(self.items.len());
        for item in &self.items {
            if by_id.insert(&item.id, item).is_some() {
                return Err(
                    Fault::usage(doing, format!("two items with the id `{}`", item.id))
                        .expected("ids that are unique in the suite"),
                );
            }
        }
        for item in &self.items {
            if let Some(pair) = &item.pair
                && !by_id.contains_key(pair.as_str())
            {
                return Err(Fault::usage(
                    doing,
                    format!(
                        "item `{}` names the pair `{pair}`, which is not in the suite",
                        item.id
                    ),
                )
                .expected("the id of an item of the same suite")
                .hint("add the counterpart, or drop the item"));
            }
        }
        match (&self.contrast, self.purpose) {
            (Some(contrast), Purpose::Contrast) => self.check_contrast(contrast, &by_id, doing),
            (None, Purpose::Contrast) => Err(Fault::usage(
                doing,
                "purpose `contrast` without the key `contrast`",
            )
            .expected("`contrast: {tested: …, against: …}` naming two conditions of the items")),
            (Some(_), _) => Err(Fault::usage(
                doing,
                format!(
                    "the key `contrast` in a suite of purpose `{}`",
                    self.purpose.name()
                ),
            )
            .expected("`contrast` only where purpose is `contrast`")),
            (None, _) => Ok(()),
        }
    }

    fn check_contrast(
        &self,
        contrast: &Contrast,
        by_id: &HashMap<&str, &Item>,
        doing: &str,
    ) -> Result<()> {
        for condition in [&contrast.tested, &contrast.against] {
            if self.of_condition(condition).next().is_none() {
                return Err(
                    Fault::usage(doing, format!("no item of the condition `{condition}`"))
                        .expected("items of both conditions that `contrast` names"),
                );
            }
        }
        for item in self.of_condition(&contrast.tested) {
            let condition = item
                .pair
                .as_deref()
                .and_then(|pair| by_id.get(pair))
                .map(|pair| &pair.condition);
            if condition != Some(&contrast.against) {
                let found = condition.map_or_else(
                    || {
                        format!(
                            "item `{}` of the condition `{}` has no pair",
                            item.id, contrast.tested
                        )
                    },
                    |other| {
                        format!(
                            "the pair of item `{}` is of the condition `{other}`",
                            item.id
                        )
                    },
                );
                return Err(Fault::usage(doing, found)
                    .expected(format!("`pair` naming an item of the condition `{}` that differs in the condition alone", contrast.against))
                    .hint("patching compares equal-length prompts: add the counterpart, or drop the item"));
            }
        }
        Ok(())
    }
}

/// The items of a suite's own file, and its text.
fn own_items(path: &Path, doing: &str) -> Result<(Imported, String)> {
    let text = read(path, doing, "a file of items, one JSON object a line")?;
    let items = parse_items(&text, path)?;
    let head = Head {
        dataset: String::new(),
        file: path.to_owned(),
        rows: items.len(),
        skipped: Vec::new(),
    };
    let imported = Imported {
        source_of: vec![0; items.len()],
        items,
        heads: vec![head],
        digests: Vec::new(),
    };
    Ok((imported, text))
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

fn parse_items(text: &str, path: &Path) -> Result<Vec<Item>> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            let doing = || format!("reading `{}`, line {}", path.display(), index + 1);
            let wire: ItemWire = serde_json::from_str(line).map_err(|error| {
                // The item is a document of one line; where that line is has been said.
                let found = error.to_string().replace(" at line 1 column ", " at column ");
                Fault::usage(doing(), found)
                    .expected("one JSON object with id, group, condition, prompt or messages, and optionally template, response, answer, accept, foil, pair, label, dataset, polarity")
            })?;
            let prompt = match (wire.prompt, wire.messages) {
                (Some(_), Some(_)) => {
                    return Err(Fault::usage(doing(), "both `prompt` and `messages`").expected("one of them"));
                }
                (None, Some(messages)) => Prompt::chat(messages, &doing())?,
                (Some(prompt), None) if !prompt.trim().is_empty() => Prompt::Text(prompt),
                _ => {
                    return Err(Fault::usage(doing(), format!("item `{}` without a prompt", wire.id))
                        .expected("a non-empty `prompt`, or `messages`"));
                }
            };
            if let Some(label @ 2..) = wire.label {
                return Err(Fault::usage(doing(), format!("label {label}")).expected("0 or 1"));
            }
            Ok(Item {
                id: wire.id,
                group: wire.group,
                template: wire.template,
                condition: wire.condition,
                prompt,
                response: wire.response,
                answer: wire.answer,
                accept: wire.accept,
                foil: wire.foil,
                pair: wire.pair,
                label: wire.label,
                dataset: wire.dataset,
                polarity: wire.polarity,
            })
        })
        .collect()
}
