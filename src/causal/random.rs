//! Random edits that a real one is compared with.

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

/// The edits of the real edit's length along each direction, less what the direction shares with the real edit.
///
/// In a narrow stream an unrestricted random direction shares a good part with any other (at a width of 64 the best of
/// twenty about a third), and would measure that part of the real edit again. Without it the question is the one that is
/// meant: does any push of this size do the same?
pub(super) fn norm_matched(directions: &[Array1<f32>], edit: &Array1<f32>) -> Vec<Array1<f32>> {
    let square = edit.dot(edit);
    directions
        .iter()
        .map(|direction| {
            let shared = if square > 0.0 {
                edit * (direction.dot(edit) / square)
            } else {
                Array1::zeros(edit.len())
            };
            let rest = direction - &shared;
            let length = rest.dot(&rest).sqrt();
            // A stream of one dimension has no other direction.
            if length > 0.0 {
                rest * (square.sqrt() / length)
            } else {
                rest
            }
        })
        .collect()
}

/// Box–Muller: a direction is uniform on the sphere when its components are independent normals.
fn standard_normal(rng: &mut ChaCha8Rng) -> f64 {
    use rand::Rng as _;
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_have_length_one_and_point_everywhere() {
        let (n, d_model) = (400, 16);
        let directions = unit_directions(n, d_model, 3);
        assert_eq!(directions.len(), n);
        let mut mean = Array1::<f32>::zeros(d_model);
        let mut along = Array1::<f32>::zeros(d_model);
        for direction in &directions {
            assert_eq!(direction.len(), d_model);
            assert!((direction.dot(direction).sqrt() - 1.0).abs() < 1e-6);
            mean += direction;
            along += &direction.mapv(|x| x * x);
        }
        // A component has mean 0 and mean square 1/16; these bars are five standard errors.
        assert!(mean.iter().all(|sum| (sum / 400.0).abs() < 0.0625));
        assert!(along.iter().all(|sum| (sum / 400.0 - 0.0625).abs() < 0.021));
    }

    #[test]
    fn random_edits_have_the_real_length_and_share_nothing_with_it() {
        let edit = Array1::from_iter((0..12_u8).map(|x| f32::from(x) - 3.5));
        let edits = norm_matched(&unit_directions(20, 12, 1), &edit);
        assert_eq!(edits.len(), 20);
        for random in &edits {
            assert!((random.dot(random) / edit.dot(&edit) - 1.0).abs() < 1e-5);
            assert!((random.dot(&edit) / edit.dot(&edit)).abs() < 1e-5);
        }
        let nothing = norm_matched(&unit_directions(2, 12, 1), &Array1::zeros(12));
        assert!(nothing.iter().all(|random| random.dot(random) == 0.0));
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(unit_directions(3, 8, 7), unit_directions(3, 8, 7));
        assert_ne!(unit_directions(3, 8, 7), unit_directions(3, 8, 8));
        // More directions begin with the same ones.
        assert_eq!(unit_directions(5, 8, 7)[..3], unit_directions(3, 8, 7)[..]);
        assert_eq!(unit_directions(0, 8, 7).len(), 0);
    }
}
