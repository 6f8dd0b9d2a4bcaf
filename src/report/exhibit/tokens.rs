//! Which items are shown with their tokens coloured by a detector.

use std::collections::BTreeMap;

use super::answers::Chosen;
use super::{ExhibitContext, TokenStrip};
use crate::evidence::{Evidence, Said, TokenScores};
use crate::stats::mean;

const PAIRS: usize = 2;
const FEATURES: usize = 3;

/// For each detector, both items of the first pairs that are shown side by side; of an SAE the features that tell the
/// two apart the most. Detectors without a threshold have nothing to colour by and are left out.
pub(super) fn strips(
    evidence: &Evidence,
    context: &ExhibitContext,
    chosen: &[Chosen<'_>],
) -> Vec<TokenStrip> {
    let mut pairs_of: BTreeMap<&str, usize> = BTreeMap::new();
    let shown: Vec<Said<'_>> = chosen
        .iter()
        .filter(|pair| {
            let pairs = pairs_of.entry(pair.tested.suite()).or_default();
            *pairs += 1;
            *pairs <= PAIRS
        })
        .flat_map(|pair| [pair.baseline, pair.tested])
        .collect();
    let mut strips = Vec::new();
    for detector in context.detectors {
        let Some(threshold) = detector.threshold else {
            continue;
        };
        for feature in features(evidence, &detector.id) {
            for response in &shown {
                let mut scores = evidence.scores.of(&detector.id, feature);
                let score = scores
                    .find(|score| response.suite() == score.suite && response.item() == score.item);
                let tokens = evidence.tokens.iter().find(|tokens| {
                    tokens.detector == detector.id
                        && tokens.feature == feature
                        && tokens.suite == response.suite()
                        && tokens.item == response.item()
                });
                if let (Some(score), Some(tokens)) = (score, tokens) {
                    strips.push(strip(score.value, tokens, *response, threshold));
                }
            }
        }
    }
    strips
}

/// `[None]` for a probe; for an SAE the features with the largest difference of their means over paired and other items.
fn features(evidence: &Evidence, detector: &str) -> Vec<Option<usize>> {
    let by_item = evidence.responses.by_item();
    let mut ranked: Vec<(f64, Option<usize>)> = Vec::new();
    for feature in evidence.scores.features(detector) {
        let (mut paired, mut other) = (Vec::new(), Vec::new());
        for score in evidence.scores.of(detector, feature) {
            match by_item.get(score.suite, score.item) {
                Some(response) if response.pair().is_some() => paired.push(score.value),
                Some(_) => other.push(score.value),
                None => {}
            }
        }
        let difference = mean(&paired).unwrap_or(0.0) - mean(&other).unwrap_or(0.0);
        ranked.push((difference.abs(), feature));
    }
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    ranked.truncate(FEATURES);
    ranked.into_iter().map(|(_, feature)| feature).collect()
}

fn strip(value: f64, tokens: &TokenScores, response: Said<'_>, threshold: f64) -> TokenStrip {
    TokenStrip {
        detector: tokens.detector.clone(),
        feature: tokens.feature,
        suite: response.suite().to_owned(),
        item: response.item().to_owned(),
        condition: response.condition().to_owned(),
        tokens: tokens.tokens.clone(),
        scores: tokens.scores.clone(),
        span: tokens.span.clone(),
        value,
        threshold,
        said: response.text().to_owned(),
        outcome: response.outcome(),
    }
}
