//! Exact intervals of a proportion (Clopper & Pearson 1934).

use statrs::function::beta::beta_reg;

use super::{CONFIDENCE, Estimate};

/// Two-sided exact interval of a proportion after `k` successes in `n` trials (`k` above `n` counts as `n`).
///
/// `confidence` lies in (0, 1), for example 0.95. No trials: `(0, 1)`.
#[must_use]
pub fn clopper_pearson(k: usize, n: usize, confidence: f64) -> (f64, f64) {
    let tail = (1.0 - confidence) / 2.0;
    (lower_bound(k, n, tail), upper_bound(k, n, tail))
}

/// One-sided exact upper bound of a proportion: the bound behind "at most 1 % needs 0 of 299".
#[must_use]
pub fn clopper_pearson_upper(k: usize, n: usize, confidence: f64) -> f64 {
    upper_bound(k, n, 1.0 - confidence)
}

/// `k` of `n` with its exact 95 % interval, each trial its own cluster; `None` if there are no trials.
#[must_use]
pub fn proportion(k: usize, n: usize) -> Option<Estimate> {
    proportion_at(k, n, CONFIDENCE)
}

/// The same with the interval at another confidence.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    reason = "counts of items are far below 2^52"
)]
pub fn proportion_at(k: usize, n: usize, confidence: f64) -> Option<Estimate> {
    if n == 0 {
        return None;
    }
    let (low, high) = clopper_pearson(k, n, confidence);
    Some(Estimate {
        point: k.min(n) as f64 / n as f64,
        low,
        high,
        n,
        clusters: n,
    })
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of items are far below 2^52"
)]
fn lower_bound(k: usize, n: usize, tail: f64) -> f64 {
    if k == 0 || n == 0 {
        return 0.0;
    }
    let k = k.min(n);
    beta_quantile(k as f64, (n - k + 1) as f64, tail)
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of items are far below 2^52"
)]
fn upper_bound(k: usize, n: usize, tail: f64) -> f64 {
    if k >= n {
        return 1.0;
    }
    beta_quantile((k + 1) as f64, (n - k) as f64, 1.0 - tail)
}

/// The `p`-quantile of Beta(`a`, `b`), by bisection on its distribution function.
///
/// statrs's own inverse (AS 64) does not end for 1 success in ten million; bisection always does, at the last
/// digit.
pub(super) fn beta_quantile(a: f64, b: f64, p: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        if beta_reg(a, b, middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
}
