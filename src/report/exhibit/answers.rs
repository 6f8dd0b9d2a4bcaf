//! Which answers are shown side by side.

use std::collections::BTreeMap;

use super::{AnswerPair, shuffled};
use crate::evidence::{Evidence, Name, Response};

const PER_SUITE: usize = 8;

/// A tested response beside its baseline.
#[derive(Clone, Copy)]
pub(super) struct Chosen<'a> {
    pub baseline: &'a Response,
    pub tested: &'a Response,
}

/// Pairs of each suite in random order: those that were judged differently first, and of these one of each group first.
pub(super) fn chosen(evidence: &Evidence, seed: u64) -> Vec<Chosen<'_>> {
    let by_item: BTreeMap<(&str, &str), &Response> = evidence
        .responses
        .iter()
        .map(|response| ((response.suite.as_str(), response.item.as_str()), response))
        .collect();
    let mut suites: BTreeMap<&str, Vec<Chosen<'_>>> = BTreeMap::new();
    for tested in &evidence.responses {
        let Some(pair) = &tested.pair else { continue };
        if let Some(baseline) = by_item.get(&(tested.suite.as_str(), pair.as_str())) {
            let pairs = suites.entry(&tested.suite).or_default();
            pairs.push(Chosen { baseline, tested });
        }
    }
    suites
        .into_values()
        .flat_map(|pairs| {
            let mut in_group: BTreeMap<&str, usize> = BTreeMap::new();
            let mut ranked: Vec<_> = shuffled(pairs, |pair| pair.tested.item.clone(), seed)
                .into_iter()
                .map(|pair| {
                    let earlier = in_group.entry(&pair.tested.group).or_default();
                    *earlier += 1;
                    let same = pair.tested.outcome == pair.baseline.outcome;
                    ((same, *earlier), pair)
                })
                .collect();
            ranked.sort_by_key(|(rank, _)| *rank);
            ranked.into_iter().take(PER_SUITE).map(|(_, pair)| pair)
        })
        .collect()
}

pub(super) fn answers(chosen: &[Chosen<'_>]) -> Vec<AnswerPair> {
    let pairs = chosen.iter();
    pairs
        .map(|pair| side_by_side(pair.baseline, pair.tested))
        .collect()
}

fn side_by_side(baseline: &Response, tested: &Response) -> AnswerPair {
    AnswerPair {
        suite: tested.suite.to_string(),
        item: tested.item.to_string(),
        baseline_condition: baseline.condition.to_string(),
        baseline_prompt: baseline.prompt.clone(),
        baseline_said: baseline.text.clone(),
        baseline_outcome: baseline.outcome,
        condition: tested.condition.to_string(),
        prompt: tested.prompt.clone(),
        said: tested.text.clone(),
        outcome: tested.outcome,
        truth: tested.answer.as_ref().map(Name::to_string),
    }
}
