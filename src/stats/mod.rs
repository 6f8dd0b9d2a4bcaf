//! Statistics that detectors, causal evidence and rules share: intervals, ranks, bootstraps, permutation p-values.
//!
//! Every interval is two-sided at 95 % unless a function says otherwise, and none has zero width: a sample without
//! variation is evidence of a small sample, not of certainty. Percentile bootstraps cover less than they say below some ten clusters.

mod binomial;
mod bootstrap;
mod bounded;
mod correlation;
mod inferiority;
mod multiplicity;
mod permutation;
mod power;
mod ranked;
mod ranks;
mod rate;
mod sparse;
mod student;
mod summary;

pub use binomial::{clopper_pearson, clopper_pearson_upper, proportion, proportion_at};
pub use bootstrap::{Resampling, auroc_interval, clustered_bootstrap, clustered_bootstrap_of};
pub use bounded::{bounded_mean, bounded_mean_of_groups};
pub use correlation::{pearson, spearman};
pub use inferiority::{non_inferiority_pairs, non_inferiority_power};
pub use multiplicity::{Adjustment, adjusted};
pub use permutation::empirical_p;
pub use power::{
    cases_needed, differences_needed, power_of_share, share_for, trials_for_bound, trials_for_power,
};
pub use ranked::auroc_difference;
pub use ranks::{auroc, mann_whitney_p, midranks};
pub use rate::Rate;
pub use sparse::{Resamples, SparseScores};
pub use student::clustered_mean;
pub use summary::{mean, quantile, std};

/// Two-sided confidence of every [`Estimate`].
pub const CONFIDENCE: f64 = 0.95;

/// A point estimate with a 95 % interval and the sizes behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The point estimate.
    pub point: f64,
    /// Lower end of the two-sided 95 % interval.
    pub low: f64,
    /// Upper end of the two-sided 95 % interval.
    pub high: f64,
    /// Observations.
    pub n: usize,
    /// Independent clusters (groups of one fact or template) among them.
    pub clusters: usize,
}
