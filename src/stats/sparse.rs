//! Rank statistics of scores most of which are 0, such as the activations of an SAE feature: the zeros are counted, not
//! stored. The numbers are those of [`auroc`](super::auroc), [`mann_whitney_p`](super::mann_whitney_p) and
//! [`auroc_interval`](super::auroc_interval) on the same scores, to the last bit, at a cost of the entries alone.
#![allow(
    clippy::cast_precision_loss,
    reason = "sample sizes are far below 2^52"
)]
#![allow(clippy::float_cmp, reason = "ties are values that are exactly equal")]

use super::bootstrap::{Draws, percentiles, unseen_aurocs};
use super::ranks::p_of_u;
use super::{CONFIDENCE, Estimate};
use crate::fault::{Fault, Result};

/// Scores of rows that are not 0, by rising score.
#[derive(Debug, Clone, Default)]
pub struct SparseScores {
    entries: Vec<(u32, f32)>,
}

impl SparseScores {
    /// From `(row, score)` in any order, each row once.
    #[must_use]
    pub fn new(mut entries: Vec<(u32, f32)>) -> Self {
        entries.retain(|(_, score)| *score != 0.0);
        entries.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        Self { entries }
    }

    /// `(row, score)` of the rows that are not 0.
    #[must_use]
    pub fn entries(&self) -> &[(u32, f32)] {
        &self.entries
    }

    /// Whether all of `rows` rows have the same score.
    #[must_use]
    pub fn constant(&self, rows: usize) -> bool {
        match (self.entries.first(), self.entries.last()) {
            (Some(first), Some(last)) => self.entries.len() == rows && first.1 == last.1,
            _ => true,
        }
    }
}

/// Labelled rows and the resamples of their clusters that every statistic shares.
#[derive(Debug)]
pub struct Resamples<'a> {
    labels: &'a [bool],
    draws: Draws,
    /// Positives and negatives of each resample.
    sizes: Vec<(u64, u64)>,
}

impl<'a> Resamples<'a> {
    /// Draws clusters as [`auroc_interval`](super::auroc_interval) does.
    ///
    /// # Errors
    /// Slices of different lengths, or only one label.
    pub fn draw(
        labels: &'a [bool],
        clusters: &[&str],
        resamples: usize,
        seed: u64,
    ) -> Result<Self> {
        const DOING: &str = "bootstrapping an interval over groups";
        if labels.len() != clusters.len() {
            return Err(Fault::failed(
                DOING,
                format!("{} labels and {} groups", labels.len(), clusters.len()),
            )
            .expected("one label and one group for each row"));
        }
        let positives = labels.iter().filter(|label| **label).count();
        if positives == 0 || positives == labels.len() {
            return Err(Fault::usage(
                DOING,
                format!("{positives} positive of {} rows", labels.len()),
            )
            .expected("rows with both labels"));
        }
        let draws = Draws::new(clusters, resamples, seed);
        let sizes = (0..resamples).map(|resample| {
            labels
                .iter()
                .enumerate()
                .fold((0, 0), |(ones, zeros), (row, label)| {
                    let times = draws.times(resample, row);
                    if *label {
                        (ones + times, zeros)
                    } else {
                        (ones, zeros + times)
                    }
                })
        });
        Ok(Self {
            labels,
            sizes: sizes.collect(),
            draws,
        })
    }

    /// The two-sided Mann–Whitney p-value.
    #[must_use]
    pub fn mann_whitney_p(&self, scores: &SparseScores) -> f64 {
        let (n1, n2) = self.all();
        let ranked = self.ranked(scores, n1, n2, |_| 1);
        p_of_u(ranked.u(), ranked.ties(), n1 as f64, n2 as f64)
    }

    /// AUROC, without an interval.
    #[must_use]
    pub fn point(&self, scores: &SparseScores) -> f64 {
        let (n1, n2) = self.all();
        self.ranked(scores, n1, n2, |_| 1).auroc(n1, n2, false)
    }

    /// AUROC with its clustered interval; of `−scores` where `mirrored`.
    ///
    /// # Errors
    /// More than half of the resamples without one of the labels.
    pub fn auroc(&self, scores: &SparseScores, mirrored: bool) -> Result<Estimate> {
        let (n1, n2) = self.all();
        let point = self.ranked(scores, n1, n2, |_| 1).auroc(n1, n2, mirrored);
        let drawn: Vec<f64> = self
            .sizes
            .iter()
            .enumerate()
            .filter(|(_, (n1, n2))| *n1 > 0 && *n2 > 0)
            .map(|(resample, &(n1, n2))| {
                let times = |row| self.draws.times(resample, row);
                self.ranked(scores, n1, n2, times).auroc(n1, n2, mirrored)
            })
            .collect();
        let (low, high) = percentiles(&drawn, self.sizes.len(), CONFIDENCE)?;
        let (low, high) = unseen_aurocs(point, (low, high), self.draws.members(), self.labels);
        Ok(Estimate {
            point,
            low,
            high,
            n: self.labels.len(),
            clusters: self.draws.members().len(),
        })
    }

    fn all(&self) -> (u64, u64) {
        let ones = self.labels.iter().filter(|label| **label).count() as u64;
        (ones, self.labels.len() as u64 - ones)
    }

    /// Ranks rows that stand there `times` times, `n1` positives and `n2` negatives in all.
    fn ranked(
        &self,
        scores: &SparseScores,
        n1: u64,
        n2: u64,
        times: impl Fn(usize) -> u64,
    ) -> Ranked {
        let mut ranked = Ranked::default();
        let of = |chunk: &[(u32, f32)]| {
            chunk.iter().fold((0, 0), |(ones, zeros), (row, _)| {
                let row = *row as usize;
                let times = times(row);
                match self.labels.get(row) {
                    Some(true) => (ones + times, zeros),
                    Some(false) => (ones, zeros + times),
                    None => (ones, zeros),
                }
            })
        };
        let entries = scores.entries.as_slice();
        let (ones, zeros) = of(entries);
        let (below, above) = entries.split_at(entries.partition_point(|(_, score)| *score < 0.0));
        for chunk in below.chunk_by(|a, b| a.1 == b.1) {
            ranked.add(of(chunk));
        }
        ranked.add((n1 - ones, n2 - zeros));
        for chunk in above.chunk_by(|a, b| a.1 == b.1) {
            ranked.add(of(chunk));
        }
        ranked
    }
}

/// Counts in whole numbers, so that no order of summing shows.
#[derive(Default)]
struct Ranked {
    /// Twice U of the positives.
    twice_u: u64,
    negatives_below: u64,
    ties: f64,
}

impl Ranked {
    /// The next higher score, with as many positives and negatives.
    fn add(&mut self, (ones, zeros): (u64, u64)) {
        self.twice_u += ones * (2 * self.negatives_below + zeros);
        self.negatives_below += zeros;
        let tied = (ones + zeros) as f64;
        self.ties += tied.powi(3) - tied;
    }

    fn u(&self) -> f64 {
        self.twice_u as f64 / 2.0
    }

    fn ties(&self) -> f64 {
        self.ties
    }

    fn auroc(&self, n1: u64, n2: u64, mirrored: bool) -> f64 {
        let pairs = n1 as f64 * n2 as f64;
        let u = if mirrored { pairs - self.u() } else { self.u() };
        u / pairs
    }
}
