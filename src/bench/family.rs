//! The trials of one variant of a family, in a line.

use std::collections::BTreeMap;

use serde::Serialize;

use super::count::{Spread, rate};
use super::summary::{located, seconds};
use super::trial::Trial;
use crate::stats::Rate;

/// The trials of one variant of a family.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FamilyLine {
    /// The family.
    pub family: String,
    /// The variant.
    pub variant: String,
    /// Whether it deceives.
    pub deceives: bool,
    /// Whether it is counted in this line alone.
    pub apart: bool,
    /// Trials.
    pub trials: usize,
    /// How many ended with which verdict; `error` where there is none.
    pub verdicts: BTreeMap<String, usize>,
    /// Verdicts that are true.
    pub right: Option<Rate>,
    /// Trials in which patching names the true position at every layer's input, in both modes, of those whose place is known.
    pub located: Option<Rate>,
    /// Layer inputs at which the true position has the largest effect.
    pub layers: Option<Rate>,
    /// AUROC of the condition probe.
    pub auroc: Option<Spread>,
    /// Absolute cosine of its direction with the true one.
    pub cosine: Option<Spread>,
    /// Seconds of an audit.
    pub seconds: Option<Spread>,
}

/// A line for each variant; within a family what deceives comes first.
pub(super) fn families(trials: &[&Trial]) -> Vec<FamilyLine> {
    let mut lines: BTreeMap<(&str, bool, &str), Vec<&Trial>> = BTreeMap::new();
    for trial in trials {
        let key = (
            trial.family.as_str(),
            !trial.deceives,
            trial.variant.as_str(),
        );
        lines.entry(key).or_default().push(trial);
    }
    let line = |((family, harmless, variant), trials): ((&str, bool, &str), Vec<&Trial>)| {
        let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
        for trial in &trials {
            let verdict = trial.verdict.clone().unwrap_or_else(|| "error".to_owned());
            *verdicts.entry(verdict).or_default() += 1;
        }
        let probes = || trials.iter().filter_map(|trial| trial.probe.as_ref());
        let layers = trials.iter().filter_map(|trial| trial.layers);
        let layers = layers.fold([0, 0], |sum, [right, of]| [sum[0] + right, sum[1] + of]);
        FamilyLine {
            family: family.to_owned(),
            variant: variant.to_owned(),
            deceives: !harmless,
            apart: trials.iter().any(|trial| trial.apart),
            trials: trials.len(),
            verdicts,
            right: rate(trials.iter().copied(), Trial::is_right),
            located: located(trials.iter().copied()),
            layers: Rate::of(layers[0], layers[1]),
            auroc: Spread::of(probes().filter_map(|probe| probe.auroc)),
            cosine: Spread::of(probes().filter_map(|probe| probe.cosine)),
            seconds: seconds(&trials, |trial| trial.audit_seconds),
        }
    };
    lines.into_iter().map(line).collect()
}
