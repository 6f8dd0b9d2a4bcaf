//! A linear read-out of the activation at one site.

use ndarray::{Array1, ArrayView2};

use crate::fault::{Fault, Result};

/// `score = x·weight + bias` in raw activation space.
///
/// Probes are trained on z-scored rows `z = (x − μ)/σ`; the scaling is folded in, `w_raw = w/σ` and
/// `b_raw = b − Σ w·μ/σ`, so that one small MatMul in the graph computes the score.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearProbe {
    /// `[d_in]`.
    pub weight: Array1<f32>,
    /// The score of the zero vector.
    pub bias: f32,
}

impl LinearProbe {
    /// Width of the activation that the probe reads.
    #[must_use]
    pub fn d_in(&self) -> usize {
        self.weight.len()
    }

    /// One score for each row of `x` `[n, d_in]`, accumulated in double precision.
    ///
    /// # Errors
    /// Rows of another width, or a score that is not finite (a NaN or an infinity in the activations).
    pub fn score(&self, x: ArrayView2<f32>) -> Result<Array1<f64>> {
        if x.ncols() != self.d_in() {
            return Err(Fault::usage(
                "scoring activations with a probe",
                format!("rows of width {}", x.ncols()),
            )
            .expected(format!("width {}", self.d_in())));
        }
        x.rows()
            .into_iter()
            .enumerate()
            .map(|(row, values)| {
                let product: f64 = values
                    .iter()
                    .zip(&self.weight)
                    .map(|(value, weight)| f64::from(*value) * f64::from(*weight))
                    .sum();
                let score = product + f64::from(self.bias);
                if score.is_finite() {
                    Ok(score)
                } else {
                    Err(Fault::failed(
                        "scoring activations with a probe",
                        format!("the score {score} in row {row}"),
                    )
                    .expected("finite activations"))
                }
            })
            .collect()
    }
}
