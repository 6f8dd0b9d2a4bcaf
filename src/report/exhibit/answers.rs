//! Which answers are shown side by side.

use std::collections::BTreeMap;

use super::{AnswerPair, shuffled};
use crate::evidence::{Evidence, Response};

const PER_SUITE: usize = 8;

/// Pairs of each suite in random order: those that were judged differently first, and of these one of each group first.
pub(super) fn answers(evidence: &Evidence, seed: u64) -> Vec<AnswerPair> {
    let by_item: BTreeMap<(&str, &str), &Response> = evidence
        .responses
        .iter()
        .map(|response| ((response.suite.as_str(), response.item.as_str()), response))
        .collect();
    let mut suites: BTreeMap<&str, Vec<(&str, AnswerPair)>> = BTreeMap::new();
    for tested in &evidence.responses {
        let Some(pair) = &tested.pair else { continue };
        if let Some(baseline) = by_item.get(&(tested.suite.as_str(), pair.as_str())) {
            let pairs = suites.entry(&tested.suite).or_default();
            pairs.push((tested.group.as_str(), side_by_side(baseline, tested)));
        }
    }
    suites
        .into_values()
        .flat_map(|pairs| {
            let mut in_group: BTreeMap<&str, usize> = BTreeMap::new();
            let mut ranked: Vec<_> = shuffled(pairs, |(_, pair)| pair.item.clone(), seed)
                .into_iter()
                .map(|(group, pair)| {
                    let earlier = in_group.entry(group).or_default();
                    *earlier += 1;
                    ((pair.outcome == pair.baseline_outcome, *earlier), pair)
                })
                .collect();
            ranked.sort_by_key(|(rank, _)| *rank);
            ranked.into_iter().take(PER_SUITE).map(|(_, pair)| pair)
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
