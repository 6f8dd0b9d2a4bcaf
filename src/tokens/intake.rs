//! Taking in the items of a suite one by one, and checking what can only be seen of all of them.

use super::account::{Counting, Head, Parted, Source};
use super::item::Item;
use super::suite::{Contrast, Purpose};
use crate::fault::{Fault, Result};
use crate::names::{Names, Number};

/// Where items go.
pub trait Store: Sized {
    /// The store while it is filled.
    type Open;

    /// An empty one.
    ///
    /// # Errors
    /// The disk cannot be written.
    fn begin() -> Result<Self::Open>;

    /// Adds an item.
    ///
    /// # Errors
    /// The disk is full.
    fn add(to: &mut Self::Open, item: Item) -> Result<()>;

    /// The store, given the counterpart of each item.
    ///
    /// # Errors
    /// The disk is full.
    fn finish(from: Self::Open, pairs: Vec<Option<Place>>) -> Result<Self>;
}

impl Store for Vec<Item> {
    type Open = Self;

    fn begin() -> Result<Self> {
        Ok(Self::new())
    }

    fn add(to: &mut Self, item: Item) -> Result<()> {
        to.push(item);
        Ok(())
    }

    fn finish(from: Self, _: Vec<Option<Place>>) -> Result<Self> {
        Ok(from)
    }
}

/// The place of an item in its suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u32);

impl Place {
    /// As an index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Items on their way into a suite, and what is remembered of them.
pub struct Intake<S: Store> {
    store: S::Open,
    counting: Counting,
    /// The first copy in another group.
    parted: Option<Parted>,
    names: Names,
    seen: Vec<Seen>,
}

struct Seen {
    id: Number,
    condition: Number,
    pair: Option<Number>,
}

impl<S: Store> Intake<S> {
    /// No items yet.
    pub fn begin() -> Result<Self> {
        Ok(Self {
            store: S::begin()?,
            counting: Counting::default(),
            parted: None,
            names: Names::default(),
            seen: Vec::new(),
        })
    }

    /// Takes in an item of the source of that number.
    pub fn take(&mut self, item: Item, source: usize) -> Result<()> {
        let parted = self.counting.count(&item, source);
        self.parted = self.parted.take().or(parted);
        let names = &mut self.names;
        self.seen.push(Seen {
            id: names.number(&item.id),
            condition: names.number(&item.condition),
            pair: item.pair.as_deref().map(|pair| names.number(pair)),
        });
        S::add(&mut self.store, item)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// What became of the rows of each source.
    pub fn sources(&mut self, heads: Vec<Head>) -> Vec<Source> {
        std::mem::take(&mut self.counting).finish(heads)
    }

    /// The items, if they are a suite.
    pub fn finish(self, purpose: Purpose, contrast: Option<&Contrast>, doing: &str) -> Result<S> {
        if let Some(copy) = &self.parted {
            return Err(Fault::usage(
                doing,
                format!(
                    "the item `{}` of the group `{}` has the text of an item of the group `{}`",
                    copy.id, copy.group, copy.earlier
                ),
            )
            .expected("copies in one group: intervals take groups for independent")
            .hint("give both the same `group`, or drop one"));
        }
        let pairs = self.pairs(doing)?;
        match (contrast, purpose) {
            (Some(contrast), Purpose::Contrast) => self.check_contrast(contrast, &pairs, doing)?,
            (None, Purpose::Contrast) => {
                return Err(
                    Fault::usage(doing, "purpose `contrast` without the key `contrast`").expected(
                        "`contrast: {tested: …, against: …}` naming two conditions of the items",
                    ),
                );
            }
            (Some(_), _) => {
                return Err(Fault::usage(
                    doing,
                    format!(
                        "the key `contrast` in a suite of purpose `{}`",
                        purpose.name()
                    ),
                )
                .expected("`contrast` only where purpose is `contrast`"));
            }
            (None, _) => {}
        }
        S::finish(self.store, pairs)
    }

    /// The counterpart of each item; ids are unique, and every counterpart is there.
    fn pairs(&self, doing: &str) -> Result<Vec<Option<Place>>> {
        let mut by_id: Vec<(Number, Place)> = Vec::with_capacity(self.seen.len());
        for (seen, place) in self.seen.iter().zip(0..) {
            by_id.push((seen.id, Place(place)));
        }
        by_id.sort_unstable();
        let twice = by_id.windows(2).filter_map(|two| match two {
            [(a, _), (b, second)] if a == b => Some((*second, *b)),
            _ => None,
        });
        if let Some((_, id)) = twice.min() {
            return Err(Fault::usage(
                doing,
                format!("two items with the id `{}`", self.names.text(id)),
            )
            .expected("ids that are unique in the suite"));
        }
        let find = |seen: &Seen| -> Result<Option<Place>> {
            let Some(pair) = seen.pair else {
                return Ok(None);
            };
            let found = by_id.binary_search_by_key(&pair, |(id, _)| *id).ok();
            let found = found.and_then(|at| by_id.get(at)).map(|(_, place)| *place);
            found.map(Some).ok_or_else(|| {
                Fault::usage(
                    doing,
                    format!(
                        "item `{}` names the pair `{}`, which is not in the suite",
                        self.names.text(seen.id),
                        self.names.text(pair)
                    ),
                )
                .expected("the id of an item of the same suite")
                .hint("add the counterpart, or drop the item")
            })
        };
        self.seen.iter().map(find).collect()
    }

    fn check_contrast(
        &self,
        contrast: &Contrast,
        pairs: &[Option<Place>],
        doing: &str,
    ) -> Result<()> {
        let number = |condition: &String| {
            let known = self.names.known(condition);
            let known = known.filter(|&known| self.seen.iter().any(|seen| seen.condition == known));
            known.ok_or_else(|| {
                Fault::usage(doing, format!("no item of the condition `{condition}`"))
                    .expected("items of both conditions that `contrast` names")
            })
        };
        let (tested, against) = (number(&contrast.tested)?, number(&contrast.against)?);
        let items = self.seen.iter().zip(pairs);
        for (seen, pair) in items.filter(|(seen, _)| seen.condition == tested) {
            let pair = pair.and_then(|place| self.seen.get(place.index()));
            if pair.is_some_and(|pair| pair.condition == against) {
                continue;
            }
            let id = self.names.text(seen.id);
            let found = match pair {
                None => format!(
                    "item `{id}` of the condition `{}` has no pair",
                    contrast.tested
                ),
                Some(pair) => format!(
                    "the pair of item `{id}` is of the condition `{}`",
                    self.names.text(pair.condition)
                ),
            };
            return Err(Fault::usage(doing, found)
                .expected(format!("`pair` naming an item of the condition `{}` that differs in the condition alone", contrast.against))
                .hint("patching compares equal-length prompts: add the counterpart, or drop the item"));
        }
        Ok(())
    }
}
