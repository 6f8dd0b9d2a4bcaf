//! Where activations lie.

use ndarray::ArrayView2;

/// Rounds of Weiszfeld's algorithm; it converges long before.
const ROUNDS: usize = 100;
/// A round that moves the point by less of its distances ends it.
const MOVED: f64 = 1e-6;

/// The point with the smallest mean distance from the rows of `x` `[n, d]`, by Weiszfeld's algorithm from their mean: unlike a
/// mean it is not drawn to a few rows far away.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "the point is in single precision"
)]
pub fn geometric_median(x: ArrayView2<f32>) -> Vec<f32> {
    let (n, d) = x.dim();
    let mut point = vec![0.0_f64; d];
    for row in x.rows() {
        for (point, value) in point.iter_mut().zip(row) {
            *point += f64::from(*value) / n as f64;
        }
    }
    for _ in 0..ROUNDS {
        let mut next = vec![0.0_f64; d];
        let (mut weights, mut distances) = (0.0, 0.0);
        for row in x.rows() {
            let squares = row.iter().zip(&point);
            let distance: f64 = squares
                .map(|(value, point)| (f64::from(*value) - point).powi(2))
                .sum::<f64>()
                .sqrt();
            distances += distance;
            // A row at the point itself would have all the weight there is.
            let weight = 1.0 / distance.max(1e-12);
            weights += weight;
            for (next, value) in next.iter_mut().zip(row) {
                *next += weight * f64::from(*value);
            }
        }
        if weights <= 0.0 {
            break;
        }
        let mut moved = 0.0;
        for (point, next) in point.iter_mut().zip(next) {
            let next = next / weights;
            moved += (*point - next).powi(2);
            *point = next;
        }
        if moved.sqrt() * n as f64 <= MOVED * distances {
            break;
        }
    }
    point.into_iter().map(|value| value as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// Of a triangle with one corner far away it is the point that sees all sides under 120°; of a square its centre.
    #[test]
    fn of_a_square_it_is_the_centre_and_of_three_points_on_a_line_the_middle_one() {
        let square = array![[0.0_f32, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]];
        let centre = geometric_median(square.view());
        assert!(centre.iter().all(|value| (value - 1.0).abs() < 1e-5));
        let line = array![[0.0_f32], [1.0], [100.0]];
        assert!((geometric_median(line.view())[0] - 1.0).abs() < 0.05);
    }
}
