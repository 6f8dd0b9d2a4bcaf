//! Contrast-consistent search (Burns et al., "Discovering latent knowledge in language models without supervision"), on statements
//! and their negations.
//!
//! Both sides are centred apart, and divided by one spread of each column within the sides. Of ten starts the one with the lowest
//! `mean[(p⁺ − (1 − p⁻))² + min(p⁺, p⁻)²]` with `p = σ(θ·x̃ + b)` is kept. Labels decide its sign alone.
//!
//! A pair's score is `½(p⁺ + 1 − p⁻)`. A detector reads single statements of which it does not know the side, so the probe is the
//! logit `θ·(x − m)/σ + b` with `m` half way between the centres of the sides. Within one side that ranks as `p` does.

use ndarray::{Array1, Array2, ArrayView1, Axis};
use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::minimise::minimise;
use super::standardise::Scaler;
use super::{Need, ProbeKind, TrainingOptions, TrainingSet};
use crate::detect::probe::Probe;
use crate::fault::{Fault, Result};
use crate::tokens::Polarity;

pub(super) const KIND: ProbeKind = ProbeKind {
    name: "ccs",
    summary: "contrast-consistent search on statements and their negations (Burns et al. 2023)",
    needs: &[Need::Pairs, Need::Polarity],
    pooling: None,
    train,
};

const RESTARTS: u64 = 10;
/// `λ/2 ‖θ‖²` in the place of the authors' weight decay: with it consistent pairs have a minimum at a finite length.
const PENALTY: f64 = 1e-3;

fn train(set: &TrainingSet<'_>, options: TrainingOptions) -> Result<Probe> {
    let contrast = Contrast::of(set)?;
    let width = set.rows.ncols();
    // Starts are independent, and kept in their order.
    let found: Vec<(Array1<f64>, f64)> = (0..RESTARTS)
        .into_par_iter()
        .map(|restart| {
            let start = start(width, options.seed.wrapping_add(restart));
            minimise(start, 1e-8, 1000, |at| contrast.loss(at))
        })
        .collect();
    let best = found
        .into_iter()
        .reduce(|best, next| if next.1 < best.1 { next } else { best })
        .map(|(parameters, _)| parameters)
        .filter(|parameters| parameters.iter().all(|value| value.is_finite()))
        .ok_or_else(|| {
            Fault::failed("training a ccs probe", "no start that leads to a minimum")
                .expected("finite activations")
        })?;
    let sign = contrast.sign(&best);
    let (theta, bias) = split(&best);
    Ok(contrast.scaler.folded(&(&theta * sign), bias * sign))
}

/// `[θ, b]`, θ a random direction of length 1.
fn start(width: usize, seed: u64) -> Array1<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut start: Array1<f64> =
        Array1::from_shape_fn(width + 1, |_| random.random_range(-1.0..1.0));
    start[width] = 0.0;
    let length: f64 = start.dot(&start).sqrt();
    start / length
}

fn split(parameters: &Array1<f64>) -> (ArrayView1<'_, f64>, f64) {
    let width = parameters.len().saturating_sub(1);
    let bias = parameters.last().copied().unwrap_or_default();
    (parameters.slice(ndarray::s![..width]), bias)
}

/// Normalised pairs.
struct Contrast {
    /// `[pairs, d_in]`.
    affirmed: Array2<f64>,
    denied: Array2<f64>,
    /// Whether the affirmed statement is a positive.
    labels: Vec<bool>,
    /// From a row of either side to `x̃`.
    scaler: Scaler,
}

impl Contrast {
    fn of(set: &TrainingSet<'_>) -> Result<Self> {
        let (means, begins) = set.item_means();
        let affirms = |row: usize| {
            let about = set.about.get(row)?;
            Some(about.polarity? == Polarity::Affirmative)
        };
        let mut sides = (Vec::new(), Vec::new());
        let mut labels = Vec::new();
        for (one, other) in set.pairs() {
            let (with, without) = match (affirms(one), affirms(other)) {
                (Some(true), Some(false)) => (one, other),
                (Some(false), Some(true)) => (other, one),
                _ => continue,
            };
            let mean_of = |row: usize| begins.iter().position(|begin| *begin == row);
            if let (Some(a), Some(b), Some(label)) =
                (mean_of(with), mean_of(without), set.labels.get(with))
            {
                sides.0.push(a);
                sides.1.push(b);
                labels.push(*label);
            }
        }
        if labels.is_empty() {
            return Err(Fault::usage(
                "training a ccs probe",
                "no pair of an affirmation and its negation",
            )
            .expected("`pair` naming the item of the other polarity"));
        }
        let side = |rows: &[usize]| {
            let rows = means.select(Axis(0), rows);
            let centre = rows.mean_axis(Axis(0)).unwrap_or_default();
            (rows - &centre, centre)
        };
        let (affirmed, centre) = side(&sides.0);
        let (denied, other) = side(&sides.1);
        let spread = Scaler::of(
            ndarray::concatenate(Axis(0), &[affirmed.view(), denied.view()])
                .map_err(|error| Fault::failed("training a ccs probe", error.to_string()))?
                .view(),
        );
        Ok(Self {
            affirmed: spread.scaled(affirmed.view()),
            denied: spread.scaled(denied.view()),
            labels,
            scaler: spread.centred_at((centre + other) / 2.0),
        })
    }

    fn probabilities(&self, parameters: &Array1<f64>) -> (Array1<f64>, Array1<f64>) {
        let (theta, bias) = split(parameters);
        let of = |rows: &Array2<f64>| (rows.dot(&theta) + bias).mapv(super::logistic::sigmoid);
        (of(&self.affirmed), of(&self.denied))
    }

    /// The loss and its gradient.
    #[allow(clippy::cast_precision_loss, reason = "pairs are far below 2^52")]
    fn loss(&self, parameters: &Array1<f64>) -> (f64, Array1<f64>) {
        let (p, q) = self.probabilities(parameters);
        let (theta, _) = split(parameters);
        let n = p.len() as f64;
        let mut value = PENALTY / 2.0 * theta.dot(&theta);
        let (mut by_p, mut by_q) = (Array1::zeros(p.len()), Array1::zeros(q.len()));
        for pair in 0..p.len() {
            let (p, q) = (p[pair], q[pair]);
            let gap = p + q - 1.0;
            value += (gap * gap + p.min(q).powi(2)) / n;
            let (of_p, of_q) = if p < q { (p, 0.0) } else { (0.0, q) };
            by_p[pair] = 2.0 * (gap + of_p) * p * (1.0 - p) / n;
            by_q[pair] = 2.0 * (gap + of_q) * q * (1.0 - q) / n;
        }
        let slope = self.affirmed.t().dot(&by_p) + self.denied.t().dot(&by_q) + &theta * PENALTY;
        let bias: f64 = by_p.sum() + by_q.sum();
        (value, slope.into_iter().chain([bias]).collect())
    }

    /// 1 if true pairs score higher, −1 if lower.
    fn sign(&self, parameters: &Array1<f64>) -> f64 {
        let (p, q) = self.probabilities(parameters);
        let lean = |label: bool| {
            let of_label: Vec<f64> = (&p - &q)
                .iter()
                .zip(&self.labels)
                .filter(|(_, of)| **of == label)
                .map(|(lean, _)| *lean)
                .collect();
            crate::stats::mean(&of_label).unwrap_or_default()
        };
        if lean(true) >= lean(false) { 1.0 } else { -1.0 }
    }
}
