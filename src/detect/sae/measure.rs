//! What an SAE does on real activations, to hold against what its card declares.
#![allow(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]

use ndarray::{ArrayView2, Axis};

use super::Sae;
use crate::fault::{Fault, Result};

/// Measured quality of an SAE.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Mean number of features that are not 0 in a row.
    pub l0: f64,
    /// `1 − Σ‖x − decoded‖² / Σ‖x − x̄‖²`; below 0 if the mean would be the better reconstruction.
    pub explained_variance: f64,
    /// Features that are 0 in every row.
    pub silent_features: usize,
    /// Rows.
    pub n: usize,
}

impl Sae {
    /// Measures mean L0 and explained variance on `x` `[n, d_in]`, which should leave special tokens and padding out.
    ///
    /// # Errors
    /// No rows, rows that are all equal, or as for [`Sae::encode`].
    pub fn measure(&self, x: ArrayView2<f32>) -> Result<Measured> {
        let forward = self.forward(x)?;
        let n = x.nrows();
        let variance: f64 = x
            .axis_iter(Axis(1))
            .map(|column| {
                let mean = column.iter().copied().map(f64::from).sum::<f64>() / n.max(1) as f64;
                column
                    .iter()
                    .map(|value| (f64::from(*value) - mean).powi(2))
                    .sum::<f64>()
            })
            .sum();
        if n == 0 || variance <= 0.0 {
            return Err(
                Fault::failed("measuring an SAE", format!("{n} rows without variance"))
                    .expected("activations of different tokens"),
            );
        }
        let error = forward
            .error
            .ok_or_else(|| self.no_reconstruction("measuring an SAE"))?;
        let residual: f64 = error.iter().map(|value| f64::from(*value).powi(2)).sum();
        let active = forward
            .feature_acts
            .iter()
            .filter(|act| **act != 0.0)
            .count();
        let silent_features = forward
            .feature_acts
            .axis_iter(Axis(1))
            .filter(|acts| acts.iter().all(|act| *act == 0.0))
            .count();
        Ok(Measured {
            l0: active as f64 / n as f64,
            explained_variance: 1.0 - residual / variance,
            silent_features,
            n,
        })
    }
}
