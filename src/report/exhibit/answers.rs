//! Which answers are shown side by side.

use std::collections::BTreeMap;

use super::{AnswerPair, shuffled};
use crate::evidence::{Evidence, Said};

const PER_SUITE: usize = 8;

/// A tested response beside its baseline.
#[derive(Clone, Copy)]
pub(super) struct Chosen<'a> {
    pub baseline: Said<'a>,
    pub tested: Said<'a>,
}

/// Pairs of each suite in random order: those that were judged differently first, and of these one of each group first.
pub(super) fn chosen(evidence: &Evidence, seed: u64) -> Vec<Chosen<'_>> {
    let by_item = evidence.responses.by_item();
    let mut suites: BTreeMap<&str, Vec<Chosen<'_>>> = BTreeMap::new();
    for tested in evidence.responses.iter() {
        if let Some(baseline) = by_item.counterpart(tested) {
            let pairs = suites.entry(tested.suite()).or_default();
            pairs.push(Chosen { baseline, tested });
        }
    }
    suites
        .into_values()
        .flat_map(|pairs| {
            let mut in_group: BTreeMap<&str, usize> = BTreeMap::new();
            let mut ranked: Vec<_> = shuffled(pairs, |pair| pair.tested.item(), seed)
                .into_iter()
                .map(|pair| {
                    let earlier = in_group.entry(pair.tested.group()).or_default();
                    *earlier += 1;
                    let same = pair.tested.outcome() == pair.baseline.outcome();
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

fn side_by_side(baseline: Said<'_>, tested: Said<'_>) -> AnswerPair {
    AnswerPair {
        suite: tested.suite().to_owned(),
        item: tested.item().to_owned(),
        baseline_condition: baseline.condition().to_owned(),
        baseline_prompt: baseline.prompt().to_owned(),
        baseline_said: baseline.text().to_owned(),
        baseline_outcome: baseline.outcome(),
        condition: tested.condition().to_owned(),
        prompt: tested.prompt().to_owned(),
        said: tested.text().to_owned(),
        outcome: tested.outcome(),
        truth: tested.answer().map(str::to_owned),
    }
}
