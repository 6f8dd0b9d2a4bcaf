//! Matching pursuit: of what is left of the input, the feature that it has most of is taken out again and again (Mallat and
//! Zhang 1993; Costa et al. 2025, arXiv 2506.03093). The encoder is the transposed decoder.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

use super::{Architecture, Encoder, Part, Target, finite, no_part};
use crate::fault::Result;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "matching_pursuit",
    in_saelens: true,
    own: &[],
    tied: true,
    target: Target::Input,
    takes_k: false,
    load: |parts| {
        let mut pursuit = parts.config.pursuit;
        // It is held against what is left, which is in units of the input.
        if let Some(scaling) = parts.scaling {
            pursuit.residual_threshold /= scaling;
            parts.config.pursuit = pursuit;
        }
        // A bias that was not subtracted is not added either.
        if !parts.config.apply_b_dec_to_input {
            parts.b_dec.fill(0.0);
        }
        Ok(Box::new(MatchingPursuit { pursuit }))
    },
};

/// When matching pursuit stops.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pursuit {
    /// Norm of what is left below which it stops; 0 for none.
    pub residual_threshold: f32,
    /// Features that are taken at most; `d_in` where not said.
    pub max_iterations: Option<usize>,
    /// Whether it stops once a step adds no new feature.
    pub stop_on_duplicate_support: bool,
}

impl Default for Pursuit {
    /// SAELens's.
    fn default() -> Self {
        Self {
            residual_threshold: 1e-2,
            max_iterations: None,
            stop_on_duplicate_support: true,
        }
    }
}

#[derive(Debug)]
struct MatchingPursuit {
    pursuit: Pursuit,
}

impl MatchingPursuit {
    fn pursue(&self, x: ArrayView1<f32>, w_enc: ArrayView2<f32>, acts: &mut Array1<f32>) {
        let mut left = x.to_owned();
        for _ in 0..self.pursuit.max_iterations.unwrap_or(x.len()) {
            let scores = left.dot(&w_enc);
            let scores = scores.iter().map(|score| score.max(0.0)).enumerate();
            // Of equals the first.
            let best = scores.reduce(|best, next| if next.1 > best.1 { next } else { best });
            let Some((feature, _)) = best else { return };
            let direction = w_enc.column(feature);
            let value = left.dot(&direction).max(0.0);
            let Some(act) = acts.get_mut(feature) else {
                return;
            };
            let is_new = *act == 0.0 && value != 0.0;
            *act += value;
            left.scaled_add(-value, &direction);
            let threshold = self.pursuit.residual_threshold;
            // Nothing points along what is left: another step would be the same.
            if value == 0.0 {
                return;
            }
            let is_small = threshold > 0.0 && left.dot(&left).sqrt() < threshold;
            if is_small || (self.pursuit.stop_on_duplicate_support && !is_new) {
                return;
            }
        }
    }
}

impl Encoder for MatchingPursuit {
    fn encode(&self, x: ArrayView2<f32>, w_enc: ArrayView2<f32>) -> Result<Array2<f32>> {
        let mut acts = Array2::zeros((x.nrows(), w_enc.ncols()));
        for (row, mut acts) in x.rows().into_iter().zip(acts.rows_mut()) {
            let mut of_row = Array1::zeros(acts.len());
            self.pursue(row, w_enc, &mut of_row);
            acts.assign(&of_row);
        }
        finite(&acts)?;
        Ok(acts)
    }

    /// There is no activation of one product.
    fn activate(&self, hidden: Array2<f32>) -> Array2<f32> {
        hidden
    }

    fn part(&self, _: &[usize]) -> Result<Part> {
        Err(no_part(
            ARCHITECTURE.name,
            "features that are chosen one after the other",
        ))
    }

    fn competes(&self) -> bool {
        true
    }

    fn tensors(&self) -> Vec<(&'static str, &Array1<f32>)> {
        Vec::new()
    }
}
