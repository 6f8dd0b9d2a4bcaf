//! Which SAE features separate two kinds of items: the procedure of `candor detectors find`.

use ndarray::ArrayView2;

use super::card::Interval;
use crate::fault::{Fault, Result};
use crate::stats::{self, Adjustment};

/// A feature that separates the labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SelectedFeature {
    /// Column of the SAE.
    pub index: usize,
    /// AUROC in the direction of `sign`: at least 0.5.
    pub auroc: f64,
    /// Its 95 % interval, bootstrap clustered by group.
    pub auroc_interval: Interval,
    /// Mann–Whitney p-value adjusted for the number of live features.
    pub p_adjusted: f64,
    /// Whether the feature is more active on positives or on negatives.
    pub sign: Sign,
}

/// On which label a feature is more active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// More active on positives.
    Positive,
    /// More active on negatives.
    Negative,
}

impl Sign {
    /// `1.0` or `-1.0`.
    #[must_use]
    pub fn factor(self) -> f64 {
        match self {
            Self::Positive => 1.0,
            Self::Negative => -1.0,
        }
    }
}

/// Bars of the selection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selection {
    /// The interval's lower end has to reach this AUROC.
    pub min_auroc: f64,
    /// The adjusted p-value has to be at most this.
    pub max_p: f64,
    /// How p-values are adjusted over the live features.
    pub adjustment: Adjustment,
    /// At most this many features are kept.
    pub at_most: usize,
    /// Bootstrap resamples.
    pub resamples: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            min_auroc: 0.8,
            max_p: 0.01,
            adjustment: Adjustment::BenjaminiHochberg,
            at_most: 16,
            resamples: 1000,
            seed: 0,
        }
    }
}

/// Selects the features whose aggregated activation separates positives from negatives.
///
/// `acts_pos` `[n_pos, d_sae]` and `acts_neg` `[n_neg, d_sae]` hold one aggregated activation for each item and feature;
/// `groups_pos` and `groups_neg` name the items' groups.
///
/// 1. Features that are equal on every item are dead and left out, also of the count of hypotheses.
/// 2. Each live feature gets its AUROC, turned so that it is at least 0.5 (`sign`), and the two-sided Mann–Whitney p-value.
/// 3. p-values are adjusted over all live features.
/// 4. Features with adjusted p ≤ `max_p` get a bootstrap interval clustered by group; those whose lower end reaches
///    `min_auroc` stay.
/// 5. Sorted by AUROC (descending), then p, then index; the first `at_most` are returned.
///
/// The same items must not serve to report the features' quality: that takes a held-out split.
///
/// # Errors
/// No item with one of the labels, widths or groups that do not fit, or an activation that is not finite.
pub fn select_features(
    acts_pos: ArrayView2<f32>,
    acts_neg: ArrayView2<f32>,
    groups_pos: &[&str],
    groups_neg: &[&str],
    selection: &Selection,
) -> Result<Vec<SelectedFeature>> {
    check(acts_pos, acts_neg, groups_pos, groups_neg)?;
    let clusters: Vec<&str> = groups_pos.iter().chain(groups_neg).copied().collect();
    let labels: Vec<bool> = (0..clusters.len())
        .map(|row| row < acts_pos.nrows())
        .collect();
    let mut live = Vec::new();
    for (index, (positive, negative)) in acts_pos
        .columns()
        .into_iter()
        .zip(acts_neg.columns())
        .enumerate()
    {
        let positive: Vec<f64> = positive.iter().copied().map(f64::from).collect();
        let negative: Vec<f64> = negative.iter().copied().map(f64::from).collect();
        let first = positive.first();
        if positive
            .iter()
            .chain(&negative)
            .all(|act| Some(act) == first)
        {
            continue;
        }
        if let (Some(auroc), Some(p)) = (
            stats::auroc(&positive, &negative),
            stats::mann_whitney_p(&positive, &negative),
        ) {
            let sign = if auroc >= 0.5 {
                Sign::Positive
            } else {
                Sign::Negative
            };
            let scores: Vec<f64> = positive
                .iter()
                .chain(&negative)
                .map(|act| act * sign.factor())
                .collect();
            live.push((index, sign, p, scores));
        }
    }
    let p_values: Vec<f64> = live.iter().map(|(_, _, p, _)| *p).collect();
    let p_adjusted = stats::adjusted(&p_values, selection.adjustment);
    let mut kept = Vec::new();
    for ((index, sign, _, scores), p_adjusted) in live.into_iter().zip(p_adjusted) {
        if p_adjusted > selection.max_p {
            continue;
        }
        let estimate = stats::auroc_interval(
            &scores,
            &labels,
            &clusters,
            selection.resamples,
            selection.seed,
        )?;
        if estimate.low >= selection.min_auroc {
            kept.push(SelectedFeature {
                index,
                auroc: estimate.point,
                auroc_interval: Interval {
                    low: estimate.low,
                    high: estimate.high,
                },
                p_adjusted,
                sign,
            });
        }
    }
    kept.sort_by(|a, b| {
        b.auroc
            .total_cmp(&a.auroc)
            .then(a.p_adjusted.total_cmp(&b.p_adjusted))
            .then(a.index.cmp(&b.index))
    });
    kept.truncate(selection.at_most);
    Ok(kept)
}

fn check(
    acts_pos: ArrayView2<f32>,
    acts_neg: ArrayView2<f32>,
    groups_pos: &[&str],
    groups_neg: &[&str],
) -> Result<()> {
    const DOING: &str = "selecting SAE features";
    if acts_pos.nrows() == 0 || acts_neg.nrows() == 0 {
        return Err(Fault::usage(
            DOING,
            format!(
                "{} positive and {} negative items",
                acts_pos.nrows(),
                acts_neg.nrows()
            ),
        )
        .expected("items with both labels"));
    }
    if acts_pos.ncols() != acts_neg.ncols() {
        return Err(Fault::failed(
            DOING,
            format!(
                "{} features on positives, {} on negatives",
                acts_pos.ncols(),
                acts_neg.ncols()
            ),
        )
        .expected("the same SAE on both"));
    }
    if groups_pos.len() != acts_pos.nrows() || groups_neg.len() != acts_neg.nrows() {
        return Err(Fault::failed(
            DOING,
            format!("{} groups", groups_pos.len() + groups_neg.len()),
        )
        .expected(format!(
            "one for each of {} items",
            acts_pos.nrows() + acts_neg.nrows()
        )));
    }
    if let Some(act) = acts_pos
        .iter()
        .chain(acts_neg.iter())
        .find(|act| !act.is_finite())
    {
        return Err(Fault::failed(DOING, format!("the activation {act}")).expected("finite values"));
    }
    Ok(())
}
