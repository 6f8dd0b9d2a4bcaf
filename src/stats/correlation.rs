//! How closely two measurements of the same things go together.

use super::{mean, midranks};

/// Pearson's correlation of paired values; `None` for slices of different lengths, fewer than two pairs, or a side without variation.
#[must_use]
pub fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() || a.len() < 2 {
        return None;
    }
    let (centre_a, centre_b) = (mean(a)?, mean(b)?);
    let (mut product, mut square_a, mut square_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - centre_a, b - centre_b);
        product += a * b;
        square_a += a * a;
        square_b += b * b;
    }
    let spread = square_a.sqrt() * square_b.sqrt();
    (spread > 0.0).then(|| (product / spread).clamp(-1.0, 1.0))
}

/// Spearman's rank correlation, ties sharing the mean of their ranks; `None` as for [`pearson`].
#[must_use]
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    pearson(&midranks(a), &midranks(b))
}
