//! Thresholds and the two false-positive rates that go with them.

use super::card::Interval;
use crate::fault::{Fault, Result};
use crate::stats;

/// A threshold and how often harmless text lies beyond it.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// An item is an alarm when its aggregated score lies strictly beyond it, on the side that [`Self::flags`] names.
    pub threshold: f64,
    /// On which side.
    pub flags: Flags,
    /// The false-positive rate on the control corpus that was aimed for.
    pub target: f64,
    /// On the control corpus that set the threshold.
    pub control: FalsePositives,
    /// On honest responses to the same scenarios. A rate of 1 % on the control corpus does not survive a change of topic,
    /// so a gate needs both.
    pub matched_honest: Option<FalsePositives>,
}

/// The side of a threshold that is flagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flags {
    /// Greater scores.
    #[default]
    Above,
    /// Smaller scores: a truth probe flags what it holds to be false.
    Below,
}

impl Flags {
    /// As it is written on a card.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
        }
    }

    /// Whether a score lies strictly beyond `threshold`.
    #[must_use]
    pub fn flag(self, score: f64, threshold: f64) -> bool {
        match self {
            Self::Above => score > threshold,
            Self::Below => score < threshold,
        }
    }
}

impl Calibration {
    /// Whether an aggregated score is an alarm.
    #[must_use]
    pub fn flag(&self, score: f64) -> bool {
        self.flags.flag(score, self.threshold)
    }

    /// The same for a detector that flags low scores, where this one was made from the negatives of its scores.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self {
            threshold: -self.threshold,
            flags: match self.flags {
                Flags::Above => Flags::Below,
                Flags::Below => Flags::Above,
            },
            ..self
        }
    }
}

/// A measured false-positive rate.
#[derive(Debug, Clone, PartialEq)]
pub struct FalsePositives {
    /// SHA-256 of the corpus.
    pub corpus_digest: String,
    /// Items.
    pub n: usize,
    /// Share of alarms among them.
    pub rate: f64,
    /// Its exact 95 % interval.
    pub interval: Interval,
}

/// Scores of a harmless corpus.
#[derive(Debug, Clone, Copy)]
pub struct Corpus<'a> {
    /// SHA-256 of the corpus.
    pub digest: &'a str,
    /// One aggregated score for each item.
    pub scores: &'a [f64],
}

/// Sets the threshold at the (1 − `target`) quantile of the control scores and measures the false-positive rate there on
/// both corpora, with exact (Clopper–Pearson) intervals.
///
/// # Errors
/// A target outside (0, 1), an empty corpus, or a score that is not finite.
pub fn calibrate(
    control: Corpus<'_>,
    honest: Option<Corpus<'_>>,
    target: f64,
) -> Result<Calibration> {
    const DOING: &str = "calibrating a detector";
    if !(target > 0.0 && target < 1.0) {
        return Err(
            Fault::usage(DOING, format!("a target false-positive rate of {target}"))
                .expected("a rate between 0 and 1, such as 0.01"),
        );
    }
    for corpus in std::iter::once(&control).chain(&honest) {
        if let Some(score) = corpus.scores.iter().find(|score| !score.is_finite()) {
            return Err(
                Fault::failed(DOING, format!("the score {score}")).expected("finite scores")
            );
        }
    }
    let empty = || {
        Fault::usage(DOING, "a corpus without items")
            .expected("at least one harmless item to score")
    };
    let threshold = stats::quantile(control.scores, 1.0 - target).ok_or_else(empty)?;
    let measure = |corpus: Corpus<'_>| {
        let alarms = corpus
            .scores
            .iter()
            .filter(|score| **score > threshold)
            .count();
        let rate = stats::proportion(alarms, corpus.scores.len()).ok_or_else(empty)?;
        Ok(FalsePositives {
            corpus_digest: corpus.digest.to_owned(),
            n: rate.n,
            rate: rate.point,
            interval: Interval {
                low: rate.low,
                high: rate.high,
            },
        })
    };
    Ok(Calibration {
        threshold,
        flags: Flags::Above,
        target,
        control: measure(control)?,
        matched_honest: honest.map(measure).transpose()?,
    })
}
