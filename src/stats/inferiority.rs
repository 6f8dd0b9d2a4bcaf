//! Non-inferiority of paired yes-or-no outcomes: what a sample can show of two models that were asked the same items.
//!
//! The difference of two paired rates has the variance `ψ / n` where the rates are equal, with `ψ` the share of discordant pairs, so
//! that one is shown to be no worse than the other by less than a margin `δ`, at the one-sided level `α`, with probability
//! `Φ(δ / √(ψ/n) − z(1−α))`.

use statrs::function::erf::{erfc, erfc_inv};
use std::f64::consts::SQRT_2;

/// Probability that a model which is no worse is shown to be no worse by less than `margin`, with `pairs` independent pairs (or
/// their effective number) of which the share `discordant` differs.
#[must_use]
pub fn non_inferiority_power(pairs: f64, discordant: f64, margin: f64, alpha: f64) -> f64 {
    normal(margin / (discordant / pairs).sqrt() - upper_quantile(alpha))
}

/// Independent pairs that are needed for a power of at least `power`.
#[must_use]
pub fn non_inferiority_pairs(discordant: f64, margin: f64, alpha: f64, power: f64) -> f64 {
    let both = upper_quantile(alpha) + upper_quantile(1.0 - power);
    (both.powi(2) * discordant / margin.powi(2)).ceil()
}

/// The distribution function of the standard normal.
fn normal(z: f64) -> f64 {
    erfc(-z / SQRT_2) / 2.0
}

/// What a standard normal exceeds with the probability `tail`.
fn upper_quantile(tail: f64) -> f64 {
    SQRT_2 * erfc_inv(2.0 * tail)
}
