//! Statistics that detectors, causal evidence and rules share: intervals, ranks, bootstraps, permutation p-values.

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
