//! What a detector says of each token: the score that its threshold speaks of, or the columns that it pools into one.

use super::detector::{Detector, Loaded};
use crate::fault::{Fault, Result};
use crate::instrument::Head;

/// A detector's score at a token, as a head with one column; of a probe that pools several, with those.
#[derive(Debug, Clone)]
pub struct Column {
    /// What computes it.
    pub head: Head,
    /// The feature of an SAE.
    pub feature: Option<usize>,
    /// What the head's value is multiplied by: 1, or −1 for a feature that is more active on negatives.
    pub factor: f32,
}

impl Detector {
    /// The score of a probe, or the columns that it pools; of an SAE the activation of the first feature on its card, times its sign: AUROC and threshold of
    /// the card are that feature's.
    ///
    /// # Errors
    /// Usage: an SAE without a feature on its card.
    pub fn column(&self) -> Result<Column> {
        if let Loaded::Probe(_) = &self.weights {
            return Ok(Column {
                head: self.head_of(&[])?,
                feature: None,
                factor: 1.0,
            });
        }
        let first = self.card.features.first().ok_or_else(|| {
            Fault::usage(
                format!("taking a score from the detector `{}`", self.card.id),
                "an SAE without a feature on its card",
            )
            .expected("at least one feature")
            .hint("`candor detectors find` chooses features on labelled items")
        })?;
        #[allow(clippy::cast_possible_truncation, reason = "1 or −1")]
        let factor = first.sign.factor() as f32;
        Ok(Column {
            head: self.head_of(&[first.index])?,
            feature: Some(first.index),
            factor,
        })
    }
}
