//! Z-scoring of columns, and folding it back into a probe.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "row counts are far below 2^52; weights are stored in single precision by design"
)]

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::detect::probe::Probe;

/// Mean and spread of each column.
pub(super) struct Scaler {
    mean: Array1<f64>,
    /// 1/σ, and 0 for a constant column: such a column carries nothing and gets weight 0.
    inverse: Array1<f64>,
}

impl Scaler {
    /// Population mean and standard deviation of each column, as scikit-learn's `StandardScaler` takes them.
    pub(super) fn of<A: Copy + Into<f64>>(rows: ArrayView2<A>) -> Self {
        let n = rows.nrows().max(1) as f64;
        let (mean, inverse) = rows
            .axis_iter(Axis(1))
            .map(|column| {
                let mean = column.iter().map(|value| (*value).into()).sum::<f64>() / n;
                let variance = column
                    .iter()
                    .map(|value| ((*value).into() - mean).powi(2))
                    .sum::<f64>()
                    / n;
                // Rounding alone gives a constant column a variance of this order.
                let noise = n * f64::EPSILON * variance + (n * mean * f64::EPSILON).powi(2);
                let inverse = if variance <= noise {
                    0.0
                } else {
                    variance.sqrt().recip()
                };
                (mean, inverse)
            })
            .unzip::<f64, f64, Vec<f64>, Vec<f64>>();
        Self {
            mean: Array1::from_vec(mean),
            inverse: Array1::from_vec(inverse),
        }
    }

    /// `(x − μ)/σ` of each row.
    pub(super) fn scaled<A: Copy + Into<f64>>(&self, rows: ArrayView2<A>) -> Array2<f64> {
        (rows.mapv(Into::into) - &self.mean) * &self.inverse
    }

    /// The probe in raw space that scores as `z·weight + bias` does on scaled rows.
    pub(super) fn folded(&self, weight: &Array1<f64>, bias: f64) -> Probe {
        let raw = weight * &self.inverse;
        let bias = (bias - raw.dot(&self.mean)) as f32;
        Probe::linear(raw.mapv(|value| value as f32), bias)
    }

    /// The same for several columns `[d_in, c]` with biases `[c]`.
    pub(super) fn folded_columns(&self, weight: ArrayView2<f64>, bias: &Array1<f64>) -> Probe {
        let columns = weight.columns().into_iter().zip(bias);
        let columns: Vec<Probe> = columns
            .map(|(column, bias)| self.folded(&column.to_owned(), *bias))
            .collect();
        let entry = |row: usize, column: usize| {
            let of_column: Option<&Probe> = columns.get(column);
            of_column.map_or(0.0, |probe| probe.weight[[row, 0]])
        };
        Probe {
            weight: Array2::from_shape_fn(weight.raw_dim(), |(row, column)| entry(row, column)),
            bias: columns.iter().map(|probe| probe.bias.sum()).collect(),
        }
    }

    /// The same spreads about another centre.
    pub(super) fn centred_at(self, mean: Array1<f64>) -> Self {
        Self { mean, ..self }
    }
}
