//! Linear artificial tomography (Zou et al., "Representation engineering"): the first principal component of the differences within
//! pairs, each taken in random order, so that labels decide its sign alone.

use ndarray::{Array2, Axis};
use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::spectrum::Spectrum;
use super::{Need, ProbeKind, TrainingOptions, TrainingSet, projection};
use crate::detect::probe::Probe;
use crate::fault::{Fault, Result};

pub(super) const KIND: ProbeKind = ProbeKind {
    name: "lat",
    summary: "first principal component of the differences within pairs (Zou et al. 2023)",
    needs: &[Need::Pairs],
    pooling: None,
    train,
};

fn train(set: &TrainingSet<'_>, options: TrainingOptions) -> Result<Probe> {
    let differences = differences(set, options.seed);
    let centre = differences.mean_axis(Axis(0)).unwrap_or_default();
    let spectrum = Spectrum::of((differences - &centre).view())?;
    if spectrum.values.is_empty() {
        return Err(Fault::failed(
            "training a lat probe",
            "pairs whose differences are all alike",
        )
        .expected("pairs that differ in more ways than one"));
    }
    // The logistic fit along it takes the sign from the labels.
    let component = spectrum.vectors.row(0).to_owned();
    projection::along(set, &[component])
}

/// `[pairs, d_in]`, differences of the items' mean rows, the sign of each drawn.
fn differences(set: &TrainingSet<'_>, seed: u64) -> Array2<f64> {
    let (means, begins) = set.item_means();
    let mean_of = |row: usize| begins.iter().position(|begin| *begin == row);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let pairs: Vec<(usize, usize)> = set
        .pairs()
        .into_iter()
        .filter_map(|(one, other)| Some((mean_of(one)?, mean_of(other)?)))
        .collect();
    let mut differences = Array2::zeros((pairs.len(), means.ncols()));
    for (mut row, (one, other)) in differences.outer_iter_mut().zip(pairs) {
        let difference = &means.row(one) - &means.row(other);
        let sign = if random.random::<bool>() { 1.0 } else { -1.0 };
        row.assign(&(difference * sign));
    }
    differences
}
