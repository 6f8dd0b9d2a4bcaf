//! Detector scores of every item, eight bytes each: detectors that read the same items share the list of them.

use std::collections::BTreeMap;

use super::Responses;
use crate::names::{Names, Number};

/// The score of one detector (or one SAE feature) on one item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score<'a> {
    /// Suite id.
    pub suite: &'a str,
    /// Item id.
    pub item: &'a str,
    /// The item's group.
    pub group: &'a str,
    /// The item's condition.
    pub condition: &'a str,
    /// Detector id.
    pub detector: &'a str,
    /// The feature's index, for an SAE.
    pub feature: Option<usize>,
    /// The aggregated score that is compared with the threshold.
    pub value: f64,
}

/// The scores of an audit, by detector, feature, suite and condition; within these in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub struct Scores {
    /// Suites, items, groups and conditions, which responses name too.
    names: Names,
    detectors: Names,
    columns: BTreeMap<Key, Column>,
    rolls: Vec<Vec<Row>>,
    /// The roll that the detectors of a suite and condition begin with.
    begun: BTreeMap<(Number, Number), usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    detector: Number,
    feature: Option<usize>,
    suite: Number,
    condition: Number,
}

/// The values of one column. Which items they are of, the first of a roll say.
#[derive(Debug, Clone)]
struct Column {
    roll: usize,
    values: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    item: Number,
    group: Number,
}

impl Scores {
    /// No scores yet, of the items of these responses: ids are held once for both.
    #[must_use]
    pub fn beside(responses: &Responses) -> Self {
        Self {
            names: responses.names(),
            ..Self::default()
        }
    }

    /// Adds one score.
    pub fn push(&mut self, score: Score<'_>) {
        let key = Key {
            detector: self.detectors.number(score.detector),
            feature: score.feature,
            suite: self.names.number(score.suite),
            condition: self.names.number(score.condition),
        };
        let row = Row {
            item: self.names.number(score.item),
            group: self.names.number(score.group),
        };
        let rolls = &mut self.rolls;
        let column = self.columns.entry(key).or_insert_with(|| Column {
            roll: *self
                .begun
                .entry((key.suite, key.condition))
                .or_insert_with(|| {
                    rolls.push(Vec::new());
                    rolls.len() - 1
                }),
            values: Vec::new(),
        });
        let (at, last) = (column.values.len(), rolls.len());
        if let Some(roll) = rolls.get_mut(column.roll) {
            if roll.len() == at {
                roll.push(row);
            } else if roll.get(at) != Some(&row) {
                // Other items than those of the detectors before it: a roll of its own from here on.
                let mut own: Vec<Row> = roll.iter().take(at).copied().collect();
                own.push(row);
                rolls.push(own);
                column.roll = last;
            }
        }
        column.values.push(score.value);
    }

    fn rows<'a>(&'a self, column: &'a Column) -> impl Iterator<Item = (&'a Row, f64)> {
        let roll = self.rolls.get(column.roll).map_or(&[][..], Vec::as_slice);
        roll.iter().zip(column.values.iter().copied())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Every score.
    pub fn iter(&self) -> impl Iterator<Item = Score<'_>> {
        let columns = self.columns.iter();
        columns.flat_map(|(key, column)| self.scores(key, column))
    }

    /// The scores of one detector, or of one feature of an SAE.
    pub fn of(&self, detector: &str, feature: Option<usize>) -> impl Iterator<Item = Score<'_>> {
        let detector = self.detectors.known(detector);
        let columns = self.columns.iter();
        columns
            .filter(move |(key, _)| Some(key.detector) == detector && key.feature == feature)
            .flat_map(|(key, column)| self.scores(key, column))
    }

    /// The scores of one detector, of all its features if it is an SAE.
    pub fn of_detector(&self, detector: &str) -> impl Iterator<Item = Score<'_>> {
        let detector = self.detectors.known(detector);
        let columns = self.columns.iter();
        columns
            .filter(move |(key, _)| Some(key.detector) == detector)
            .flat_map(|(key, column)| self.scores(key, column))
    }

    /// One value for each item of a detector: of the features of an SAE what `better` makes of their values.
    #[must_use]
    pub fn best(&self, detector: &str, better: &dyn Fn(f64, f64) -> f64) -> Best<'_> {
        let detector = self.detectors.known(detector);
        let mut best: Vec<(Number, Number, f64)> = Vec::new();
        for (key, column) in self
            .columns
            .iter()
            .filter(|(key, _)| Some(key.detector) == detector)
        {
            let before = best.len();
            for (row, read) in self.rows(column) {
                let so_far = best.get_mut(..before).unwrap_or_default();
                match so_far.binary_search_by_key(&(key.suite, row.item), key_of) {
                    Ok(place) => {
                        if let Some((.., value)) = so_far.get_mut(place) {
                            *value = better(*value, read);
                        }
                    }
                    Err(_) => best.push((key.suite, row.item, read)),
                }
            }
            if best.len() > before {
                best.sort_by_key(key_of);
            }
        }
        Best { scores: self, best }
    }

    /// The features that a detector was scored on; `[None]` for a probe.
    #[must_use]
    pub fn features(&self, detector: &str) -> Vec<Option<usize>> {
        let detector = self.detectors.known(detector);
        let keys = self.columns.keys();
        let mut features: Vec<_> = keys
            .filter(|key| Some(key.detector) == detector)
            .map(|key| key.feature)
            .collect();
        features.dedup();
        features
    }

    fn scores<'a>(&'a self, key: &'a Key, column: &'a Column) -> impl Iterator<Item = Score<'a>> {
        let rows = self.rows(column);
        rows.map(|(row, value)| Score {
            suite: self.names.text(key.suite),
            item: self.names.text(row.item),
            group: self.names.text(row.group),
            condition: self.names.text(key.condition),
            detector: self.detectors.text(key.detector),
            feature: key.feature,
            value,
        })
    }
}

/// One value for each item, sorted by suite and item.
#[derive(Debug, Clone)]
pub struct Best<'a> {
    scores: &'a Scores,
    best: Vec<(Number, Number, f64)>,
}

fn key_of((suite, item, _): &(Number, Number, f64)) -> (Number, Number) {
    (*suite, *item)
}

impl Best<'_> {
    /// The value of an item.
    #[must_use]
    pub fn get(&self, suite: &str, item: &str) -> Option<f64> {
        let names = &self.scores.names;
        let key = (names.known(suite)?, names.known(item)?);
        let place = self.best.binary_search_by_key(&key, key_of).ok()?;
        self.best.get(place).map(|(.., value)| *value)
    }

    /// Every value.
    pub fn values(&self) -> impl Iterator<Item = f64> {
        self.best.iter().map(|(.., value)| *value)
    }
}

impl<'a> Extend<Score<'a>> for Scores {
    fn extend<T: IntoIterator<Item = Score<'a>>>(&mut self, scores: T) {
        scores.into_iter().for_each(|score| self.push(score));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Score, Scores};

    /// Item, group and value.
    type Row = (String, String, f64);

    proptest! {
        /// Whatever items detectors read, in whatever order, each score comes back with its item.
        #[test]
        fn scores_come_back_with_their_items(rows in prop::collection::vec((0..3_usize, 0..2_usize, 0..2_usize, 0..6_usize), 0..60)) {
            let name = |kind: &str, number: usize| format!("{kind}{number}");
            let mut scores = Scores::default();
            let mut expected: BTreeMap<(usize, usize, usize), Vec<Row>> = BTreeMap::new();
            for (at, &(detector, suite, condition, item)) in rows.iter().enumerate() {
                let value = f64::from(u32::try_from(at).unwrap_or(0));
                scores.push(Score {
                    suite: &name("suite", suite),
                    item: &name("item", item),
                    group: &name("group", item / 2),
                    condition: &name("condition", condition),
                    detector: &name("detector", detector),
                    feature: None,
                    value,
                });
                let key = (detector, suite, condition);
                let row = (name("item", item), name("group", item / 2), value);
                expected.entry(key).or_default().push(row);
            }
            for ((detector, suite, condition), rows) in &expected {
                let detector = name("detector", *detector);
                let of = scores.of(&detector, None);
                let here = of.filter(|score| {
                    score.suite == name("suite", *suite) && score.condition == name("condition", *condition)
                });
                let found: Vec<_> = here
                    .map(|score| (score.item.to_owned(), score.group.to_owned(), score.value))
                    .collect();
                prop_assert_eq!(&found, rows);
            }
            prop_assert_eq!(scores.iter().count(), rows.len());
        }

        /// The best of each item is the best of its values, over every feature.
        #[test]
        fn the_best_is_taken_of_every_item(rows in prop::collection::vec((0..3_usize, 0..5_usize, -9..9_i32), 0..40)) {
            let mut scores = Scores::default();
            let mut expected: BTreeMap<String, f64> = BTreeMap::new();
            let mut seen: Vec<(usize, usize)> = Vec::new();
            for &(feature, item, value) in &rows {
                // A feature reads an item once.
                if seen.contains(&(feature, item)) {
                    continue;
                }
                seen.push((feature, item));
                let id = format!("item{item}");
                let value = f64::from(value);
                scores.push(Score {
                    suite: "suite",
                    item: &id,
                    group: "group",
                    condition: "condition",
                    detector: "sae",
                    feature: Some(feature),
                    value,
                });
                let best = expected.entry(id).or_insert(value);
                *best = best.max(value);
            }
            let best = scores.best("sae", &f64::max);
            for (item, value) in &expected {
                prop_assert_eq!(best.get("suite", item), Some(*value));
            }
            prop_assert_eq!(best.values().count(), expected.len());
            prop_assert_eq!(best.get("suite", "another"), None);
        }
    }
}
