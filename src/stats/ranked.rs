//! AUROCs of resamples of the same scores, ranked once.
#![allow(
    clippy::cast_precision_loss,
    reason = "sample sizes are far below 2^52"
)]
#![allow(clippy::float_cmp, reason = "ties are values that are exactly equal")]

use super::Estimate;
use super::bootstrap::{check_scores, clustered_bootstrap_of};
use crate::fault::Result;

/// Scores in ascending order, with the label of each.
pub(super) struct Ranked<'a> {
    /// Row and score.
    order: Vec<(usize, f64)>,
    labels: &'a [bool],
}

impl<'a> Ranked<'a> {
    /// Ranks finite scores.
    pub(super) fn of(scores: &[f64], labels: &'a [bool]) -> Self {
        let mut order: Vec<(usize, f64)> = scores.iter().copied().enumerate().collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1));
        Self { order, labels }
    }

    /// AUROC of the rows, which may repeat; to the last bit that of [`auroc`](super::auroc). `None` without one of the labels.
    pub(super) fn auroc(&self, rows: &[usize]) -> Option<f64> {
        let mut times = vec![0_u64; self.order.len()];
        for row in rows {
            *times.get_mut(*row)? += 1;
        }
        let (mut positives, mut negatives, mut twice) = (0_u64, 0_u64, 0_u64);
        for tied in self.order.chunk_by(|a, b| a.1 == b.1) {
            let (mut up, mut down) = (0, 0);
            for (row, _) in tied {
                let times = times.get(*row).copied().unwrap_or_default();
                if self.labels.get(*row) == Some(&true) {
                    up += times;
                } else {
                    down += times;
                }
            }
            twice += up * (2 * negatives + down);
            positives += up;
            negatives += down;
        }
        let pairs = positives as f64 * negatives as f64;
        (pairs > 0.0).then(|| twice as f64 / 2.0 / pairs)
    }
}

/// By how much the AUROC of `scores` exceeds that of `others` on the same rows, with its 95 % percentile interval over the same
/// resampled clusters.
///
/// # Errors
/// As for [`auroc_interval`](super::auroc_interval).
pub fn auroc_difference(
    scores: &[f64],
    others: &[f64],
    labels: &[bool],
    clusters: &[&str],
    resamples: usize,
    seed: u64,
) -> Result<Estimate> {
    check_scores(scores, labels, clusters)?;
    check_scores(others, labels, clusters)?;
    let (one, other) = (Ranked::of(scores, labels), Ranked::of(others, labels));
    clustered_bootstrap_of(clusters, Some((-1.0, 1.0)), resamples, seed, |rows| {
        Some(one.auroc(rows)? - other.auroc(rows)?)
    })
}
