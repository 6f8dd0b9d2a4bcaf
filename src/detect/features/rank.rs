//! Every live feature by how well it separates two kinds of items.

use rayon::prelude::*;

use super::{FeatureActs, Sign};
use crate::fault::{Fault, Result};
use crate::stats::{self, Adjustment, Estimate, Resamples};

/// A feature and how well it separates the labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankedFeature {
    /// Column of the SAE.
    pub index: usize,
    /// Whether the feature is more active on positives or on negatives.
    pub sign: Sign,
    /// AUROC in the direction of `sign`, at least 0.5, with its interval, bootstrap clustered by group.
    pub auroc: Estimate,
    /// Two-sided Mann–Whitney p-value.
    pub p: f64,
    /// The same, adjusted for the number of live features.
    pub p_adjusted: f64,
}

/// Ranks all live features on labelled items, the best first.
///
/// 1. Features that are equal on every item are dead and left out, also of the count of hypotheses.
/// 2. Each live feature gets its AUROC, turned so that it is at least 0.5 (`sign`), a bootstrap interval clustered by group,
///    and the two-sided Mann–Whitney p-value.
/// 3. p-values are adjusted over all live features.
/// 4. Sorted by AUROC (descending), then p, then index.
///
/// The same items must not serve to report the quality of features that are chosen from the ranking: that takes a held-out
/// split.
///
/// # Errors
/// Labels or groups that do not fit the items, one label only, or no resamples.
pub fn rank_features(
    acts: &FeatureActs,
    labels: &[bool],
    groups: &[&str],
    adjustment: Adjustment,
    resamples: usize,
    seed: u64,
) -> Result<Vec<RankedFeature>> {
    if labels.len() != acts.items() {
        return Err(Fault::failed(
            "ranking SAE features",
            format!("{} labels for {} items", labels.len(), acts.items()),
        )
        .expected("one for each"));
    }
    let sample = Resamples::draw(labels, groups, resamples, seed)?;
    let mut ranked = (0..acts.d_sae())
        .into_par_iter()
        .filter_map(|index| {
            let scores = acts.scores(index);
            if scores.constant(acts.items()) {
                return None;
            }
            let sign = if sample.point(&scores) >= 0.5 {
                Sign::Positive
            } else {
                Sign::Negative
            };
            let auroc = sample.auroc(&scores, sign == Sign::Negative);
            Some(auroc.map(|auroc| RankedFeature {
                index,
                sign,
                auroc,
                p: sample.mann_whitney_p(&scores),
                p_adjusted: 1.0,
            }))
        })
        .collect::<Result<Vec<_>>>()?;
    let p_values: Vec<f64> = ranked.iter().map(|feature| feature.p).collect();
    for (feature, p_adjusted) in ranked
        .iter_mut()
        .zip(stats::adjusted(&p_values, adjustment))
    {
        feature.p_adjusted = p_adjusted;
    }
    ranked.sort_by(|a, b| {
        b.auroc
            .point
            .total_cmp(&a.auroc.point)
            .then(a.p_adjusted.total_cmp(&b.p_adjusted))
            .then(a.index.cmp(&b.index))
    });
    Ok(ranked)
}

/// The `most` features that separate the labels best, by AUROC alone.
///
/// # Errors
/// As for [`rank_features`].
pub fn best_features(
    acts: &FeatureActs,
    labels: &[bool],
    groups: &[&str],
    most: usize,
) -> Result<Vec<usize>> {
    let sample = Resamples::draw(labels, groups, 0, 0)?;
    let mut apart: Vec<(usize, f64)> = (0..acts.d_sae())
        .into_par_iter()
        .filter_map(|index| {
            let scores = acts.scores(index);
            let live = !scores.constant(acts.items());
            live.then(|| (index, (sample.point(&scores) - 0.5).abs()))
        })
        .collect();
    apart.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok(apart
        .into_iter()
        .take(most)
        .map(|(index, _)| index)
        .collect())
}
