//! Detector scores of every item, sixteen bytes each.

use std::collections::{BTreeMap, HashMap};

use super::Name;

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
    names: Vec<Name>,
    known: HashMap<Name, u32>,
    columns: BTreeMap<Key, Vec<Row>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    detector: u32,
    feature: Option<usize>,
    suite: u32,
    condition: u32,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    item: u32,
    group: u32,
    value: f64,
}

impl Scores {
    /// Adds one score.
    pub fn push(&mut self, score: Score<'_>) {
        let key = Key {
            detector: self.number(score.detector),
            feature: score.feature,
            suite: self.number(score.suite),
            condition: self.number(score.condition),
        };
        let row = Row {
            item: self.number(score.item),
            group: self.number(score.group),
            value: score.value,
        };
        self.columns.entry(key).or_default().push(row);
    }

    /// Every score.
    pub fn iter(&self) -> impl Iterator<Item = Score<'_>> {
        let columns = self.columns.iter();
        columns.flat_map(|(key, rows)| rows.iter().map(|row| self.score(key, row)))
    }

    /// The scores of one detector, or of one feature of an SAE.
    pub fn of(&self, detector: &str, feature: Option<usize>) -> impl Iterator<Item = Score<'_>> {
        let detector = self.known.get(detector).copied();
        let columns = self.columns.iter();
        columns
            .filter(move |(key, _)| Some(key.detector) == detector && key.feature == feature)
            .flat_map(|(key, rows)| rows.iter().map(|row| self.score(key, row)))
    }

    /// The scores of one detector, of all its features if it is an SAE.
    pub fn of_detector(&self, detector: &str) -> impl Iterator<Item = Score<'_>> {
        let detector = self.known.get(detector).copied();
        let columns = self.columns.iter();
        columns
            .filter(move |(key, _)| Some(key.detector) == detector)
            .flat_map(|(key, rows)| rows.iter().map(|row| self.score(key, row)))
    }

    /// The features that a detector was scored on; `[None]` for a probe.
    #[must_use]
    pub fn features(&self, detector: &str) -> Vec<Option<usize>> {
        let detector = self.known.get(detector).copied();
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
            suite: self.name(key.suite),
            item: self.name(row.item),
            group: self.name(row.group),
            condition: self.name(key.condition),
            detector: self.name(key.detector),
            feature: key.feature,
            value: row.value,
        }
    }

    fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", Name::as_str)
    }

    fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.known.get(text) {
            return number;
        }
        let name = Name::from(text);
        // Memory ends long before four thousand million names do.
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.clone());
        self.known.insert(name, number);
        number
    }
}

impl<'a> Extend<Score<'a>> for Scores {
    fn extend<T: IntoIterator<Item = Score<'a>>>(&mut self, scores: T) {
        scores.into_iter().for_each(|score| self.push(score));
    }
}
