//! What a probe is worth on items that it has not seen: recall at a false-positive rate, calibration, predictive value.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of items are far below 2^52"
)]

use super::report::{Bin, EstimateLine, ReliabilityLine, ValueLine};
use super::{RESAMPLES, TARGET_FPR};
use crate::fault::{Fault, Result};
use crate::stats::{self, Estimate, clustered_bootstrap, clustered_bootstrap_of, proportion};

/// Bins of the reliability table.
const BINS: usize = 10;
/// False-positive claims of at most 1 % need that many negatives without an alarm: 0.99²⁹⁹ < 0.05.
const NEEDED: usize = 299;

/// Scored items: higher scores are flagged.
pub(super) struct Scored<'a> {
    pub scores: &'a [f64],
    /// Whether an item should be flagged.
    pub flagged: &'a [bool],
    pub groups: &'a [&'a str],
    pub seed: u64,
}

/// Where the threshold lies that so many negatives exceed at most, and who exceeds it.
struct Operating {
    threshold: f64,
    hits: usize,
    positives: usize,
    alarms: usize,
    negatives: usize,
}

impl Scored<'_> {
    fn operating(&self, rows: &[usize]) -> Option<Operating> {
        let side = |wanted: bool| {
            let of_side = rows.iter().copied();
            of_side
                .filter(|row| self.flagged.get(*row) == Some(&wanted))
                .filter_map(|row| self.scores.get(row).copied())
                .collect::<Vec<f64>>()
        };
        let (positives, mut negatives) = (side(true), side(false));
        negatives.sort_by(|a, b| b.total_cmp(a));
        let allowed = (TARGET_FPR * negatives.len() as f64).floor() as usize;
        let threshold = *negatives.get(allowed)?;
        let above = |scores: &[f64]| scores.iter().filter(|score| **score > threshold).count();
        (!positives.is_empty()).then(|| Operating {
            threshold,
            hits: above(&positives),
            positives: positives.len(),
            alarms: above(&negatives),
            negatives: negatives.len(),
        })
    }

    /// Recall at a false-positive rate of at most 1 %, and what share of alarms is right at `prevalence`.
    pub fn value(&self, prevalence: f64) -> Result<ValueLine> {
        let fault = || {
            Fault::failed("measuring recall", "items of one label only")
                .expected("items with both labels")
        };
        let rows: Vec<usize> = (0..self.scores.len()).collect();
        let at = self.operating(&rows).ok_or_else(fault)?;
        let recall = proportion(at.hits, at.positives).ok_or_else(fault)?;
        let false_positives = proportion(at.alarms, at.negatives).ok_or_else(fault)?;
        let clustered = clustered_bootstrap_of(
            self.groups,
            Some((0.0, 1.0)),
            RESAMPLES,
            self.seed,
            |rows| {
                let at = self.operating(rows)?;
                Some(at.hits as f64 / at.positives as f64)
            },
        )?;
        let predictive = |recall: f64, false_positives: f64| {
            let (right, wrong) = (recall * prevalence, false_positives * (1.0 - prevalence));
            if right + wrong > 0.0 {
                right / (right + wrong)
            } else {
                0.0
            }
        };
        let low = recall.low.min(clustered.low);
        let high = recall.high.max(clustered.high);
        Ok(ValueLine {
            target: TARGET_FPR,
            threshold: at.threshold,
            hits: at.hits,
            positives: at.positives,
            recall: EstimateLine::of(&recall),
            recall_clustered: EstimateLine::of(&clustered),
            alarms: at.alarms,
            negatives: at.negatives,
            false_positives: EstimateLine::of(&false_positives),
            unsupported: unsupported(&at, &false_positives),
            prevalence,
            predictive_value: predictive(recall.point, false_positives.point.max(TARGET_FPR)),
            predictive_interval: [
                predictive(low, false_positives.high),
                predictive(high, false_positives.low),
            ],
        })
    }
}

/// What the number of negatives does not bear out.
fn unsupported(at: &Operating, rate: &Estimate) -> Option<String> {
    let n = at.negatives;
    let resolved = (1.0 / TARGET_FPR) as usize;
    if n < resolved {
        return Some(format!(
            "{n} negatives cannot resolve 1 %: the threshold is the largest of them, and the rate there may be as high as {:.1} %",
            100.0 * rate.high
        ));
    }
    (rate.high > TARGET_FPR).then(|| {
        format!(
            "the rate may be as high as {:.1} %: that it is at most 1 % would take {NEEDED} negatives without an alarm, here {} of {n} raise one",
            100.0 * rate.high,
            at.alarms,
        )
    })
}

/// How far `1/(1 + exp(−score))` is a probability: Brier score, expected calibration error, and the table behind it.
pub(super) fn reliability(
    scores: &[f64],
    labels: &[bool],
    groups: &[&str],
    seed: u64,
) -> Result<ReliabilityLine> {
    let told: Vec<f64> = scores
        .iter()
        .map(|score| 1.0 / (1.0 + (-score).exp()))
        .collect();
    let errors: Vec<(&str, f64)> = groups
        .iter()
        .zip(told.iter().zip(labels))
        .map(|(group, (told, label))| (*group, (told - f64::from(u8::from(*label))).powi(2)))
        .collect();
    let brier = clustered_bootstrap(&errors, RESAMPLES, seed)?;
    let share = labels.iter().filter(|label| **label).count() as f64 / labels.len() as f64;
    let bins = bins(&told, labels);
    let gap = bins
        .iter()
        .map(|bin| bin.n as f64 / labels.len() as f64 * (bin.told - bin.found.point).abs())
        .sum();
    Ok(ReliabilityLine {
        brier: EstimateLine::of(&brier),
        brier_of_share: share * (1.0 - share),
        expected_calibration_error: gap,
        bins,
    })
}

/// Bins of equal width that hold an item.
fn bins(told: &[f64], labels: &[bool]) -> Vec<Bin> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); BINS];
    for (row, told) in told.iter().enumerate() {
        let bin = ((told * BINS as f64) as usize).min(BINS - 1);
        if let Some(members) = members.get_mut(bin) {
            members.push(row);
        }
    }
    let of = |(bin, rows): (usize, &Vec<usize>)| {
        let values: Vec<f64> = rows
            .iter()
            .filter_map(|row| told.get(*row).copied())
            .collect();
        let positives = rows.iter().filter(|row| labels.get(**row) == Some(&true));
        let found = proportion(positives.count(), rows.len())?;
        Some(Bin {
            from: bin as f64 / BINS as f64,
            to: (bin + 1) as f64 / BINS as f64,
            n: rows.len(),
            told: stats::mean(&values)?,
            found: EstimateLine::of(&found),
        })
    };
    members.iter().enumerate().filter_map(of).collect()
}
