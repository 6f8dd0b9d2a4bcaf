//! The cluster bootstrap: items of one fact or template are not independent, so whole groups are resampled
//! (Miller, arXiv 2411.00640). Percentile intervals.

use std::collections::BTreeMap;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::ranked::Ranked;
use super::{CONFIDENCE, Estimate, clopper_pearson, quantile};
use crate::fault::{Fault, Result};

pub(super) const DOING: &str = "bootstrapping an interval over groups";

/// Mean of `(cluster, value)` pairs with its 95 % percentile interval over resampled clusters.
///
/// The result depends on the pairs and the seed only, not on the order of the pairs. If resampling shows no variation
/// (all values equal, or one cluster) the bootstrap has nothing to say and the exact bound takes its place: with `c`
/// clusters observed alike, a share of up to `p`, the Clopper–Pearson upper end of 0 in `c`, may behave otherwise. For
/// values within 0..=1 this gives `[v·(1−p), v·(1−p) + p]`, which for rates of 0 and 1 is the Clopper–Pearson interval
/// on clusters; values outside 0..=1 have no known bound, so the interval is infinite.
///
/// # Errors
/// An empty sample, a value that is not finite, or no resamples.
pub fn clustered_bootstrap(
    values: &[(&str, f64)],
    resamples: usize,
    seed: u64,
) -> Result<Estimate> {
    let within = values
        .iter()
        .all(|(_, value)| (0.0..=1.0).contains(value))
        .then_some((0.0, 1.0));
    resampled_mean(values, within, &Resampling::at_95(resamples, seed))
}

/// How an interval is made by resampling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampling {
    /// Two-sided confidence of the interval, in (0, 1).
    pub confidence: f64,
    /// How often clusters are drawn. An end is a percentile of what was drawn, so that it takes a few dozen resamples beyond it.
    pub resamples: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Resampling {
    /// At the confidence of every [`Estimate`].
    #[must_use]
    pub const fn at_95(resamples: usize, seed: u64) -> Self {
        Self {
            confidence: CONFIDENCE,
            resamples,
            seed,
        }
    }
}

/// The mean of [`clustered_bootstrap`], at a confidence of one's own.
///
/// A resample adds up whole clusters, so that it costs their number and not that of the values.
fn resampled_mean(
    values: &[(&str, f64)],
    within: Option<(f64, f64)>,
    how: &Resampling,
) -> Result<Estimate> {
    if let Some((cluster, value)) = values.iter().find(|(_, value)| !value.is_finite()) {
        return Err(
            Fault::failed(DOING, format!("the value {value} in group `{cluster}`"))
                .expected("finite values"),
        );
    }
    let sums = cluster_sums(values);
    let mean_of = |(sum, n): (f64, f64)| (n > 0.0).then(|| sum / n);
    let add = |(sum, n): (f64, f64), (more, count): &(f64, f64)| (sum + more, n + count);
    let point = mean_of(sums.iter().fold((0.0, 0.0), add));
    // Where all are alike, whatever is drawn has this mean.
    let alike = values
        .windows(2)
        .all(|pair| pair[0].1.total_cmp(&pair[1].1).is_eq());
    let spread = match values.first() {
        Some((_, point)) if alike && how.resamples > 0 => Spread {
            point: *point,
            low: *point,
            high: *point,
        },
        _ => resample_by(point, values.len(), how, |random| {
            let mut drawn = (0.0, 0.0);
            for _ in 0..sums.len() {
                let cluster = sums.get(below(random, sums.len()))?;
                drawn = add(drawn, cluster);
            }
            mean_of(drawn)
        })?,
    };
    Ok(Estimate {
        n: values.len(),
        ..spread.estimate(within, how.confidence, sums.len())
    })
}

/// Each cluster's sum of values and their number, in the order of the clusters' names.
pub(super) fn cluster_sums(values: &[(&str, f64)]) -> Vec<(f64, f64)> {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    let mut sorted = values.to_vec();
    // Sums depend on the order of their terms, which shall not be that of the items.
    sorted.sort_by(|a, b| a.1.total_cmp(&b.1));
    for (cluster, value) in sorted {
        let (sum, n) = sums.entry(cluster).or_default();
        *sum += value;
        *n += 1.0;
    }
    sums.into_values().collect()
}

/// Any statistic of rows with its 95 % percentile interval over resampled clusters.
///
/// `clusters` names the cluster of each row; `statistic` is given row indices (whole clusters, with repetition) and
/// answers `None` where it is undefined for a resample, such as an AUROC without a negative. `range` bounds what the
/// statistic can be, if it is bounded: it sets the interval where resampling shows no variation (see
/// [`clustered_bootstrap`]).
///
/// # Errors
/// An empty sample, no resamples, or a statistic that is undefined on the sample itself or on more than half of the
/// resamples.
pub fn clustered_bootstrap_of(
    clusters: &[&str],
    range: Option<(f64, f64)>,
    resamples: usize,
    seed: u64,
    statistic: impl Fn(&[usize]) -> Option<f64>,
) -> Result<Estimate> {
    let members = members_of(clusters);
    let how = Resampling::at_95(resamples, seed);
    let spread = resample(&members, &how, &statistic)?;
    Ok(Estimate {
        n: clusters.len(),
        ..spread.estimate(range, how.confidence, members.len())
    })
}

/// AUROC of scored rows with its 95 % percentile interval over resampled clusters.
///
/// `labels` are true for positives. Where resampling shows no variation (perfect separation), the exact interval takes its
/// place: with `m` clusters on the smaller side, `m` disjoint pairs of a positive and a negative cluster were all ranked
/// alike, and `p` is the Clopper–Pearson upper end of 0 in `m`.
///
/// # Errors
/// Slices of different lengths, scores that are not finite, or only one label.
pub fn auroc_interval(
    scores: &[f64],
    labels: &[bool],
    clusters: &[&str],
    resamples: usize,
    seed: u64,
) -> Result<Estimate> {
    check_scores(scores, labels, clusters)?;
    let members = members_of(clusters);
    let ranked = Ranked::of(scores, labels);
    let how = Resampling::at_95(resamples, seed);
    let spread = resample(&members, &how, &|rows: &[usize]| ranked.auroc(rows))?;
    let (low, high) = unseen_aurocs(spread.point, (spread.low, spread.high), &members, labels);
    Ok(Estimate {
        point: spread.point,
        low,
        high,
        n: scores.len(),
        clusters: members.len(),
    })
}

pub(super) fn check_scores(scores: &[f64], labels: &[bool], clusters: &[&str]) -> Result<()> {
    if scores.len() != labels.len() || scores.len() != clusters.len() {
        return Err(Fault::failed(
            DOING,
            format!(
                "{} scores, {} labels and {} groups",
                scores.len(),
                labels.len(),
                clusters.len()
            ),
        )
        .expected("one label and one group for each score"));
    }
    if let Some(score) = scores.iter().find(|score| !score.is_finite()) {
        return Err(Fault::failed(DOING, format!("the score {score}")).expected("finite scores"));
    }
    Ok(())
}

/// The ends of an AUROC's interval, or the exact ones where resampling shows no variation.
pub(super) fn unseen_aurocs(
    point: f64,
    (low, high): (f64, f64),
    members: &[Vec<usize>],
    labels: &[bool],
) -> (f64, f64) {
    if !no_variation(low, high) {
        return (low, high);
    }
    let with = |wanted: bool| {
        members
            .iter()
            .filter(|rows| rows.iter().any(|row| labels.get(*row) == Some(&wanted)))
            .count()
    };
    let share = unseen_share(with(true).min(with(false)), CONFIDENCE);
    unseen(point, Some((0.0, 1.0)), share)
}

/// How often each cluster is drawn in each resample.
#[derive(Debug)]
pub(super) struct Draws {
    members: Vec<Vec<usize>>,
    cluster_of: Vec<usize>,
    /// `[resamples, clusters]`.
    times: Vec<u32>,
}

impl Draws {
    /// Draws as [`resample`] does.
    pub(super) fn new(clusters: &[&str], resamples: usize, seed: u64) -> Self {
        let members = members_of(clusters);
        let mut cluster_of = vec![0; clusters.len()];
        for (cluster, rows) in members.iter().enumerate() {
            for row in rows {
                if let Some(slot) = cluster_of.get_mut(*row) {
                    *slot = cluster;
                }
            }
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut times = vec![0; resamples * members.len()];
        for resample in times.chunks_mut(members.len().max(1)) {
            for _ in 0..members.len() {
                if let Some(slot) = resample.get_mut(below(&mut random, members.len())) {
                    *slot += 1;
                }
            }
        }
        Self {
            members,
            cluster_of,
            times,
        }
    }

    /// Rows of each cluster.
    pub(super) fn members(&self) -> &[Vec<usize>] {
        &self.members
    }

    /// How often a row stands in a resample.
    pub(super) fn times(&self, resample: usize, row: usize) -> u64 {
        let cluster = self.cluster_of.get(row).copied().unwrap_or_default();
        let at = resample * self.members.len() + cluster;
        self.times.get(at).copied().map_or(0, u64::from)
    }
}

/// The statistic on the sample and the percentiles of its bootstrap distribution.
struct Spread {
    point: f64,
    low: f64,
    high: f64,
}

impl Spread {
    /// The estimate over so many clusters (its `n` too), the exact bound in the place of an interval that shows no variation.
    fn estimate(&self, range: Option<(f64, f64)>, confidence: f64, clusters: usize) -> Estimate {
        let (low, high) = if no_variation(self.low, self.high) {
            unseen(self.point, range, unseen_share(clusters, confidence))
        } else {
            (self.low, self.high)
        };
        Estimate {
            point: self.point,
            low,
            high,
            n: clusters,
            clusters,
        }
    }
}

/// Rows of each cluster, clusters in the order of their names.
fn members_of(clusters: &[&str]) -> Vec<Vec<usize>> {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (row, cluster) in clusters.iter().enumerate() {
        members.entry(cluster).or_default().push(row);
    }
    members.into_values().collect()
}

/// A statistic of rows, resampled by whole clusters.
fn resample(
    members: &[Vec<usize>],
    how: &Resampling,
    statistic: &impl Fn(&[usize]) -> Option<f64>,
) -> Result<Spread> {
    let everything: Vec<usize> = members.iter().flatten().copied().collect();
    let mut rows = Vec::with_capacity(everything.len());
    resample_by(statistic(&everything), everything.len(), how, |random| {
        rows.clear();
        for _ in 0..members.len() {
            let chosen = below(random, members.len());
            rows.extend(members.get(chosen).into_iter().flatten().copied());
        }
        statistic(&rows)
    })
}

/// The statistic `point` of so many rows, with what `draw` gives on resamples of them.
fn resample_by(
    point: Option<f64>,
    rows: usize,
    how: &Resampling,
    mut draw: impl FnMut(&mut ChaCha8Rng) -> Option<f64>,
) -> Result<Spread> {
    if rows == 0 || how.resamples == 0 {
        return Err(Fault::failed(
            DOING,
            format!("{rows} rows and {} resamples", how.resamples),
        )
        .expected("at least one of each"));
    }
    let point = point.ok_or_else(|| {
        Fault::failed(DOING, "a statistic that is undefined on the sample")
            .expected("values on both sides of the comparison")
    })?;
    let mut random = ChaCha8Rng::seed_from_u64(how.seed);
    let drawn: Vec<f64> = (0..how.resamples)
        .filter_map(|_| draw(&mut random))
        .collect();
    let (low, high) = percentiles(&drawn, how.resamples, how.confidence)?;
    Ok(Spread { point, low, high })
}

/// The ends of the interval of what was drawn, of so many resamples.
pub(super) fn percentiles(drawn: &[f64], resamples: usize, confidence: f64) -> Result<(f64, f64)> {
    if drawn.len() * 2 < resamples {
        return Err(Fault::failed(
            DOING,
            format!(
                "a statistic that is undefined on {} of {resamples} resamples",
                resamples - drawn.len()
            ),
        )
        .expected("a statistic defined on most resamples")
        .hint("the sample needs more groups"));
    }
    let tail = (1.0 - confidence) / 2.0;
    let end = |q: f64| {
        quantile(drawn, q)
            .ok_or_else(|| Fault::failed(DOING, "a statistic that is not a number on a resample"))
    };
    Ok((end(tail)?, end(1.0 - tail)?))
}

/// A number in `0..n`, the same on every platform (multiply-shift; the bias is below `n / 2^64`).
#[allow(
    clippy::cast_possible_truncation,
    reason = "the shifted product is below n, which is a usize"
)]
fn below(random: &mut ChaCha8Rng, n: usize) -> usize {
    ((u128::from(random.next_u64()) * n as u128) >> 64) as usize
}

/// Whether the ends differ by no more than what summing in another order does.
pub(super) fn no_variation(low: f64, high: f64) -> bool {
    high - low <= 1e-12 * low.abs().max(high.abs())
}

/// How large a share of clusters can behave otherwise although none of `clusters` did.
pub(super) fn unseen_share(clusters: usize, confidence: f64) -> f64 {
    clopper_pearson(0, clusters, confidence).1
}

/// Where the statistic can be if a share of what it averages was not seen.
pub(super) fn unseen(point: f64, range: Option<(f64, f64)>, share: f64) -> (f64, f64) {
    match range {
        Some((lowest, highest)) => (
            point - share * (point - lowest),
            point + share * (highest - point),
        ),
        None => (f64::NEG_INFINITY, f64::INFINITY),
    }
}
