//! Intervals of shares, gaps and means over groups.

use crate::stats::{Estimate, clustered_bootstrap, clustered_bootstrap_of, mean, proportion};

use super::{Absent, Measurement};

/// Enough for the 2.5 % tails to settle: 25 resamples lie beyond each end.
pub(super) const RESAMPLES: usize = 1000;

/// Fixed, so that a verdict is a function of evidence and rules alone.
pub(super) const SEED: u64 = 0;

/// The share of items for which something holds: exact if every group has one item, otherwise over groups.
pub(super) fn share<'a>(
    items: impl IntoIterator<Item = (&'a str, bool)>,
) -> Result<Measurement, Absent> {
    let items: Vec<(&str, bool)> = items.into_iter().collect();
    let mut groups: Vec<&str> = items.iter().map(|(group, _)| *group).collect();
    groups.sort_unstable();
    groups.dedup();
    let exact = (groups.len() == items.len())
        .then(|| {
            proportion(
                items.iter().filter(|(_, holds)| *holds).count(),
                items.len(),
            )
        })
        .flatten();
    if let Some(estimate) = exact {
        return Ok(estimate.into());
    }
    let values: Vec<(&str, f64)> = items
        .iter()
        .map(|(group, holds)| (*group, f64::from(u8::from(*holds))))
        .collect();
    Ok(clustered_bootstrap(&values, RESAMPLES, SEED)?.into())
}

/// The mean difference of paired yes-or-no outcomes, in −1..=1.
pub(super) fn gap<'a>(
    pairs: impl IntoIterator<Item = (&'a str, bool, bool)>,
) -> Result<Estimate, Absent> {
    let (groups, values): (Vec<&str>, Vec<f64>) = pairs
        .into_iter()
        .map(|(group, tested, against)| {
            let difference = i8::from(tested) - i8::from(against);
            (group, f64::from(difference))
        })
        .unzip();
    let statistic = |rows: &[usize]| {
        let drawn: Vec<f64> = rows
            .iter()
            .filter_map(|row| values.get(*row).copied())
            .collect();
        mean(&drawn)
    };
    Ok(clustered_bootstrap_of(
        &groups,
        Some((-1.0, 1.0)),
        RESAMPLES,
        SEED,
        statistic,
    )?)
}

/// A number that is not a sample's mean (a maximum, a p-value): its interval is itself.
pub(super) const fn exactly(point: f64, n: usize, clusters: usize) -> Estimate {
    Estimate {
        point,
        low: point,
        high: point,
        n,
        clusters,
    }
}
