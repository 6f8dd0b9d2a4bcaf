//! Limited-memory BFGS (Nocedal & Wright, algorithm 7.5) with a line search that halves and doubles until the weak Wolfe
//! conditions hold. No randomness, no threads: the same function gives the same minimum.

use std::collections::VecDeque;

use ndarray::Array1;

/// Steps that the curvature is guessed from.
const MEMORY: usize = 10;

/// The lowest point found from `start`, and the value there. `function` gives value and gradient.
///
/// Ends where the gradient's largest entry is at most `enough`, where no step descends any more, or after `most` steps.
pub(super) fn minimise(
    start: Array1<f64>,
    enough: f64,
    most: usize,
    function: impl Fn(&Array1<f64>) -> (f64, Array1<f64>),
) -> (Array1<f64>, f64) {
    let mut at = start;
    let (mut value, mut slope) = function(&at);
    let mut past: VecDeque<(Array1<f64>, Array1<f64>)> = VecDeque::new();
    for _ in 0..most {
        if slope.iter().all(|entry| entry.abs() <= enough) {
            break;
        }
        let mut step = descent(&slope, &past);
        if step.dot(&slope) >= 0.0 {
            past.clear();
            step = -&slope;
        }
        let first = past.is_empty();
        let length = if first {
            (1.0 / slope.dot(&slope).sqrt()).min(1.0)
        } else {
            1.0
        };
        let Some((next, next_value, next_slope)) =
            search(&at, value, &slope, &step, length, &function)
        else {
            if first {
                break;
            }
            past.clear();
            continue;
        };
        let (moved, turned) = (&next - &at, &next_slope - &slope);
        if moved.dot(&turned) > 1e-300 {
            past.push_back((moved, turned));
            if past.len() > MEMORY {
                past.pop_front();
            }
        }
        (at, value, slope) = (next, next_value, next_slope);
    }
    (at, value)
}

/// `−H g` with the inverse curvature `H` guessed from the past steps (the two-loop recursion).
fn descent(slope: &Array1<f64>, past: &VecDeque<(Array1<f64>, Array1<f64>)>) -> Array1<f64> {
    let mut step = -slope;
    let mut shares = Vec::with_capacity(past.len());
    for (moved, turned) in past.iter().rev() {
        let share = moved.dot(&step) / moved.dot(turned);
        step.scaled_add(-share, turned);
        shares.push(share);
    }
    if let Some((moved, turned)) = past.back() {
        step *= moved.dot(turned) / turned.dot(turned);
    }
    for ((moved, turned), share) in past.iter().zip(shares.into_iter().rev()) {
        let back = turned.dot(&step) / moved.dot(turned);
        step.scaled_add(share - back, moved);
    }
    step
}

/// A point along `step` with enough descent and a flatter slope, by bisection.
fn search(
    at: &Array1<f64>,
    value: f64,
    slope: &Array1<f64>,
    step: &Array1<f64>,
    first: f64,
    function: &impl Fn(&Array1<f64>) -> (f64, Array1<f64>),
) -> Option<(Array1<f64>, f64, Array1<f64>)> {
    let along = slope.dot(step);
    let (mut low, mut high, mut length) = (0.0, f64::INFINITY, first);
    let mut best = None;
    for _ in 0..40 {
        let next = at + &(step * length);
        let (next_value, next_slope) = function(&next);
        // A value that is not a number is no descent.
        let descends = next_value <= value + 1e-4 * length * along;
        if !descends {
            high = length;
        } else if next_slope.dot(step) < 0.9 * along {
            low = length;
            best = Some((next, next_value, next_slope));
        } else {
            return Some((next, next_value, next_slope));
        }
        length = if high.is_finite() {
            f64::midpoint(low, high)
        } else {
            2.0 * length
        };
    }
    best
}
