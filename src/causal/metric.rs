//! What is read of the logits at one position.

use ndarray::ArrayView1;

/// `logits[answer] − logits[foil]`, in logits.
#[must_use]
pub fn logit_difference(logits: ArrayView1<f32>, answer: usize, foil: usize) -> f64 {
    f64::from(logits[answer]) - f64::from(logits[foil])
}

/// ln of the probability that the next token is `answer`, in nats.
#[must_use]
pub fn log_probability(logits: ArrayView1<f32>, answer: usize) -> f64 {
    f64::from(logits[answer]) - log_of_sum(logits)
}

/// How many tokens have a larger logit than `answer`: 0 where greedy decoding may say it.
#[must_use]
pub fn rank(logits: ArrayView1<f32>, answer: usize) -> usize {
    let own = logits[answer];
    logits.iter().filter(|logit| **logit > own).count()
}

/// The token that greedy decoding would choose; the lowest id among equals.
#[must_use]
pub fn top_token(logits: ArrayView1<f32>) -> usize {
    logits
        .iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (id, &logit)| {
            if logit > best.1 { (id, logit) } else { best }
        })
        .0
}

/// KL(plain ‖ edited) of two next-token distributions, in nats.
#[must_use]
pub fn kl_divergence(plain: ArrayView1<f32>, edited: ArrayView1<f32>) -> f64 {
    divergence_from(&log_softmax(plain), edited)
}

/// The same, given the logarithms of the plain probabilities.
pub(super) fn divergence_from(p: &[f64], edited: ArrayView1<f32>) -> f64 {
    let q = log_softmax(edited);
    let sum: f64 = p
        .iter()
        .zip(&q)
        // A token that the plain model rules out (a logit of −∞) adds nothing.
        .filter(|(p, _)| **p > f64::NEG_INFINITY)
        .map(|(&p, &q)| p.exp() * (p - q))
        .sum();
    // Rounding may go below 0; `max` would also turn NaN, which is no distance, into 0.
    if sum < 0.0 { 0.0 } else { sum }
}

/// ln of the probability of every token.
pub(super) fn log_softmax(logits: ArrayView1<f32>) -> Vec<f64> {
    let of_sum = log_of_sum(logits);
    logits
        .iter()
        .map(|&logit| f64::from(logit) - of_sum)
        .collect()
}

/// `ln Σ exp(logit)`.
fn log_of_sum(logits: ArrayView1<f32>) -> f64 {
    let largest = logits
        .iter()
        .fold(f64::NEG_INFINITY, |best, &logit| best.max(f64::from(logit)));
    let sum: f64 = logits
        .iter()
        .map(|&logit| (f64::from(logit) - largest).exp())
        .sum();
    largest + sum.ln()
}
