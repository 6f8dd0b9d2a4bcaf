//! What a sample can show before it is drawn: exact binomial for shares, the usual normal approximation for paired differences.
#![allow(
    clippy::cast_precision_loss,
    reason = "counts of items are far below 2^52"
)]

use statrs::function::beta::beta_reg;

use super::binomial::beta_quantile;
use super::{Resampling, bounded_mean_of_groups, clopper_pearson, clopper_pearson_upper};

/// Fewest cases among `n` trials whose two-sided exact interval lies at or above `bar`; `None` if not even `n` are enough.
#[must_use]
pub fn cases_needed(n: usize, bar: f64, confidence: f64) -> Option<usize> {
    fewest(n, |k| clopper_pearson(k, n, confidence).0 >= bar)
}

/// The same of `n` differences that can be −1 too: fewest that are 1, all others 0, whose interval ([`bounded_mean_of_groups`]) does.
#[must_use]
pub fn differences_needed(n: usize, bar: f64, how: &Resampling) -> Option<usize> {
    let interval = |k: usize| {
        let difference = |at: usize| f64::from(u8::from(at < k));
        let differences: Vec<f64> = (0..n).map(difference).collect();
        bounded_mean_of_groups(&differences, (-1.0, 1.0), how)
    };
    fewest(n, |k| interval(k).is_ok_and(|found| found.low >= bar))
}

/// The smallest number up to `n` that is enough, where whatever is more than enough is enough.
fn fewest(n: usize, enough: impl Fn(usize) -> bool) -> Option<usize> {
    if !enough(n) {
        return None;
    }
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = usize::midpoint(low, high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(high)
}

/// Probability that the exact interval of `n` trials lies at or above `bar` where the true share is `share`.
#[must_use]
pub fn power_of_share(n: usize, share: f64, bar: f64, confidence: f64) -> f64 {
    match cases_needed(n, bar, confidence) {
        None => 0.0,
        Some(0) => 1.0,
        Some(k) => at_least(k, n, share),
    }
}

/// The share of which `n` trials give `cases` or more with probability `power`.
#[must_use]
pub fn share_for(cases: usize, n: usize, power: f64) -> f64 {
    match cases {
        0 => 0.0,
        // Of n trials at least k are cases with probability I_p(k, n − k + 1), which this inverts.
        k => beta_quantile(k as f64, (n.saturating_sub(k) + 1) as f64, power),
    }
}

/// Fewest trials of which `cases` or fewer show a share of at most `bound`, exactly and one-sided; `None` if a million do not.
#[must_use]
pub fn trials_for_bound(cases: usize, bound: f64, confidence: f64) -> Option<usize> {
    let shown = |n: usize| clopper_pearson_upper(cases, n, confidence) <= bound;
    let (mut low, mut high) = (cases, MOST_TRIALS);
    if !shown(high) {
        return None;
    }
    while low < high {
        let middle = usize::midpoint(low, high);
        if shown(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(high)
}

/// Trials from which on a true share of `share` is always shown to be at or above `bar` with probability `power`, exactly and
/// one-sided; `None` if `most` are not enough. The power of an exact test is a saw: fewer trials can do by luck.
#[must_use]
pub fn trials_for_power(
    share: f64,
    bar: f64,
    confidence: f64,
    power: f64,
    most: usize,
) -> Option<usize> {
    // Of a two-sided interval at this confidence the lower end is the one-sided bound.
    let two_sided = 1.0 - 2.0 * (1.0 - confidence);
    let lacking = (1..=most)
        .rev()
        .find(|n| power_of_share(*n, share, bar, two_sided) < power);
    match lacking {
        None => Some(1),
        Some(n) if n < most => Some(n + 1),
        Some(_) => None,
    }
}

/// Beyond this a sample is no plan.
const MOST_TRIALS: usize = 1_000_000;

/// Probability of `k` or more cases, `k` at least 1, among `n` trials.
fn at_least(k: usize, n: usize, share: f64) -> f64 {
    match share {
        share if share <= 0.0 => 0.0,
        share if share >= 1.0 => 1.0,
        share => beta_reg(k as f64, (n - k + 1) as f64, share),
    }
}
