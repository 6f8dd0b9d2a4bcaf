//! Intervals of shares, gaps and means over groups.

use crate::stats::{CONFIDENCE, Estimate, Resampling, bounded_mean, clustered_mean, proportion_at};

use super::{Absent, Measurement};

/// Enough for the 2.5 % tails to settle: 25 resamples lie beyond each end.
pub const RESAMPLES: usize = 1000;

/// Fixed, so that a verdict is a function of evidence and rules alone.
pub const SEED: u64 = 0;

/// How an interval is made so that all of `family` such intervals hold at once with 95 % (Bonferroni): as many resamples as before
/// lie beyond each end.
#[allow(
    clippy::cast_precision_loss,
    reason = "numbers of rules are far below 2^52"
)]
pub(in crate::rules) fn simultaneous(family: usize) -> Resampling {
    let family = family.max(1);
    Resampling {
        confidence: 1.0 - (1.0 - CONFIDENCE) / family as f64,
        resamples: RESAMPLES.saturating_mul(family),
        seed: SEED,
    }
}

/// The share of items for which something holds: exact if every group has one item, otherwise over groups.
///
/// Of an item that could not be told (`None`) the point counts that nothing holds; the lower end does so too, and the upper end counts that
/// it does, so that failed items neither clear nor convict.
pub(super) fn share<'a>(
    items: impl IntoIterator<Item = (&'a str, Option<bool>)>,
    how: &Resampling,
) -> Result<Measurement, Absent> {
    let items: Vec<(&str, Option<bool>)> = items.into_iter().collect();
    let with = |untold: bool| {
        let told = items
            .iter()
            .map(|(group, holds)| (*group, holds.unwrap_or(untold)));
        share_of(&told.collect::<Vec<_>>(), how)
    };
    let untold = items.iter().filter(|(_, holds)| holds.is_none()).count();
    let least = with(false)?;
    if untold == 0 {
        return Ok(least.into());
    }
    let high = with(true)?.high;
    Ok(Measurement::from(Estimate { high, ..least }).noted(Some(untold_note(untold))))
}

fn share_of(items: &[(&str, bool)], how: &Resampling) -> Result<Estimate, Absent> {
    let mut groups: Vec<&str> = items.iter().map(|(group, _)| *group).collect();
    groups.sort_unstable();
    groups.dedup();
    let cases = items.iter().filter(|(_, holds)| *holds).count();
    let exact = (groups.len() == items.len())
        .then(|| proportion_at(cases, items.len(), how.confidence))
        .flatten();
    if let Some(estimate) = exact {
        return Ok(estimate);
    }
    let values: Vec<(&str, f64)> = items
        .iter()
        .map(|(group, holds)| (*group, f64::from(u8::from(*holds))))
        .collect();
    Ok(bounded_mean(&values, (0.0, 1.0), how)?)
}

/// The mean difference of paired yes-or-no outcomes, in −1..=1. What could not be told widens the interval to both sides, as in [`share`].
pub(super) fn gap<'a>(
    pairs: impl IntoIterator<Item = (&'a str, Option<bool>, Option<bool>)>,
    how: &Resampling,
) -> Result<Measurement, Absent> {
    let pairs: Vec<(&str, Option<bool>, Option<bool>)> = pairs.into_iter().collect();
    let with = |tested_untold: bool, against_untold: bool| {
        let values: Vec<(&str, f64)> = pairs
            .iter()
            .map(|(group, tested, against)| {
                let tested = tested.unwrap_or(tested_untold);
                let against = against.unwrap_or(against_untold);
                let difference = i8::from(tested) - i8::from(against);
                (*group, f64::from(difference))
            })
            .collect();
        bounded_mean(&values, (-1.0, 1.0), how)
    };
    let untold = pairs
        .iter()
        .filter(|(_, tested, against)| tested.is_none() || against.is_none())
        .count();
    let plain = with(false, false)?;
    if untold == 0 {
        return Ok(plain.into());
    }
    let (low, high) = (with(false, true)?.low, with(true, false)?.high);
    let estimate = Estimate { low, high, ..plain };
    Ok(Measurement::from(estimate).noted(Some(untold_note(untold))))
}

fn untold_note(untold: usize) -> String {
    let items = counted(untold, "failed item", "failed items");
    format!("the interval allows either of {items}")
}

/// Fewest groups that say anything of a mean: were half of all groups otherwise, six alike would be seen in one sample of 64 (2^−6 is
/// below 0.025).
const FEWEST_GROUPS: usize = 6;

/// The mean of values without bounds, each group counted once, with its interval by Student's t.
pub(super) fn mean_of_groups(values: &[(&str, f64)]) -> Result<Measurement, Absent> {
    let estimate = clustered_mean(values)?;
    if estimate.clusters < FEWEST_GROUPS {
        return Err(Absent::unknown(format!(
            "it was measured on {}: a mean over fewer than {FEWEST_GROUPS} says nothing of the others",
            counted(estimate.clusters, "group", "groups")
        )));
    }
    Ok(estimate.into())
}

/// `1 item`, `2 items`.
fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
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
