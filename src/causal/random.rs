//! Random directions that a real one is compared with.

use ndarray::Array1;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

/// `n` unit vectors `[d_model]`, uniform on the sphere, the same for the same seed.
pub(super) fn unit_directions(n: usize, d_model: usize, seed: u64) -> Vec<Array1<f32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n)
        .map(|_| {
            let direction: Array1<f64> = (0..d_model).map(|_| standard_normal(&mut rng)).collect();
            let norm = direction.dot(&direction).sqrt();
            #[allow(clippy::cast_possible_truncation, reason = "activations are float32")]
            direction.mapv(|x| (x / norm) as f32)
        })
        .collect()
}

/// Box–Muller: a direction is uniform on the sphere when its components are independent normals.
fn standard_normal(rng: &mut ChaCha8Rng) -> f64 {
    use rand::Rng as _;
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
