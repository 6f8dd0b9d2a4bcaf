//! How an SAE normalises each activation before encoding, and how its reconstruction is brought back. An
//! `expected_average_only_in` scaling is folded into the weights and is then none.
#![allow(
    clippy::cast_precision_loss,
    reason = "widths of activations are far below 2^23"
)]

use ndarray::{Array2, ArrayView1, ArrayView2};

use crate::fault::{Fault, Result};
pub use crate::instrument::Normalization;

impl Normalization {
    pub(super) fn apply(self, x: ArrayView2<f32>) -> Result<Array2<f32>> {
        let mut rows = x.to_owned();
        for (index, mut row) in rows.rows_mut().into_iter().enumerate() {
            match self {
                Self::None => {}
                Self::ConstantNormRescale => {
                    let coefficient = coefficient(row.view(), index)?;
                    row *= coefficient;
                }
                Self::LayerNorm => {
                    let (mean, spread) = moments(row.view());
                    row -= mean;
                    row /= spread + Self::EPSILON;
                }
            }
        }
        Ok(rows)
    }

    /// Brings reconstructions back to the scale of `x`, row by row.
    pub(super) fn undo(self, decoded: Array2<f32>, x: ArrayView2<f32>) -> Result<Array2<f32>> {
        let mut rows = self.undo_scale(decoded, x)?;
        if self == Self::LayerNorm {
            for (mut row, original) in rows.rows_mut().into_iter().zip(x.rows()) {
                row += moments(original).0;
            }
        }
        Ok(rows)
    }

    /// The linear part of [`Self::undo`]: for differences of reconstructions.
    pub(super) fn undo_scale(self, part: Array2<f32>, x: ArrayView2<f32>) -> Result<Array2<f32>> {
        let mut rows = part;
        for (index, (mut row, original)) in rows.rows_mut().into_iter().zip(x.rows()).enumerate() {
            match self {
                Self::None => {}
                Self::ConstantNormRescale => row /= coefficient(original, index)?,
                Self::LayerNorm => row *= moments(original).1,
            }
        }
        Ok(rows)
    }
}

fn coefficient(row: ArrayView1<f32>, index: usize) -> Result<f32> {
    let norm = row.dot(&row).sqrt();
    if norm > 0.0 {
        Ok((row.len() as f32).sqrt() / norm)
    } else {
        Err(Fault::failed(
            "scaling activations to a constant norm",
            format!("row {index} is zero"),
        )
        .expected("activations with a positive norm")
        .hint("leave padding and special tokens out"))
    }
}

/// Mean and unbiased standard deviation.
fn moments(row: ArrayView1<f32>) -> (f32, f32) {
    let mean = row.sum() / row.len().max(1) as f32;
    let squares: f32 = row.iter().map(|value| (value - mean).powi(2)).sum();
    let spread = (squares / row.len().saturating_sub(1).max(1) as f32).sqrt();
    (mean, spread)
}
