//! Linear discriminant analysis: `w = S⁻¹(μ₊ − μ₋)` with `S` the covariances of the classes weighted by their shares. With fewer
//! rows than columns each is shrunk towards a multiple of the identity (Ledoit & Wolf 2004) on z-scored columns, as scikit-learn's
//! `LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")` does.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "row counts are far below 2^52; weights are stored in single precision by design"
)]

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::difference_of_means::class_mean;
use super::spectrum::{self, Spectrum};
use super::{ProbeKind, TrainingOptions, TrainingSet};
use crate::detect::probe::Probe;
use crate::fault::{Fault, Result};

pub(super) const KIND: ProbeKind = ProbeKind {
    name: "lda",
    summary: "linear discriminant analysis, Ledoit–Wolf shrinkage where rows are fewer than columns",
    needs: &[],
    pooling: None,
    train,
};

fn train(set: &TrainingSet<'_>, _options: TrainingOptions) -> Result<Probe> {
    let (n, d) = set.rows.dim();
    let classes = [false, true]
        .into_iter()
        .map(|label| Class::of(set, label))
        .collect::<Result<Vec<_>>>()?;
    let [negative, positive] = classes.as_slice() else {
        return Err(Fault::failed("training a lda probe", "not two classes"));
    };
    let difference = &positive.mean - &negative.mean;
    let weight = if n < d {
        shrunk(&classes, n, &difference)?
    } else {
        plain(&classes, n, &difference)?
    };
    let middle = (&positive.mean + &negative.mean) / 2.0;
    let odds = (positive.centred.nrows() as f64 / negative.centred.nrows() as f64).ln();
    let bias = odds - weight.dot(&middle);
    Ok(Probe::linear(
        weight.mapv(|value| value as f32),
        bias as f32,
    ))
}

struct Class {
    mean: Array1<f64>,
    /// `[n of the class, d]`.
    centred: Array2<f64>,
}

impl Class {
    fn of(set: &TrainingSet<'_>, label: bool) -> Result<Self> {
        let mean = class_mean(set, label)?;
        let chosen: Vec<usize> = (0..set.labels.len())
            .filter(|row| set.labels.get(*row) == Some(&label))
            .collect();
        let centred = set.rows.select(Axis(0), &chosen).mapv(f64::from) - &mean;
        Ok(Self { mean, centred })
    }
}

/// Both classes' covariances weighted by their shares are that of all centred rows.
fn plain(classes: &[Class], n: usize, difference: &Array1<f64>) -> Result<Array1<f64>> {
    let views: Vec<ArrayView2<f64>> = classes.iter().map(|class| class.centred.view()).collect();
    let rows = ndarray::concatenate(Axis(0), &views)
        .map_err(|error| Fault::failed("training a lda probe", error.to_string()))?;
    let spectrum = Spectrum::of(rows.view())?;
    let largest = spectrum.values.first().copied().unwrap_or_default();
    let d = rows.ncols();
    Ok(spectrum.pseudo_inverse_times(difference, largest * f64::EPSILON * n.max(d) as f64))
}

/// `(Λ + UᵀU)⁻¹ δ` with a diagonal `Λ` and one row of `U` for each row of the data, by Woodbury's identity: nothing of size
/// `d × d` is formed.
fn shrunk(classes: &[Class], n: usize, difference: &Array1<f64>) -> Result<Array1<f64>> {
    let d = difference.len();
    let mut diagonal = Array1::<f64>::zeros(d);
    let mut factors: Vec<Array2<f64>> = Vec::with_capacity(classes.len());
    for class in classes {
        let rows = class.centred.nrows() as f64;
        let share = rows / n as f64;
        // A column that is constant within the class keeps the scale 1, as in scikit-learn.
        let scale = class.centred.map_axis(Axis(0), |column| {
            let spread = (column.dot(&column) / rows).sqrt();
            if spread > 0.0 { spread } else { 1.0 }
        });
        let scaled = &class.centred / &scale;
        let (shrinkage, mean_variance) = ledoit_wolf(&scaled);
        diagonal.scaled_add(share * shrinkage * mean_variance, &(&scale * &scale));
        factors.push(&class.centred * (share * (1.0 - shrinkage) / rows).sqrt());
    }
    if diagonal.iter().any(|entry| *entry <= 0.0) {
        return Err(Fault::failed(
            "training a lda probe",
            "a class whose rows are all alike, or are told apart without shrinkage",
        )
        .expected("rows that differ within each label"));
    }
    let views: Vec<ArrayView2<f64>> = factors.iter().map(|rows| rows.view()).collect();
    let factor = ndarray::concatenate(Axis(0), &views)
        .map_err(|error| Fault::failed("training a lda probe", error.to_string()))?;
    let scaled = &factor / &diagonal;
    let mut small = scaled.dot(&factor.t());
    small.diag_mut().mapv_inplace(|entry| entry + 1.0);
    let inner = spectrum::solve(&small, &scaled.dot(difference)).ok_or_else(|| {
        Fault::failed(
            "training a lda probe",
            "a covariance that cannot be inverted",
        )
        .expected("finite activations")
    })?;
    Ok(difference / &diagonal - scaled.t().dot(&inner))
}

/// The share of shrinkage of centred rows and the mean variance that is shrunk to (Ledoit & Wolf 2004, as scikit-learn's
/// `ledoit_wolf_shrinkage` computes them).
fn ledoit_wolf(rows: &Array2<f64>) -> (f64, f64) {
    let (n, d) = (rows.nrows() as f64, rows.ncols() as f64);
    let squares = rows.map_axis(Axis(1), |row| row.dot(&row));
    let mean_variance = squares.sum() / n / d;
    let gram = rows.dot(&rows.t());
    let of_covariance = gram.iter().map(|entry| entry * entry).sum::<f64>() / (n * n);
    let fourth = squares.dot(&squares) / n;
    let beta = (fourth - of_covariance) / (d * n);
    let delta = (of_covariance - 2.0 * mean_variance * squares.sum() / n
        + d * mean_variance * mean_variance)
        / d;
    let beta = beta.min(delta);
    let shrinkage = if beta <= 0.0 { 0.0 } else { beta / delta };
    (shrinkage, mean_variance)
}
