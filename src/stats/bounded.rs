//! Intervals of means of bounded values over groups that hold at any size, rare cases included.
//!
//! Gaffke's bound (2005; Learned-Miller & Thomas, arXiv 1905.06208; Phan, Thomas & Learned-Miller, ICML 2021, arXiv 2106.03163): the groups'
//! means get random weights, uniform over all weights that sum to 1, beside one more at the far end of the range, and the bound is a
//! quantile of the weighted mean. For yes or no it is the Clopper–Pearson bound, and where all are alike that of 0 cases in so many. That it
//! covers at any size is conjectured, and no sample is known where it does not. A percentile bootstrap can draw nothing that it has not
//! seen: one case in 16 groups bounds the rate lower than none does.
//!
//! Groups are what is drawn independently, so each counts once, whatever its size: weighted by its items, a mean hangs on the few largest
//! groups and no bound over groups covers it.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp1, Gamma};

use super::bootstrap::{Resampling, cluster_sums, no_variation, unseen, unseen_share};
use super::{Estimate, mean, quantile};
use crate::fault::{Fault, Result};

const DOING: &str = "bounding a mean over groups";

/// Mean of `(cluster, value)` pairs with its interval over clusters; `range` is what a value can be.
///
/// Every cluster counts once, by the mean of its values. The result depends on the pairs and the seed only, not on the order of the pairs.
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
    let sums = cluster_sums(values).into_iter();
    let means: Vec<f64> = sums.map(|(sum, n)| sum / n).collect();
    Ok(Estimate {
        n: values.len(),
        ..bounded_mean_of_groups(&means, range, how)?
    })
}

/// The same of each group's mean.
///
/// # Errors
/// No group, or no resamples.
pub fn bounded_mean_of_groups(
    means: &[f64],
    (lowest, highest): (f64, f64),
    how: &Resampling,
) -> Result<Estimate> {
    let Some(point) = mean(means).filter(|_| how.resamples > 0) else {
        return Err(Fault::failed(
            DOING,
            format!("{} groups and {} resamples", means.len(), how.resamples),
        )
        .expected("at least one of each"));
    };
    let (low, high) = if alike(means) {
        let share = unseen_share(means.len(), how.confidence);
        unseen(point, Some((lowest, highest)), share)
    } else {
        let pools = pools(means)?;
        let mut random = ChaCha8Rng::seed_from_u64(how.seed);
        let (mut lows, mut highs) = (Vec::new(), Vec::new());
        for _ in 0..how.resamples {
            let unseen: f64 = Exp1.sample(&mut random);
            let (mut total, mut weight) = (0.0, unseen);
            for (mean, weights) in &pools {
                let drawn = weights.sample(&mut random);
                total += drawn * mean;
                weight += drawn;
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
        n: means.len(),
        clusters: means.len(),
    })
}

/// Whether all groups have the same mean, but for its rounding.
fn alike(means: &[f64]) -> bool {
    let range = means
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), mean| {
            (low.min(*mean), high.max(*mean))
        });
    no_variation(range.0, range.1)
}

/// Groups that are alike, and what their weights add up to: the sum of as many exponential draws. Draws in proportion to which weights
/// are uniform over all that sum to 1 then cost as much as there are different groups.
#[allow(
    clippy::cast_precision_loss,
    reason = "counts of groups are far below 2^52"
)]
fn pools(means: &[f64]) -> Result<Vec<(f64, Gamma<f64>)>> {
    let mut alike: BTreeMap<u64, (f64, usize)> = BTreeMap::new();
    for mean in means {
        alike.entry(mean.to_bits()).or_insert((*mean, 0)).1 += 1;
    }
    let pools = alike.into_values().map(|(mean, count)| {
        let weights = Gamma::new(count as f64, 1.0)
            .map_err(|error| Fault::failed(DOING, error.to_string()))?;
        Ok((mean, weights))
    });
    pools.collect()
}
