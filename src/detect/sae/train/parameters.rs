//! What is trained: weights in single precision, row after row.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// The parameters of an SAE, and likewise their gradients and Adam's moments. One row of `w_enc` and one of `w_dec`, both
/// `d_in` wide, belong to one feature: what a feature needs lies in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Width of the activation.
    pub d_in: usize,
    /// Encoder columns as rows, `[d_sae, d_in]`: the transpose of SAELens's `W_enc`.
    pub w_enc: Vec<f32>,
    /// Decoder rows, `[d_sae, d_in]`.
    pub w_dec: Vec<f32>,
    /// `[d_sae]`
    pub b_enc: Vec<f32>,
    /// `[d_in]`
    pub b_dec: Vec<f32>,
    /// `[d_sae]`; moved by JumpReLU alone.
    pub threshold: Vec<f32>,
}

impl Parameters {
    /// Zeros.
    #[must_use]
    pub fn zeros(d_in: usize, d_sae: usize) -> Self {
        Self {
            d_in,
            w_enc: vec![0.0; d_in * d_sae],
            w_dec: vec![0.0; d_in * d_sae],
            b_enc: vec![0.0; d_sae],
            b_dec: vec![0.0; d_in],
            threshold: vec![0.0; d_sae],
        }
    }

    /// Decoder rows of unit length in random directions, the encoder their transpose, `b_dec` where the activations lie.
    #[must_use]
    pub fn random(b_dec: Vec<f32>, d_sae: usize, threshold: f32, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut parameters = Self::zeros(b_dec.len(), d_sae);
        parameters.b_dec = b_dec;
        parameters.w_dec.fill_with(|| gaussian(&mut random));
        parameters.unit_decoder();
        parameters.w_enc.clone_from(&parameters.w_dec);
        parameters.threshold.fill(threshold);
        parameters
    }

    /// Number of features.
    #[must_use]
    pub fn d_sae(&self) -> usize {
        self.b_enc.len()
    }

    /// The decoder row of a feature.
    pub(super) fn direction(&self, feature: usize) -> &[f32] {
        &self.w_dec[feature * self.d_in..(feature + 1) * self.d_in]
    }

    /// The tensors under their names in a checkpoint.
    pub(super) fn tensors(&self) -> [(&'static str, &Vec<f32>); 5] {
        [
            ("w_enc", &self.w_enc),
            ("w_dec", &self.w_dec),
            ("b_enc", &self.b_enc),
            ("b_dec", &self.b_dec),
            ("threshold", &self.threshold),
        ]
    }

    /// The same, to be changed.
    pub(super) fn tensors_mut(&mut self) -> [(&'static str, &mut Vec<f32>); 5] {
        [
            ("w_enc", &mut self.w_enc),
            ("w_dec", &mut self.w_dec),
            ("b_enc", &mut self.b_enc),
            ("b_dec", &mut self.b_dec),
            ("threshold", &mut self.threshold),
        ]
    }

    /// Gives every decoder row unit length, so that the size of an activation means something.
    pub(super) fn unit_decoder(&mut self) {
        for row in self.w_dec.chunks_exact_mut(self.d_in) {
            let norm = dot(row, row).sqrt();
            // A row without a direction stays as it is; it explains nothing.
            if norm > 0.0 {
                for value in row {
                    *value /= norm;
                }
            }
        }
    }
}

/// `Σ aᵢ·bᵢ`, in lanes whose order does not depend on the machine.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0_f32; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

/// `to += factor · from`.
pub(super) fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// A draw of the standard normal distribution (Box and Muller).
#[allow(
    clippy::cast_possible_truncation,
    reason = "weights are in single precision"
)]
fn gaussian(random: &mut ChaCha8Rng) -> f32 {
    // 1 − u, because the logarithm of 0 is none.
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    (radius * (std::f64::consts::TAU * random.random::<f64>()).cos()) as f32
}
