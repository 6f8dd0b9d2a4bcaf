//! Probes of several columns whose scores an item's tokens pool: one logistic loss for each item, by gradient descent.
#![allow(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, s};
use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::logistic::{sigmoid, softplus};
use super::minimise::minimise;
use super::standardise::Scaler;
use super::{TrainingOptions, TrainingSet};
use crate::detect::probe::Probe;
use crate::fault::{Fault, Result};

/// An item's score from its columns `[tokens, c]`, and in `slope` its derivative by each of them.
pub(super) type Pool = fn(ArrayView2<f64>, ArrayViewMut2<f64>) -> f64;

/// How an item pools its tokens.
pub(super) struct Pooling {
    /// For messages.
    pub(super) name: &'static str,
    pub(super) pool: Pool,
    pub(super) columns: usize,
    /// Seeded starts, of which the lowest minimum is kept.
    pub(super) restarts: u64,
    /// The last columns are added up over heads; they share the intercept.
    pub(super) values: usize,
}

/// Minimises `Σ_items log(1 + exp(−y·s)) + λ/2 ‖W‖²` over columns `W` of z-scored rows and an intercept; the lowest of a few
/// seeded starts.
pub(super) fn train(
    set: &TrainingSet<'_>,
    options: TrainingOptions,
    pooling: &Pooling,
) -> Result<Probe> {
    let scaler = Scaler::of(set.rows);
    let rows = scaler.scaled(set.rows);
    let items = set.items();
    let problem = Problem {
        rows: rows.view(),
        signs: items
            .iter()
            .map(|range| match set.labels.get(range.start) {
                Some(true) => 1.0,
                _ => -1.0,
            })
            .collect(),
        items,
        pooling,
        lambda: options.lambda,
    };
    let enough = 1e-7 * problem.items.len() as f64;
    let (width, columns) = (rows.ncols(), pooling.columns);
    let found: Vec<(Array1<f64>, f64)> = (0..pooling.restarts)
        .into_par_iter()
        .map(|restart| {
            let seed = options.seed.wrapping_add(restart);
            let start = start(width, columns, seed);
            minimise(start, enough, 500, |at| problem.evaluate(at))
        })
        .collect();
    let best = found
        .into_iter()
        .reduce(|best, next| if next.1 < best.1 { next } else { best })
        .map(|(parameters, _)| parameters)
        .filter(|parameters| parameters.iter().all(|value| value.is_finite()));
    let fault = || {
        Fault::failed(
            format!("training a {} probe", pooling.name),
            "no start that leads to a minimum",
        )
        .expected("finite activations")
    };
    let best = best.ok_or_else(fault)?;
    let (weight, intercept) = problem.split(&best).ok_or_else(fault)?;
    let share = intercept / pooling.values as f64;
    let bias = Array1::from_shape_fn(columns, |column| {
        if column + pooling.values >= columns {
            share
        } else {
            0.0
        }
    });
    Ok(scaler.folded_columns(weight, &bias))
}

/// `[W, b]`: projections of z-scored rows with a spread of about 1, no intercept.
fn start(width: usize, columns: usize, seed: u64) -> Array1<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let scale = (3.0 / width as f64).sqrt();
    let mut start = Array1::from_shape_fn(width * columns + 1, |_| {
        scale * random.random_range(-1.0..1.0)
    });
    start[width * columns] = 0.0;
    start
}

struct Problem<'a> {
    rows: ArrayView2<'a, f64>,
    items: Vec<std::ops::Range<usize>>,
    /// ±1 for each item.
    signs: Vec<f64>,
    pooling: &'a Pooling,
    lambda: f64,
}

impl Problem<'_> {
    fn split<'p>(&self, parameters: &'p Array1<f64>) -> Option<(ArrayView2<'p, f64>, f64)> {
        let shape = (self.rows.ncols(), self.pooling.columns);
        let (intercept, weight) = parameters.as_slice()?.split_last()?;
        Some((ArrayView2::from_shape(shape, weight).ok()?, *intercept))
    }

    fn evaluate(&self, parameters: &Array1<f64>) -> (f64, Array1<f64>) {
        let Some((weight, intercept)) = self.split(parameters) else {
            return (f64::NAN, parameters.clone());
        };
        let columns = self.rows.dot(&weight);
        let mut slope = Array2::zeros(columns.raw_dim());
        let mut value = self.lambda / 2.0 * weight.iter().map(|entry| entry * entry).sum::<f64>();
        let mut by_intercept = 0.0;
        for (range, sign) in self.items.iter().zip(&self.signs) {
            let span = s![range.clone(), ..];
            let mut of_item = slope.slice_mut(span);
            let score = (self.pooling.pool)(columns.slice(span), of_item.view_mut()) + intercept;
            value += softplus(-sign * score);
            let by_score = -sign * sigmoid(-sign * score);
            of_item *= by_score;
            by_intercept += by_score;
        }
        let gradient = self.rows.t().dot(&slope) + &weight * self.lambda;
        let gradient = gradient.as_standard_layout();
        (
            value,
            gradient.iter().copied().chain([by_intercept]).collect(),
        )
    }
}
