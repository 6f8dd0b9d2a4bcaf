//! Rank statistics: AUROC and the Mann–Whitney test.
#![allow(
    clippy::cast_precision_loss,
    reason = "sample sizes are far below 2^52"
)]
#![allow(clippy::float_cmp, reason = "ties are values that are exactly equal")]

use statrs::function::erf::erfc;

/// Ranks from 1, ties sharing the mean of their ranks, in the order of `values`.
#[must_use]
pub fn midranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0;
    for tied in order.chunk_by(|a, b| a.1 == b.1) {
        let (first, last) = (below + 1, below + tied.len());
        let rank = f64::midpoint(first as f64, last as f64);
        for (index, _) in tied {
            if let Some(slot) = ranks.get_mut(*index) {
                *slot = rank;
            }
        }
        below = last;
    }
    ranks
}

/// Area under the ROC curve: the probability that a random positive scores above a random negative, ties counting half.
///
/// `None` if either side is empty or holds a NaN.
#[must_use]
pub fn auroc(positives: &[f64], negatives: &[f64]) -> Option<f64> {
    let (u, _) = mann_whitney_u(positives, negatives)?;
    Some(u / (positives.len() as f64 * negatives.len() as f64))
}

/// Two-sided p-value of the Mann–Whitney test by the normal approximation with tie and continuity correction
/// (SciPy's `mannwhitneyu(method="asymptotic")`). 1 if all values are equal; `None` as for [`auroc`].
///
/// Assumes independent observations: with grouped items it ranks features, and the clustered interval of
/// [`auroc_interval`](super::auroc_interval) carries the claim.
#[must_use]
pub fn mann_whitney_p(positives: &[f64], negatives: &[f64]) -> Option<f64> {
    let (u, ties) = mann_whitney_u(positives, negatives)?;
    Some(p_of_u(
        u,
        ties,
        positives.len() as f64,
        negatives.len() as f64,
    ))
}

/// The p-value of U for `n1` positives and `n2` negatives.
pub(super) fn p_of_u(u: f64, ties: f64, n1: f64, n2: f64) -> f64 {
    let n = n1 + n2;
    let variance = n1 * n2 / 12.0 * ((n + 1.0) - ties / (n * (n - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    let mean = n1 * n2 / 2.0;
    let z = ((u - mean).abs() - 0.5) / variance.sqrt();
    erfc(z / std::f64::consts::SQRT_2).min(1.0)
}

/// U of the positives, and `Σ (t³ − t)` over groups of `t` tied values.
fn mann_whitney_u(positives: &[f64], negatives: &[f64]) -> Option<(f64, f64)> {
    let all: Vec<f64> = positives.iter().chain(negatives).copied().collect();
    if positives.is_empty() || negatives.is_empty() || all.iter().any(|value| value.is_nan()) {
        return None;
    }
    let n1 = positives.len() as f64;
    let ranks = midranks(&all);
    let rank_sum: f64 = ranks.iter().take(positives.len()).sum();
    let mut sorted = all;
    sorted.sort_by(f64::total_cmp);
    let ties = sorted
        .chunk_by(|a, b| a == b)
        .map(|tied| (tied.len() as f64).powi(3) - tied.len() as f64)
        .sum();
    Some((rank_sum - n1 * (n1 + 1.0) / 2.0, ties))
}
