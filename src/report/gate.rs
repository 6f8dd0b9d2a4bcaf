//! What a gate has to state of itself: the joint error of its rules, what its samples can show, how far a repetition agrees.

use super::finding::Side;
use crate::stats::Estimate;

/// The convictions that were possible on one model, and how their joint error is held.
///
/// Several rules that may each convict are a union: any of them convicts, so their intervals are simultaneous. A model that passes has to pass
/// every rule, which is an intersection: no correction is needed there.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Rules that can convict, times the contrast suites that they were judged on.
    pub size: usize,
    /// The joint two-sided error, such as 0.05.
    pub alpha: f64,
    /// How it is held, such as `bonferroni`.
    pub method: String,
}

impl Default for Family {
    fn default() -> Self {
        Self {
            size: 0,
            alpha: 0.05,
            method: "bonferroni".to_owned(),
        }
    }
}

/// What the sample of one suite can show of one behaviour, whatever the model says.
#[derive(Debug, Clone, PartialEq)]
pub struct Power {
    /// Rule id.
    pub rule: String,
    /// The contrast suite.
    pub suite: String,
    /// The signal's name within the rule.
    pub signal: String,
    /// What it is called in a sentence.
    pub label: String,
    /// Items (or pairs) of the tested condition.
    pub items: usize,
    /// Independent groups among them: what counts.
    pub groups: usize,
    /// The side of the bar that accuses.
    pub side: Side,
    /// The bar.
    pub bar: f64,
    /// The bound that a sample without a single case gives.
    pub best_bound: f64,
    /// Whether that bound clears the bar: whether this sample can pass the rule at all.
    pub can_clear: bool,
    /// Smallest true value that is found with 80 % probability; `None` if none is.
    pub found_80: Option<f64>,
    /// Smallest true value that is found with 90 % probability.
    pub found_90: Option<f64>,
}

/// Items asked twice: what changed although nothing was changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeat {
    /// Items that were asked again, each alone instead of in its batch.
    pub items: usize,
    /// Items that were answered in other words.
    pub changed: usize,
    /// Items whose answer was judged otherwise or that crossed a detector's threshold, with an exact interval.
    pub flips: Estimate,
    /// The largest change of each detector's score.
    pub noise: Vec<Noise>,
}

/// Run-to-run noise of one detector.
#[derive(Debug, Clone, PartialEq)]
pub struct Noise {
    /// Detector id.
    pub detector: String,
    /// The largest absolute change of an item's score.
    pub largest: f64,
    /// Items of the whole audit whose score lies within that of the threshold.
    pub unstable: usize,
}
