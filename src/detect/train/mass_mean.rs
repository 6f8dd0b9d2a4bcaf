//! Mass-mean probing in its form for independent and identically distributed data (Marks & Tegmark, "The geometry of truth",
//! eq. 2): `θᵀ Σ⁺ x` with `θ = μ₊ − μ₋` and `Σ` the covariance within the classes.

use ndarray::{Array2, Axis};

use super::difference_of_means::class_mean;
use super::spectrum::Spectrum;
use super::{ProbeKind, TrainingOptions, TrainingSet, projection};
use crate::detect::probe::Probe;
use crate::fault::Result;

pub(super) const KIND: ProbeKind = ProbeKind {
    name: "mass_mean",
    summary: "difference of class means tilted by the inverse covariance (Marks & Tegmark 2024, iid form)",
    needs: &[],
    pooling: None,
    train,
};

/// Eigenvalues of the covariance up to this are taken for 0, as in the authors' code.
const CUTOFF: f64 = 1e-3;

fn train(set: &TrainingSet<'_>, _options: TrainingOptions) -> Result<Probe> {
    let means = [class_mean(set, false)?, class_mean(set, true)?];
    let mut centred: Array2<f64> = set.rows.mapv(f64::from);
    for (mut row, label) in centred.axis_iter_mut(Axis(0)).zip(set.labels) {
        row -= &means[usize::from(*label)];
    }
    let [negative, positive] = means;
    let spectrum = Spectrum::of(centred.view())?;
    let tilted = spectrum.pseudo_inverse_times(&(positive - negative), CUTOFF);
    projection::along(set, &[tilted])
}
