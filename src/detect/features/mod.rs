//! Which SAE features separate two kinds of items: the procedure of `candor detectors find`.

mod acts;
mod histogram;
mod nearest;
mod rank;

use ndarray::ArrayView2;

pub use acts::FeatureActs;
pub use histogram::Histogram;
pub use nearest::{Neighbour, nearest_features};
pub use rank::{RankedFeature, best_features, rank_features};

use super::card::Interval;
use crate::fault::{Fault, Result};
use crate::stats::Adjustment;

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

impl Selection {
    /// The features of a ranking whose adjusted p-value is at most `max_p` and whose interval reaches `min_auroc`: the first
    /// `at_most`, in the ranking's order.
    #[must_use]
    pub fn of(&self, ranked: &[RankedFeature]) -> Vec<SelectedFeature> {
        ranked
            .iter()
            .filter(|feature| {
                feature.p_adjusted <= self.max_p && feature.auroc.low >= self.min_auroc
            })
            .take(self.at_most)
            .map(SelectedFeature::from)
            .collect()
    }
}

impl From<&RankedFeature> for SelectedFeature {
    fn from(feature: &RankedFeature) -> Self {
        Self {
            index: feature.index,
            auroc: feature.auroc.point,
            auroc_interval: Interval {
                low: feature.auroc.low,
                high: feature.auroc.high,
            },
            p_adjusted: feature.p_adjusted,
            sign: feature.sign,
        }
    }
}

/// Selects the features whose aggregated activation separates positives from negatives: [`rank_features`] and
/// [`Selection::of`] on activations in two matrices.
///
/// `acts_pos` `[n_pos, d_sae]` and `acts_neg` `[n_neg, d_sae]` hold one aggregated activation for each item and feature;
/// `groups_pos` and `groups_neg` name the items' groups.
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
    let groups: Vec<&str> = groups_pos.iter().chain(groups_neg).copied().collect();
    let labels: Vec<bool> = (0..groups.len())
        .map(|row| row < acts_pos.nrows())
        .collect();
    let mut acts = FeatureActs::new(acts_pos.ncols());
    for row in acts_pos.rows().into_iter().chain(acts_neg.rows()) {
        let active: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
        acts.push(&active)?;
    }
    let ranked = rank_features(
        &acts,
        &labels,
        &groups,
        selection.adjustment,
        selection.resamples,
        selection.seed,
    )?;
    Ok(selection.of(&ranked))
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
    Ok(())
}
