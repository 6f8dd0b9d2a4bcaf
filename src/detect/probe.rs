//! A read-out of the activation at one site by one or a few linear columns.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use crate::fault::{Fault, Result};

const DOING: &str = "scoring activations with a probe";

/// `scores = x·weight + bias` in raw activation space.
///
/// Probes are trained on z-scored rows `z = (x − μ)/σ`; the scaling is folded in, `w_raw = w/σ` and
/// `b_raw = b − Σ w·μ/σ`, so that one small MatMul in the graph computes the scores. A linear probe has one column; one that pools
/// has several, and the [`Aggregation`](super::Aggregation) on its card makes one score of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// `[d_in, columns]`.
    pub weight: Array2<f32>,
    /// `[columns]`, the scores of the zero vector.
    pub bias: Array1<f32>,
}

impl Probe {
    /// A probe of one column.
    #[must_use]
    pub fn linear(weight: Array1<f32>, bias: f32) -> Self {
        Self {
            weight: weight.insert_axis(Axis(1)),
            bias: Array1::from_elem(1, bias),
        }
    }

    /// Width of the activation that the probe reads.
    #[must_use]
    pub fn d_in(&self) -> usize {
        self.weight.nrows()
    }

    /// Columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.weight.ncols()
    }

    /// The weights of the one column of a linear probe, `[d_in]`; `None` of one that pools several.
    #[must_use]
    pub fn direction(&self) -> Option<ArrayView1<'_, f32>> {
        (self.columns() == 1).then(|| self.weight.column(0))
    }

    /// Scores `[n, columns]` of the rows of `x` `[n, d_in]`, accumulated in double precision.
    ///
    /// # Errors
    /// Rows of another width, or a score that is not finite (a NaN or an infinity in the activations).
    pub fn scores(&self, x: ArrayView2<f32>) -> Result<Array2<f64>> {
        if x.ncols() != self.d_in() {
            return Err(Fault::usage(DOING, format!("rows of width {}", x.ncols()))
                .expected(format!("width {}", self.d_in())));
        }
        let mut scores = Array2::zeros((x.nrows(), self.columns()));
        for ((row, column), score) in scores.indexed_iter_mut() {
            let product: f64 = x
                .row(row)
                .iter()
                .zip(self.weight.column(column))
                .map(|(value, weight)| f64::from(*value) * f64::from(*weight))
                .sum();
            *score = product + f64::from(self.bias[column]);
            if !score.is_finite() {
                return Err(
                    Fault::failed(DOING, format!("the score {score} in row {row}"))
                        .expected("finite activations"),
                );
            }
        }
        Ok(scores)
    }

    /// The scores of each row as the graph puts them out, in single precision.
    ///
    /// # Errors
    /// As for [`Probe::scores`].
    #[allow(
        clippy::cast_possible_truncation,
        reason = "token scores are single precision, as those from the graph are"
    )]
    pub fn token_scores(&self, x: ArrayView2<f32>) -> Result<Array2<f32>> {
        Ok(self.scores(x)?.mapv(|score| score as f32))
    }
}
