//! Difference of means (Marks & Tegmark, "The geometry of truth"): `θ = μ₊ − μ₋`.

use ndarray::{Array1, Axis};

use super::{ProbeKind, TrainingOptions, TrainingSet, projection};
use crate::detect::probe::Probe;
use crate::fault::{Fault, Result};

pub(super) const KIND: ProbeKind = ProbeKind {
    name: "difference_of_means",
    summary: "difference of class means with a one-dimensional logistic fit (Marks & Tegmark 2024)",
    needs: &[],
    pooling: None,
    train,
};

fn train(set: &TrainingSet<'_>, _options: TrainingOptions) -> Result<Probe> {
    projection::along(set, &[direction(set)?])
}

/// `μ₊ − μ₋`, `[d_in]`.
pub(super) fn direction(set: &TrainingSet<'_>) -> Result<Array1<f64>> {
    Ok(class_mean(set, true)? - class_mean(set, false)?)
}

/// Mean row of one label.
pub(super) fn class_mean(set: &TrainingSet<'_>, label: bool) -> Result<Array1<f64>> {
    let chosen: Vec<usize> = (0..set.labels.len())
        .filter(|row| set.labels.get(*row) == Some(&label))
        .collect();
    set.rows
        .select(Axis(0), &chosen)
        .mapv(f64::from)
        .mean_axis(Axis(0))
        .ok_or_else(|| Fault::failed("taking the mean of a label", "a label without rows"))
}
