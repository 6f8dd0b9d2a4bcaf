//! Intervals of means of bounded values over groups that hold at any size, rare cases included.
//!
//! Gaffke's bound (2005; Phan, Thomas & Learned-Miller, ICML 2021, arXiv 2106.03163): the values get random weights, uniform over all
//! weights that sum to 1, beside one more value at the far end of the range, and the bound is a quantile of the weighted mean. For
//! yes or no it is the Clopper–Pearson bound, and where all are alike that of 0 cases in so many. A percentile bootstrap can draw nothing
//! that it has not seen: one case in 16 groups bounds the rate lower than none does.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp1, Gamma};

use super::bootstrap::{DOING, Resampling, cluster_sums, unseen, unseen_share};
use super::{Estimate, quantile};
use crate::fault::{Fault, Result};

/// Mean of `(cluster, value)` pairs with its interval over clusters; `range` is what a value can be.
///
/// Clusters of different sizes count by their size, and the unseen one has their mean size. The result depends on the pairs and the seed
/// only, not on the order of the pairs.
///
/// # Errors
/// An empty sample, a value that is not finite or outside `range`, or no resamples.
pub fn bounded_mean(
    values: &[(&str, f64)],
    range: (f64, f64),
    how: &Resampling,
) -> Result<Estimate> {
    let inside = range.0..=range.1;
    if let Some((cluster, value)) = values.iter().find(|(_, value)| !inside.contains(value)) {
        return Err(
            Fault::failed(DOING, format!("the value {value} in group `{cluster}`"))
                .expected(format!("values in {inside:?}")),
        );
    }
    bounded_mean_of_sums(&cluster_sums(values), range, how)
}

/// The same of each cluster's sum of values and their number.
///
/// # Errors
/// No value, or no resamples.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of items are far below 2^52"
)]
pub fn bounded_mean_of_sums(
    clusters: &[(f64, f64)],
    (lowest, highest): (f64, f64),
    how: &Resampling,
) -> Result<Estimate> {
    let (sum, n) = clusters
        .iter()
        .fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
    if n <= 0.0 || how.resamples == 0 {
        return Err(
            Fault::failed(DOING, format!("{n} values and {} resamples", how.resamples))
                .expected("at least one of each"),
        );
    }
    let point = sum / n;
    let (low, high) = if alike(clusters) {
        let share = unseen_share(clusters.len(), how.confidence);
        unseen(point, Some((lowest, highest)), share)
    } else {
        let size = n / clusters.len() as f64;
        let pools = pools(clusters)?;
        let mut random = ChaCha8Rng::seed_from_u64(how.seed);
        let (mut lows, mut highs) = (Vec::new(), Vec::new());
        for _ in 0..how.resamples {
            let drawn: f64 = Exp1.sample(&mut random);
            let unseen = size * drawn;
            let (mut total, mut weight) = (0.0, unseen);
            for ((sum, n), weights) in &pools {
                let drawn = weights.sample(&mut random);
                total += drawn * sum;
                weight += drawn * n;
            }
            lows.push((total + unseen * lowest) / weight);
            highs.push((total + unseen * highest) / weight);
        }
        let tail = (1.0 - how.confidence) / 2.0;
        // Weighted means of values that are nearly alike may pass the plain mean by their rounding.
        (
            quantile(&lows, tail).unwrap_or(lowest).min(point),
            quantile(&highs, 1.0 - tail).unwrap_or(highest).max(point),
        )
    };
    Ok(Estimate {
        point,
        low,
        high,
        n: n as usize,
        clusters: clusters.len(),
    })
}

/// Whether all clusters have the same mean, but for its rounding.
fn alike(clusters: &[(f64, f64)]) -> bool {
    let means = clusters.iter().map(|(sum, n)| sum / n);
    let (low, high) = means.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), mean| {
        (low.min(mean), high.max(mean))
    });
    high - low <= 1e-12 * low.abs().max(high.abs())
}

/// A cluster's sum and number, and the weights of all that are like it.
type Pool = ((f64, f64), Gamma<f64>);

/// Clusters that are alike, and what their weights add up to: the sum of as many exponential draws. Draws in proportion to which weights
/// are uniform over all that sum to 1 then cost as much as there are different clusters.
#[allow(
    clippy::cast_precision_loss,
    reason = "counts of clusters are far below 2^52"
)]
fn pools(clusters: &[(f64, f64)]) -> Result<Vec<Pool>> {
    let mut alike: BTreeMap<(u64, u64), ((f64, f64), usize)> = BTreeMap::new();
    for cluster in clusters {
        let key = (cluster.0.to_bits(), cluster.1.to_bits());
        alike.entry(key).or_insert((*cluster, 0)).1 += 1;
    }
    let pools = alike.into_values().map(|(cluster, count)| {
        let weights = Gamma::new(count as f64, 1.0)
            .map_err(|error| Fault::failed(DOING, error.to_string()))?;
        Ok((cluster, weights))
    });
    pools.collect()
}
