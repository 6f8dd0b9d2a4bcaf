//! Mean, standard deviation and quantiles of a sample.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sample sizes are far below 2^52 and positions are checked to lie within the sample"
)]

/// Arithmetic mean; `None` for an empty sample.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Sample standard deviation (denominator `n − 1`); `None` for fewer than two values.
#[must_use]
pub fn std(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let centre = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// The `q`-quantile (`q` in 0..=1) with linear interpolation between order statistics: type 7 of Hyndman & Fan 1996,
/// the default of R and NumPy. `None` for an empty sample, a NaN in it, or `q` outside 0..=1.
#[must_use]
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&q) || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = q * (sorted.len().checked_sub(1)?) as f64;
    let below = sorted.get(position.floor() as usize)?;
    let above = sorted.get(position.ceil() as usize)?;
    let share = position - position.floor();
    // At an order statistic itself no arithmetic, which would give NaN between infinities.
    Some(if share > 0.0 {
        below + share * (above - below)
    } else {
        *below
    })
}
