//! Empirical p-values against random controls.

/// `(1 + #{random ≥ effect}) / (1 + n)`: how often a random control does as well as the effect (Phipson & Smyth 2010).
///
/// Never 0: with `n` controls the smallest value is `1/(1 + n)`, so at least 19 are needed to reach 0.05. A control that
/// is not a number counts as at least as good as the effect, and so does every control if the effect is not a number.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    reason = "numbers of controls are far below 2^52"
)]
pub fn empirical_p(effect: f64, random: &[f64]) -> f64 {
    let smaller = random.iter().filter(|value| **value < effect).count();
    (1 + random.len() - smaller) as f64 / (1 + random.len()) as f64
}
