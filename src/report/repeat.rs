//! What changed when items were asked again.

use std::collections::{BTreeMap, BTreeSet};

use super::gate::{Noise, Repeat};
use super::record::DetectorRecord;
use crate::detect::Flags;
use crate::evidence::{Best, Evidence};
use crate::stats::proportion;

/// Compares the items that were asked again with their first answers and scores; `None` where none was.
#[must_use]
pub fn repeat(evidence: &Evidence, detectors: &[DetectorRecord]) -> Option<Repeat> {
    let first = evidence.responses.by_item();
    let again: Vec<_> = evidence
        .repeats
        .iter()
        .filter_map(|repeated| {
            let key = (repeated.suite.as_str(), repeated.item.as_str());
            Some((key, repeated, first.get(key.0, key.1)?))
        })
        .collect();
    let changed = again
        .iter()
        .filter(|(_, repeated, response)| !response.says(&repeated.text));
    let changed = changed.count();
    let mut flipped: Vec<bool> = again
        .iter()
        .map(|(_, repeated, response)| repeated.outcome != response.outcome())
        .collect();
    let asked: BTreeSet<(&str, &str)> = again.iter().map(|(key, ..)| *key).collect();
    let mut noise = Vec::new();
    for detector in detectors {
        let before: BTreeMap<(&str, &str, Option<usize>), f64> = evidence
            .scores
            .of_detector(&detector.id)
            .filter(|score| asked.contains(&(score.suite, score.item)))
            .map(|score| ((score.suite, score.item, score.feature), score.value))
            .collect();
        let mut largest: f64 = 0.0;
        let mut read = false;
        for (((suite, item), repeated, _), flipped) in again.iter().zip(&mut flipped) {
            let (mut was, mut is) = (None, None);
            let scores = repeated.scores.iter();
            for score in scores.filter(|score| score.detector == detector.id) {
                let Some(value) = before.get(&(*suite, *item, score.feature)) else {
                    continue;
                };
                read = true;
                largest = largest.max((score.value - value).abs());
                was = Some(stronger(detector, was, *value));
                is = Some(stronger(detector, is, score.value));
            }
            *flipped |= was
                .zip(is)
                .is_some_and(|(was, is)| detector.flags_item(was) != detector.flags_item(is));
        }
        if read {
            let scores = strongest(evidence, detector);
            let unstable = scores
                .values()
                .filter(|score| detector.is_within(*score, largest));
            noise.push(Noise {
                detector: detector.id.clone(),
                largest,
                unstable: unstable.count(),
            });
        }
    }
    let flips = flipped.iter().filter(|flipped| **flipped).count();
    Some(Repeat {
        items: again.len(),
        changed,
        flips: proportion(flips, again.len())?,
        noise,
    })
}

/// The score of each item: of an SAE that of the feature that comes nearest to a flag or goes farthest beyond.
pub(super) fn strongest<'a>(evidence: &'a Evidence, detector: &DetectorRecord) -> Best<'a> {
    let better = |a: f64, b: f64| match detector.flags.unwrap_or_default() {
        Flags::Above => a.max(b),
        Flags::Below => a.min(b),
    };
    evidence.scores.best(&detector.id, &better)
}

fn stronger(detector: &DetectorRecord, so_far: Option<f64>, value: f64) -> f64 {
    match (so_far, detector.flags.unwrap_or_default()) {
        (None, _) => value,
        (Some(other), Flags::Above) => other.max(value),
        (Some(other), Flags::Below) => other.min(value),
    }
}

impl DetectorRecord {
    /// Whether an item's score is a flag; one without a threshold flags nothing.
    pub(super) fn flags_item(&self, score: f64) -> bool {
        let rule = self.flags.zip(self.threshold);
        rule.is_some_and(|(flags, threshold)| flags.flag(score, threshold))
    }

    /// Whether a score lies within run-to-run noise of the threshold, so that a repetition could fall on its other side.
    pub(super) fn is_within(&self, score: f64, noise: f64) -> bool {
        let threshold = self.threshold;
        noise > 0.0 && threshold.is_some_and(|threshold| (score - threshold).abs() <= noise)
    }
}
