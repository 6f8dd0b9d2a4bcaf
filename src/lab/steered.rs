//! What steering gives: texts, scores, and how the plain text fares under each push.

use super::push::Along;
use crate::stats;

/// Texts of one prompt under several pushes.
#[derive(Debug, Clone, PartialEq)]
pub struct Steered {
    /// The plain text first, then one for each scale.
    pub texts: Vec<SteeredText>,
    /// Where is pushed.
    pub along: Vec<Along>,
}

/// A text that was written under a push.
#[derive(Debug, Clone, PartialEq)]
pub struct SteeredText {
    /// How often the unit was added; 0 for the plain text.
    pub scale: f32,
    /// The new tokens.
    pub ids: Vec<i64>,
    /// Whether the model ended the text itself.
    pub stopped: bool,
    /// The detector's score at every token of prompt and response, as the pushed stream gives it.
    pub scores: Vec<f32>,
    /// The same text read without a push: what the words alone make of the detector.
    pub scores_unsteered: Vec<f32>,
    /// Mean of `scores` over the response; `None` if the model wrote nothing.
    pub mean_score: Option<f64>,
    /// Mean of `scores_unsteered` over the response.
    pub mean_score_unsteered: Option<f64>,
    /// The plain text under this push.
    pub on_unsteered: Unsteered,
}

/// The plain text as a push makes the model see it: the dose–response on fixed words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unsteered {
    /// Tokens of its response.
    pub tokens: usize,
    /// Mean of the detector's scores over them.
    pub mean_score: Option<f64>,
    /// Their log-probability, in nats, summed; `None` where the model's logits do not tell it.
    pub log_probability: Option<f64>,
}

/// Mean of the scores from `start` on.
pub(super) fn mean(scores: &[f32], start: usize) -> Option<f64> {
    let scores = scores.get(start..)?.iter();
    stats::mean(&scores.map(|&score| f64::from(score)).collect::<Vec<_>>())
}
