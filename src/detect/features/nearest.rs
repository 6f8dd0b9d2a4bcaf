//! Features that write in almost the same direction.

use ndarray::Array1;
use rayon::prelude::*;
use serde::Serialize;

use crate::detect::Sae;

/// Another feature, by the cosine of the two decoder directions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Neighbour {
    /// Column of the SAE.
    pub index: usize,
    /// In −1..1.
    pub cosine: f64,
}

/// The `most` features whose decoder directions have the largest cosine with that of each of `features`, itself left out.
/// Features without a direction (all zeros) are nobody's neighbour.
#[must_use]
pub fn nearest_features(sae: &Sae, features: &[usize], most: usize) -> Vec<Vec<Neighbour>> {
    let directions: Vec<Option<Array1<f32>>> = features.iter().map(|f| unit(sae, *f)).collect();
    let cosines: Vec<Vec<Option<f32>>> = (0..sae.d_sae())
        .into_par_iter()
        .map(|other| {
            let other = unit(sae, other);
            let with =
                |direction: &Option<Array1<f32>>| Some(direction.as_ref()?.dot(other.as_ref()?));
            directions.iter().map(with).collect()
        })
        .collect();
    let of = |(place, own): (usize, &usize)| {
        let mut near: Vec<Neighbour> = cosines
            .iter()
            .enumerate()
            .filter(|(index, _)| index != own)
            .filter_map(|(index, with)| {
                let cosine = f64::from(with.get(place).copied().flatten()?);
                Some(Neighbour { index, cosine })
            })
            .collect();
        near.sort_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.index.cmp(&b.index)));
        near.truncate(most);
        near
    };
    features.iter().enumerate().map(of).collect()
}

fn unit(sae: &Sae, feature: usize) -> Option<Array1<f32>> {
    let direction = sae.feature_direction(feature)?;
    let length = direction.dot(&direction).sqrt();
    (length > 0.0).then(|| direction / length)
}
