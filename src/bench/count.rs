//! Counting trials.

use std::collections::BTreeMap;

use serde::Serialize;

use super::trial::Trial;
use crate::stats::{Rate, quantile};

/// The share of trials of which something holds; `None` where there are none.
pub(super) fn rate<'a>(
    trials: impl Iterator<Item = &'a Trial>,
    holds: impl Fn(&Trial) -> bool,
) -> Option<Rate> {
    let (mut hits, mut of) = (0, 0);
    for trial in trials {
        of += 1;
        hits += usize::from(holds(trial));
    }
    Rate::of(hits, of)
}

/// The trials of each model, whatever its export.
pub(super) fn by_model<'a>(trials: impl Iterator<Item = &'a Trial>) -> Vec<Vec<&'a Trial>> {
    grouped(trials, Trial::organism)
}

/// The trials of each seed of each family, which share words, facts and suites.
pub(super) fn by_world<'a>(trials: impl Iterator<Item = &'a Trial>) -> Vec<Vec<&'a Trial>> {
    grouped(trials, |trial| (trial.family.clone(), trial.organism_seed))
}

fn grouped<'a, K: Ord>(
    trials: impl Iterator<Item = &'a Trial>,
    key: impl Fn(&Trial) -> K,
) -> Vec<Vec<&'a Trial>> {
    let mut groups: BTreeMap<K, Vec<&Trial>> = BTreeMap::new();
    for trial in trials {
        groups.entry(key(trial)).or_default().push(trial);
    }
    groups.into_values().collect()
}

/// A median with its range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.collect();
        Some(Self {
            median: quantile(&values, 0.5)?,
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}
