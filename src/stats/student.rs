//! Means of values without bounds over groups: Student's t on the groups' own means.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::bootstrap::{cluster_sums, no_variation, unseen, unseen_share};
use super::{CONFIDENCE, Estimate, mean, std};
use crate::fault::{Fault, Result};

const DOING: &str = "averaging over groups";

/// Mean of `(cluster, value)` pairs with its 95 % interval by Student's t. Every cluster counts once, by the mean of its values.
///
/// With few clusters it is as wide as these allow, where a percentile bootstrap of two clusters covers the mean half of the time. Where all
/// clusters are alike (or there is one), their spread is not known: values within 0..=1 then get the exact bound of
/// [`clustered_bootstrap`](super::clustered_bootstrap), others an infinite interval.
///
/// # Errors
/// An empty sample, or a value that is not finite.
#[allow(
    clippy::cast_precision_loss,
    reason = "counts of items are far below 2^52"
)]
pub fn clustered_mean(values: &[(&str, f64)]) -> Result<Estimate> {
    let failed = |found: String| Fault::failed(DOING, found);
    if let Some((cluster, value)) = values.iter().find(|(_, value)| !value.is_finite()) {
        return Err(
            failed(format!("the value {value} in group `{cluster}`")).expected("finite values")
        );
    }
    let sums = cluster_sums(values).into_iter();
    let means: Vec<f64> = sums.map(|(sum, n)| sum / n).collect();
    let point =
        mean(&means).ok_or_else(|| failed("no values".to_owned()).expected("at least one"))?;
    let (least, most) = means.iter().fold((point, point), |(least, most), mean| {
        (least.min(*mean), most.max(*mean))
    });
    let spread = std(&means).filter(|_| !no_variation(least, most));
    let (low, high) = if let Some(spread) = spread {
        let n = means.len() as f64;
        let t = StudentsT::new(0.0, 1.0, n - 1.0).map_err(|error| failed(error.to_string()))?;
        let half = t.inverse_cdf(f64::midpoint(1.0, CONFIDENCE)) * spread / n.sqrt();
        (point - half, point + half)
    } else {
        let share = unseen_share(means.len(), CONFIDENCE);
        let range = (0.0..=1.0).contains(&point).then_some((0.0, 1.0));
        unseen(point, range, share)
    };
    Ok(Estimate {
        point,
        low,
        high,
        n: values.len(),
        clusters: means.len(),
    })
}
