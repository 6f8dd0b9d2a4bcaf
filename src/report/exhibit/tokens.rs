//! Which items are shown with their tokens coloured by a detector.

use std::collections::BTreeMap;

use super::{AnswerPair, ExhibitContext, TokenStrip};
use crate::evidence::{Evidence, Response, Score};
use crate::stats::mean;

const PAIRS: usize = 2;
const FEATURES: usize = 3;

/// For each detector, both items of the first pairs that are shown side by side; of an SAE the features that tell the
/// two apart the most. Detectors without a threshold have nothing to colour by and are left out.
pub(super) fn strips(
    evidence: &Evidence,
    context: &ExhibitContext,
    answers: &[AnswerPair],
) -> Vec<TokenStrip> {
    let responses: BTreeMap<(&str, &str), &Response> = evidence
        .responses
        .iter()
        .map(|response| ((response.suite.as_str(), response.item.as_str()), response))
        .collect();
    let mut shown: Vec<&Response> = Vec::new();
    let mut pairs_of: BTreeMap<&str, usize> = BTreeMap::new();
    for answer in answers {
        let pairs = pairs_of.entry(&answer.suite).or_default();
        *pairs += 1;
        if *pairs > PAIRS {
            continue;
        }
        let suite = answer.suite.as_str();
        if let Some(tested) = responses.get(&(suite, answer.item.as_str())) {
            let counterpart = tested.pair.as_deref().unwrap_or_default();
            shown.extend(responses.get(&(suite, counterpart)));
            shown.push(tested);
        }
    }

    let mut strips = Vec::new();
    for detector in context.detectors {
        let Some(threshold) = detector.threshold else {
            continue;
        };
        for feature in features(evidence, &detector.id) {
            for response in &shown {
                let score = evidence.scores.iter().find(|score| {
                    score.detector == detector.id
                        && score.feature == feature
                        && score.suite == response.suite
                        && score.item == response.item
                });
                strips.extend(score.map(|score| strip(score, response, threshold)));
            }
        }
    }
    strips
}

/// `[None]` for a probe; for an SAE the features with the largest difference of their means over paired and other items.
fn features(evidence: &Evidence, detector: &str) -> Vec<Option<usize>> {
    let tested: BTreeMap<(&str, &str), bool> = evidence
        .responses
        .iter()
        .map(|r| ((r.suite.as_str(), r.item.as_str()), r.pair.is_some()))
        .collect();
    let mut values: BTreeMap<Option<usize>, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for score in evidence.scores.iter().filter(|s| s.detector == detector) {
        let (paired, other) = values.entry(score.feature).or_default();
        match tested.get(&(score.suite.as_str(), score.item.as_str())) {
            Some(true) => paired.push(score.value),
            Some(false) => other.push(score.value),
            None => {}
        }
    }
    let mut ranked: Vec<(f64, Option<usize>)> = values
        .iter()
        .map(|(feature, (paired, other))| {
            let difference = mean(paired).unwrap_or(0.0) - mean(other).unwrap_or(0.0);
            (difference.abs(), *feature)
        })
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    ranked.truncate(FEATURES);
    ranked.into_iter().map(|(_, feature)| feature).collect()
}

fn strip(score: &Score, response: &Response, threshold: f64) -> TokenStrip {
    TokenStrip {
        detector: score.detector.clone(),
        feature: score.feature,
        suite: score.suite.clone(),
        item: score.item.clone(),
        condition: score.condition.clone(),
        tokens: score.tokens.clone(),
        scores: score.token_scores.clone(),
        span: score.span.clone(),
        value: score.value,
        threshold,
        said: response.text.clone(),
        outcome: response.outcome,
    }
}
