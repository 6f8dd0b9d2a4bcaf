//! What a suite is made of, in numbers: where its items come from, what was left out and why, labels, groups, repetitions.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::item::Item;
use crate::digest::short_of;
use crate::names::{Names, Number};

/// Lines that a reason shows at most, and reasons that are told apart.
const LINES: usize = 5;
const REASONS: usize = 20;

/// Rows that gave no item, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Why.
    pub reason: String,
    /// How many rows.
    pub rows: usize,
    /// The first lines of the file where they begin.
    pub lines: Vec<u64>,
}

impl Skipped {
    /// Counts a row.
    pub(super) fn count(all: &mut Vec<Self>, reason: &str, line: u64) {
        let known = all.iter().position(|skipped| skipped.reason == reason);
        let place = match known {
            None if all.len() < REASONS => {
                all.push(Self {
                    reason: if all.len() + 1 < REASONS {
                        reason
                    } else {
                        "other reasons"
                    }
                    .to_owned(),
                    rows: 0,
                    lines: Vec::new(),
                });
                all.len() - 1
            }
            None => all.len() - 1,
            Some(place) => place,
        };
        if let Some(skipped) = all.get_mut(place) {
            skipped.rows += 1;
            if skipped.lines.len() < LINES {
                skipped.lines.push(line);
            }
        }
    }
}

impl fmt::Display for Skipped {
    /// `2 rows left out, `label` is empty (lines 3, 8)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = |count: usize| if count == 1 { "" } else { "s" };
        let lines: Vec<String> = self.lines.iter().map(u64::to_string).collect();
        write!(
            f,
            "{} row{} left out, {} (line{} {}{})",
            self.rows,
            many(self.rows),
            self.reason,
            many(lines.len()),
            lines.join(", "),
            if self.rows > lines.len() { ", …" } else { "" }
        )
    }
}

/// A file of a suite and what became of its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The data set; empty for a suite's own file of items.
    pub dataset: String,
    /// Where the rows lie.
    pub file: PathBuf,
    /// Rows of the file.
    pub rows: usize,
    /// Rows that gave no item.
    pub skipped: Vec<Skipped>,
    /// Items that the other rows gave.
    pub items: usize,
    /// Items by label.
    pub labels: Labels,
    /// Groups that its items belong to; groups of several files count in each.
    pub groups: usize,
    /// Items whose prompt and response stood before.
    pub repeated: Repeated,
    /// The item with the most characters, prompt and response.
    pub longest: Option<Longest>,
}

impl Source {
    /// Rows that gave no item.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.skipped.iter().map(|skipped| skipped.rows).sum()
    }
}

/// Items by label.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Labels {
    /// Of label 1.
    pub one: usize,
    /// Of label 0.
    pub zero: usize,
    /// Without a label.
    pub none: usize,
}

/// Items whose prompt and response stood before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Repeated {
    /// In the same source.
    pub within: usize,
    /// In an earlier source.
    pub across: usize,
    /// Those of them with another label than before.
    pub contradicting: usize,
}

/// An item and its length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Longest {
    /// Its id.
    pub id: String,
    /// Characters of prompt and response.
    pub characters: usize,
}

/// What is known of a source before its items are counted.
#[derive(Debug)]
pub(super) struct Head {
    pub dataset: String,
    pub file: PathBuf,
    pub rows: usize,
    pub skipped: Vec<Skipped>,
}

/// What the model reads of an item: two items with the same text are one to it.
pub(super) fn content(item: &Item) -> String {
    let response = item.response.as_deref().unwrap_or_default();
    format!("{}\u{0}{response}", item.prompt)
}

/// Counts the items of each source as they come.
#[derive(Default)]
pub(super) struct Counting {
    sources: Vec<Counted>,
    names: Names,
    groups: HashSet<(usize, Number)>,
    /// Where each text stood first, and with which label.
    first: HashMap<[u8; 16], First>,
}

#[derive(Clone, Copy)]
struct First {
    source: usize,
    label: Option<u8>,
    group: Number,
}

/// An item with the text of an earlier one, in another group: copies are no independent evidence.
pub(super) struct Parted {
    /// The item.
    pub id: String,
    /// Its group.
    pub group: String,
    /// That of the earlier item.
    pub earlier: String,
}

#[derive(Default)]
struct Counted {
    items: usize,
    labels: Labels,
    groups: usize,
    repeated: Repeated,
    longest: Option<Longest>,
}

impl Counting {
    /// Counts an item of the source of that number, and says if it is a copy of one in another group.
    pub fn count(&mut self, item: &Item, number: usize) -> Option<Parted> {
        if self.sources.len() <= number {
            self.sources.resize_with(number + 1, Counted::default);
        }
        let source = self.sources.get_mut(number)?;
        source.items += 1;
        match item.label {
            Some(0) => source.labels.zero += 1,
            Some(_) => source.labels.one += 1,
            None => source.labels.none += 1,
        }
        let group = self.names.number(&item.group);
        source.groups += usize::from(self.groups.insert((number, group)));
        let text = content(item);
        let characters = text.chars().count() - 1;
        let longest = source.longest.as_ref();
        if longest.is_none_or(|longest| longest.characters < characters) {
            source.longest = Some(Longest {
                id: item.id.clone(),
                characters,
            });
        }
        match self.first.entry(short_of(text.as_bytes())) {
            Entry::Occupied(first) => {
                let first = *first.get();
                let repeated = &mut source.repeated;
                if first.source == number {
                    repeated.within += 1;
                } else {
                    repeated.across += 1;
                }
                repeated.contradicting += usize::from(first.label != item.label);
                (first.group != group).then(|| Parted {
                    id: item.id.clone(),
                    group: item.group.clone(),
                    earlier: self.names.text(first.group).to_owned(),
                })
            }
            Entry::Vacant(place) => {
                place.insert(First {
                    source: number,
                    label: item.label,
                    group,
                });
                None
            }
        }
    }

    /// What became of the rows of each source.
    pub fn finish(self, heads: Vec<Head>) -> Vec<Source> {
        let counted = self
            .sources
            .into_iter()
            .chain(std::iter::repeat_with(Counted::default));
        let sources = heads.into_iter().zip(counted);
        sources
            .map(|(head, counted)| Source {
                dataset: head.dataset,
                file: head.file,
                rows: head.rows,
                skipped: head.skipped,
                items: counted.items,
                labels: counted.labels,
                groups: counted.groups,
                repeated: counted.repeated,
                longest: counted.longest,
            })
            .collect()
    }
}
