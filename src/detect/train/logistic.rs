//! L2-penalised logistic regression by Newton's method.
#![allow(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]

use ndarray::{Array1, ArrayView1};

use super::design::Design;
use crate::fault::{Fault, Result};
use crate::interrupt;

/// Weight and intercept of a fit.
pub(in crate::detect) struct Fit {
    pub(in crate::detect) weight: Array1<f64>,
    pub(in crate::detect) intercept: f64,
}

const MOST_STEPS: usize = 100;

/// Minimises `Σ log(1 + exp(−y(x·w + b))) + λ/2 ‖w‖²` with `y = ±1`: scikit-learn's objective with `C = 1/λ`.
///
/// Newton steps with the Hessian applied but never formed (conjugate gradients), halved until the objective falls, until the
/// gradient's largest entry is below `tolerance` times the number of rows. The objective is strictly convex in `w`, and in `b` as
/// both labels occur, so the minimum is the only one.
pub(in crate::detect) fn fit<D: Design>(
    rows: &D,
    labels: &[bool],
    lambda: f64,
    tolerance: f64,
) -> Result<Fit> {
    let (n, d) = rows.dim();
    let problem = Problem {
        rows,
        signs: labels
            .iter()
            .map(|label| if *label { 1.0 } else { -1.0 })
            .collect(),
        lambda,
    };
    let enough = tolerance * n as f64;
    let mut at = Array1::zeros(d + 1);
    let (mut value, mut slope, mut curvature) = problem.evaluate(&at);
    for _ in 0..MOST_STEPS {
        if largest(&slope) <= enough {
            break;
        }
        interrupt::check()?;
        let share = largest(&slope) / n as f64;
        let step = problem.newton_step(&slope, &curvature, share.sqrt().min(0.1));
        let descent = slope.dot(&step);
        let mut length = 1.0_f64;
        let accepted = loop {
            let trial = &at + &(&step * length);
            let (trial_value, trial_slope, trial_curvature) = problem.evaluate(&trial);
            // Near the minimum the objective no longer resolves a descent; the gradient still does.
            let falls = trial_value <= value + 1e-4 * length * descent;
            if falls || largest(&trial_slope) < 0.5 * largest(&slope) {
                break Some((trial, trial_value, trial_slope, trial_curvature));
            }
            length /= 2.0;
            if length < 1e-12 {
                break None;
            }
        };
        let Some((next, next_value, next_slope, next_curvature)) = accepted else {
            break;
        };
        (at, value, slope, curvature) = (next, next_value, next_slope, next_curvature);
    }
    let reached = largest(&slope);
    // Well above the goal, well below what changes a sixth digit of the weights.
    if !reached.is_finite() || reached > 1e3 * enough {
        return Err(Fault::failed(
            "fitting a logistic regression",
            format!(
                "no minimum after {MOST_STEPS} Newton steps (largest gradient entry {reached:e})"
            ),
        )
        .expected(format!("at most {enough:e}"))
        .hint("a larger penalty λ makes the fit better conditioned"));
    }
    let weight = at.slice(ndarray::s![..d]).to_owned();
    let intercept = at.last().copied().unwrap_or_default();
    Ok(Fit { weight, intercept })
}

/// Parameters are `[w…, b]`.
struct Problem<'a, D> {
    rows: &'a D,
    signs: Array1<f64>,
    lambda: f64,
}

impl<D: Design> Problem<'_, D> {
    fn split<'p>(&self, parameters: &'p Array1<f64>) -> (ArrayView1<'p, f64>, f64) {
        let weight = parameters.slice(ndarray::s![..self.rows.dim().1]);
        (weight, parameters.last().copied().unwrap_or_default())
    }

    fn joined(&self, by_row: &Array1<f64>, penalty: Array1<f64>) -> Array1<f64> {
        let mut joined = self.rows.transposed_times(by_row) + penalty;
        let intercept = by_row.sum();
        joined = joined
            .into_iter()
            .chain(std::iter::once(intercept))
            .collect();
        joined
    }

    /// Objective, gradient, and `p(1−p)` of each row.
    fn evaluate(&self, parameters: &Array1<f64>) -> (f64, Array1<f64>, Array1<f64>) {
        let (weight, intercept) = self.split(parameters);
        let margins = (self.rows.times(weight) + intercept) * &self.signs;
        let loss: f64 = margins.iter().map(|margin| softplus(-margin)).sum();
        let value = loss + self.lambda / 2.0 * weight.dot(&weight);
        let residual: Array1<f64> = margins
            .iter()
            .zip(&self.signs)
            .map(|(margin, sign)| -sign * sigmoid(-margin))
            .collect();
        let curvature = margins.mapv(|margin| sigmoid(margin) * sigmoid(-margin));
        (
            value,
            self.joined(&residual, &weight * self.lambda),
            curvature,
        )
    }

    fn hessian_times(&self, direction: &Array1<f64>, curvature: &Array1<f64>) -> Array1<f64> {
        let (weight, intercept) = self.split(direction);
        let by_row = (self.rows.times(weight) + intercept) * curvature;
        self.joined(&by_row, &weight * self.lambda)
    }

    /// `−H⁻¹ g` by conjugate gradients, until the residual is at most `precision` times `g`: far from the minimum an exact step is
    /// no better than a rough one (Eisenstat & Walker 1996).
    fn newton_step(
        &self,
        slope: &Array1<f64>,
        curvature: &Array1<f64>,
        precision: f64,
    ) -> Array1<f64> {
        let mut step = Array1::zeros(slope.len());
        let mut residual = -slope;
        let mut direction = residual.clone();
        let mut square = residual.dot(&residual);
        let enough = square * (precision * precision).max(1e-24);
        for _ in 0..4 * slope.len() {
            let image = self.hessian_times(&direction, curvature);
            let along = direction.dot(&image);
            if square <= enough || along <= 0.0 {
                break;
            }
            let length = square / along;
            step = step + &direction * length;
            residual = residual - &image * length;
            let next = residual.dot(&residual);
            direction = &residual + &(&direction * (next / square));
            square = next;
        }
        step
    }
}

fn largest(values: &Array1<f64>) -> f64 {
    values.iter().fold(0.0, |most, value| {
        if value.is_nan() {
            f64::NAN
        } else {
            value.abs().max(most)
        }
    })
}

/// `1/(1 + exp(−t))` without overflow.
pub(super) fn sigmoid(t: f64) -> f64 {
    if t >= 0.0 {
        1.0 / (1.0 + (-t).exp())
    } else {
        let e = t.exp();
        e / (1.0 + e)
    }
}

/// `log(1 + exp(t))` without overflow.
pub(super) fn softplus(t: f64) -> f64 {
    t.max(0.0) + (-t.abs()).exp().ln_1p()
}
