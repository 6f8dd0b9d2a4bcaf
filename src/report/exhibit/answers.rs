//! Which answers are shown side by side.

use std::collections::BTreeMap;

use super::{AnswerPair, shuffled};
use crate::evidence::{Evidence, Response};

const PER_SUITE: usize = 8;

/// Pairs of each suite in random order, those that were judged differently first.
pub(super) fn answers(evidence: &Evidence, seed: u64) -> Vec<AnswerPair> {
    let by_item: BTreeMap<(&str, &str), &Response> = evidence
        .responses
        .iter()
        .map(|response| ((response.suite.as_str(), response.item.as_str()), response))
        .collect();
    let mut suites: BTreeMap<&str, Vec<AnswerPair>> = BTreeMap::new();
    for tested in &evidence.responses {
        let Some(pair) = &tested.pair else { continue };
        if let Some(baseline) = by_item.get(&(tested.suite.as_str(), pair.as_str())) {
            let pairs = suites.entry(&tested.suite).or_default();
            pairs.push(side_by_side(baseline, tested));
        }
    }
    suites
        .into_values()
        .flat_map(|pairs| {
            let mut pairs = shuffled(pairs, |pair| pair.item.clone(), seed);
            pairs.sort_by_key(|pair| pair.outcome == pair.baseline_outcome);
            pairs.truncate(PER_SUITE);
            pairs
        })
        .collect()
}

fn side_by_side(baseline: &Response, tested: &Response) -> AnswerPair {
    AnswerPair {
        suite: tested.suite.clone(),
        item: tested.item.clone(),
        baseline_condition: baseline.condition.clone(),
        baseline_prompt: baseline.prompt.clone(),
        baseline_said: baseline.text.clone(),
        baseline_outcome: baseline.outcome,
        condition: tested.condition.clone(),
        prompt: tested.prompt.clone(),
        said: tested.text.clone(),
        outcome: tested.outcome,
        truth: tested.answer.clone(),
    }
}
