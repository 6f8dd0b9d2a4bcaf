//! A probe along given directions: a logistic fit on the projections gives their weights and the bias.
#![allow(
    clippy::cast_possible_truncation,
    reason = "weights are stored in single precision by design"
)]

use ndarray::{Array1, Array2};

use super::standardise::Scaler;
use super::{TrainingSet, logistic};
use crate::detect::probe::Probe;
use crate::fault::Result;

/// Penalty of the fit on z-scored projections, scikit-learn's default `C = 1`: keeps the slopes finite where the classes are
/// separable, and is too weak to matter elsewhere.
const LAMBDA: f64 = 1.0;
/// A handful of dimensions costs nothing.
const TOLERANCE: f64 = 1e-11;

/// The probe that scores `Σ_k slope_k·(direction_k·x) + bias`.
///
/// Directions of zeros give the probe that says the same of every row: at chance, which is what there is to say.
pub(super) fn along(set: &TrainingSet<'_>, directions: &[Array1<f64>]) -> Result<Probe> {
    let rows = set.rows.mapv(f64::from);
    let mut projections = Array2::zeros((rows.nrows(), directions.len()));
    for (mut column, direction) in projections.columns_mut().into_iter().zip(directions) {
        column.assign(&rows.dot(direction));
    }
    let scaler = Scaler::of(projections.view());
    let scaled = scaler.scaled(projections.view());
    let fit = logistic::fit(&scaled.view(), set.labels, LAMBDA, TOLERANCE)?;
    let line = scaler.folded(&fit.weight, fit.intercept);
    let mut weight = Array1::<f64>::zeros(rows.ncols());
    for (direction, slope) in directions.iter().zip(&line.weight) {
        weight = weight + direction.mapv(|value| value * f64::from(*slope));
    }
    Ok(Probe {
        weight: weight
            .mapv(|value| value as f32)
            .insert_axis(ndarray::Axis(1)),
        bias: line.bias,
    })
}
