//! The direction in which a detector's site is pushed to raise what it reads.

use ndarray::{Array1, ArrayView1};

use super::detector::{Detector, Loaded};
use super::sae::Normalization;
use crate::fault::{Fault, Result};

/// A direction in the activations of a detector's site.
#[derive(Debug, Clone, PartialEq)]
pub struct Direction {
    /// `[d_in]`. Of a probe the unit vector along its weights; of an SAE feature its row of the decoder: what one unit of the
    /// feature's activation adds to the reconstruction.
    pub vector: Array1<f32>,
    /// Which feature of an SAE.
    pub feature: Option<usize>,
    /// Whether the SAE normalises each activation first, so that the length of its directions means nothing outside.
    pub normalized: bool,
}

impl Direction {
    /// The vector's length.
    #[must_use]
    pub fn length(&self) -> f64 {
        length(self.vector.view())
    }
}

impl Detector {
    /// Where a push raises the probe's score, or what the decoder writes for a feature of an SAE: the named one, or the first
    /// on the card.
    ///
    /// # Errors
    /// Usage: a feature of a probe; one that the SAE lacks; none named and none on the card; a direction of zeros.
    pub fn direction(&self, feature: Option<usize>) -> Result<Direction> {
        let doing = || format!("taking a direction from the detector `{}`", self.card.id);
        let zero = |what: &str| {
            Fault::usage(doing(), format!("{what} of zeros")).expected("a vector with a direction")
        };
        match (&self.weights, feature) {
            (Loaded::Probe(_), Some(feature)) => Err(Fault::usage(
                doing(),
                format!("feature {feature} of a probe"),
            )
            .expected("no feature: a probe has one direction")),
            (Loaded::Probe(probe), None) => {
                let weight = probe.direction().ok_or_else(|| {
                    Fault::usage(
                        doing(),
                        format!("a probe of {} columns that `{}` pools", probe.columns(), self.card.aggregation),
                    )
                    .expected("a probe of one direction")
                    .hint("train one of a linear kind, such as `logistic_regression`, at the same site")
                })?;
                let length = length(weight);
                if length == 0.0 {
                    return Err(zero("weights"));
                }
                #[allow(
                    clippy::cast_possible_truncation,
                    reason = "activations are in single precision"
                )]
                let unit = |weight: &f32| (f64::from(*weight) / length) as f32;
                Ok(Direction {
                    vector: weight.map(unit),
                    feature: None,
                    normalized: false,
                })
            }
            (Loaded::Sae(sae), _) if sae.transcodes() => Err(sae.no_reconstruction(doing())),
            (Loaded::Sae(sae), _) => {
                let first = || self.features().first().copied();
                let feature = feature.or_else(first).ok_or_else(|| {
                    Fault::usage(doing(), "no feature named and none on the card").expected(
                        format!("a feature from 0 to {}", sae.d_sae().saturating_sub(1)),
                    )
                })?;
                let vector = sae.feature_direction(feature).ok_or_else(|| {
                    Fault::usage(doing(), format!("feature {feature}")).expected(format!(
                        "a feature from 0 to {}",
                        sae.d_sae().saturating_sub(1)
                    ))
                })?;
                if length(vector.view()) == 0.0 {
                    return Err(zero(&format!("a decoder row of feature {feature}")));
                }
                Ok(Direction {
                    vector,
                    feature: Some(feature),
                    normalized: sae.config().normalization != Normalization::None,
                })
            }
        }
    }
}

fn length(vector: ArrayView1<f32>) -> f64 {
    let squares = vector.iter().map(|value| f64::from(*value).powi(2));
    squares.sum::<f64>().sqrt()
}
