//! The first line of a probe's report: whether it reads anything, and whether that is more than simpler means do.

use super::report::{BaselineLine, EstimateLine, PermutationLine};
use crate::report::counted;

/// What is said, and whether it is good news.
pub(super) fn verdict(
    auroc: &EstimateLine,
    baselines: &[BaselineLine],
    permutation: Option<&PermutationLine>,
) -> (String, bool) {
    let shown = format!(
        "AUROC {:.3} [{:.3}, {:.3}] on {} in {} that nothing was fitted on",
        auroc.point,
        auroc.low,
        auroc.high,
        counted(auroc.n, "item", "items"),
        counted(auroc.clusters, "group", "groups"),
    );
    if auroc.low <= 0.5 && auroc.high >= 0.5 {
        return (
            format!("Reads nothing that can be told from chance: {shown}; the interval holds 0.5."),
            false,
        );
    }
    if auroc.high < 0.5 {
        return (
            format!("Reads the opposite of what it was trained for: {shown}."),
            false,
        );
    }
    // With fewer than 19 rounds no p-value can be below the level.
    let told = permutation.filter(|permutation| permutation.rounds >= 19);
    if let Some(permutation) = told.filter(|permutation| permutation.p > 0.05) {
        return (
            format!(
                "Not told from a training on permuted labels (p = {:.3} of {}): {shown}.",
                permutation.p,
                counted(permutation.rounds, "round", "rounds"),
            ),
            false,
        );
    }
    match best(baselines) {
        Some((name, reached, difference)) if difference.low <= 0.0 => (
            format!(
                "No better than {name} alone ({:.3}; difference {:+.3} [{:+.3}, {:+.3}]): {shown}.",
                reached.point, difference.point, difference.low, difference.high
            ),
            false,
        ),
        Some((name, reached, difference)) => (
            format!(
                "Reads more than the best baseline, {name} ({:.3}; difference {:+.3} [{:+.3}, {:+.3}]): {shown}.",
                reached.point, difference.point, difference.low, difference.high
            ),
            true,
        ),
        None => (format!("{shown}; no baseline could be measured."), false),
    }
}

/// The baseline with the highest AUROC.
pub(super) fn best(
    baselines: &[BaselineLine],
) -> Option<(&'static str, EstimateLine, EstimateLine)> {
    baselines
        .iter()
        .filter_map(|line| Some((line.name, line.auroc?, line.difference?)))
        .max_by(|a, b| a.1.point.total_cmp(&b.1.point))
}
