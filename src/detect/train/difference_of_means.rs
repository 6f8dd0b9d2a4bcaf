//! Difference of means, or mass-mean (Marks & Tegmark, "The geometry of truth"): `θ = μ₊ − μ₋`, and a logistic fit on the
//! one-dimensional projection `θ·x` for scale and bias.
#![allow(
    clippy::cast_possible_truncation,
    reason = "weights are stored in single precision by design"
)]

use ndarray::{Array1, Axis};

use super::standardise::Scaler;
use super::{ProbeKind, TrainingOptions, TrainingSet, logistic};
use crate::detect::probe::LinearProbe;
use crate::fault::{Fault, Result};

pub(super) const KIND: ProbeKind = ProbeKind {
    name: "difference_of_means",
    summary: "difference of class means with a one-dimensional logistic fit (Marks & Tegmark 2024)",
    train,
};

/// Penalty of the fit on the z-scored projection, scikit-learn's default `C = 1`: keeps the slope finite where the
/// classes are separable, and is too weak to matter elsewhere.
const PROJECTION_LAMBDA: f64 = 1.0;

fn train(set: &TrainingSet<'_>, _options: TrainingOptions) -> Result<LinearProbe> {
    let class_mean = |wanted: bool| {
        let chosen: Vec<usize> = (0..set.labels.len())
            .filter(|row| set.labels.get(*row) == Some(&wanted))
            .collect();
        set.rows
            .select(Axis(0), &chosen)
            .mapv(f64::from)
            .mean_axis(Axis(0))
    };
    let (Some(positive), Some(negative)) = (class_mean(true), class_mean(false)) else {
        return Err(Fault::failed(
            "training a difference_of_means probe",
            "a label without rows",
        ));
    };
    // Equal means give the probe that says the same of every row: at chance, which is what there is to say.
    let direction: Array1<f64> = positive - negative;
    let projection = set
        .rows
        .mapv(f64::from)
        .dot(&direction)
        .insert_axis(Axis(1));
    let scaler = Scaler::of(projection.view());
    let rows = scaler.scaled(projection.view());
    let fit = logistic::fit(rows.view(), set.labels, PROJECTION_LAMBDA)?;
    let line = scaler.folded(&fit.weight, fit.intercept);
    let slope = line.weight.first().copied().map_or(0.0, f64::from);
    Ok(LinearProbe {
        weight: direction.mapv(|value| (value * slope) as f32),
        bias: line.bias,
    })
}
