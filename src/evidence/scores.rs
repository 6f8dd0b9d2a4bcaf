//! Detector scores of every item, sixteen bytes each.

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
    columns: BTreeMap<Key, Vec<Row>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    detector: Number,
    feature: Option<usize>,
    suite: Number,
    condition: Number,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    item: Number,
    group: Number,
    value: f64,
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
            value: score.value,
        };
        self.columns.entry(key).or_default().push(row);
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Every score.
    pub fn iter(&self) -> impl Iterator<Item = Score<'_>> {
        let columns = self.columns.iter();
        columns.flat_map(|(key, rows)| rows.iter().map(|row| self.score(key, row)))
    }

    /// The scores of one detector, or of one feature of an SAE.
    pub fn of(&self, detector: &str, feature: Option<usize>) -> impl Iterator<Item = Score<'_>> {
        let detector = self.detectors.known(detector);
        let columns = self.columns.iter();
        columns
            .filter(move |(key, _)| Some(key.detector) == detector && key.feature == feature)
            .flat_map(|(key, rows)| rows.iter().map(|row| self.score(key, row)))
    }

    /// The scores of one detector, of all its features if it is an SAE.
    pub fn of_detector(&self, detector: &str) -> impl Iterator<Item = Score<'_>> {
        let detector = self.detectors.known(detector);
        let columns = self.columns.iter();
        columns
            .filter(move |(key, _)| Some(key.detector) == detector)
            .flat_map(|(key, rows)| rows.iter().map(|row| self.score(key, row)))
    }

    /// One value for each item of a detector: of the features of an SAE what `better` makes of their values.
    #[must_use]
    pub fn best(&self, detector: &str, better: &dyn Fn(f64, f64) -> f64) -> Best<'_> {
        let detector = self.detectors.known(detector);
        let mut best: Vec<(Number, Number, f64)> = Vec::new();
        for (key, rows) in self
            .columns
            .iter()
            .filter(|(key, _)| Some(key.detector) == detector)
        {
            let before = best.len();
            for row in rows {
                let so_far = best.get_mut(..before).unwrap_or_default();
                match so_far.binary_search_by_key(&(key.suite, row.item), key_of) {
                    Ok(place) => {
                        if let Some((.., value)) = so_far.get_mut(place) {
                            *value = better(*value, row.value);
                        }
                    }
                    Err(_) => best.push((key.suite, row.item, row.value)),
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

    fn score(&self, key: &Key, row: &Row) -> Score<'_> {
        Score {
            suite: self.names.text(key.suite),
            item: self.names.text(row.item),
            group: self.names.text(row.group),
            condition: self.names.text(key.condition),
            detector: self.detectors.text(key.detector),
            feature: key.feature,
            value: row.value,
        }
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
