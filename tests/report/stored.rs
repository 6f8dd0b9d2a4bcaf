//! Evidence made by hand, written as an audit writes it.

use std::path::Path;

use candor::archive::{Archive, MapPart};
use candor::evidence::{Evidence, Said, Score};

/// Writes the evidence of some models: responses and scores in two chunks for each suite, maps in chunks of 16 pairs.
pub fn stored(folder: &Path, models: &[(&str, &Evidence)]) -> Archive {
    let mut archive = Archive::begin(folder, b"{}\n").unwrap();
    for ((name, evidence), number) in models.iter().zip(1..) {
        fill(&mut archive, number, name, evidence);
    }
    archive
}

/// Adds the evidence of one model. What is there already stays.
pub fn fill(archive: &mut Archive, number: usize, name: &str, evidence: &Evidence) {
    let mut shelf = archive.shelf(number, name);
    let mut suites: Vec<&str> = evidence.responses.iter().map(Said::suite).collect();
    suites.dedup();
    for (suite, at) in suites.iter().zip(1..) {
        let mut responses = evidence.responses.to_vec();
        responses.retain(|one| one.suite == *suite);
        let half = responses.len().div_ceil(2);
        for (chunk, responses) in responses.chunks(half).enumerate() {
            shelf.put_responses(at, chunk, responses).unwrap();
        }
        for (chunk, responses) in responses.chunks(half).enumerate() {
            let here = |item: &str| responses.iter().any(|one| one.item == item);
            let of_suite = evidence.tokens.iter().filter(|one| one.suite == *suite);
            let tokens: Vec<_> = of_suite.filter(|one| here(&one.item)).cloned().collect();
            let scores = evidence.scores.iter().filter(|one| one.suite == *suite);
            let mut scores: Vec<Score<'_>> = scores.filter(|one| here(one.item)).collect();
            scores.sort_by_key(|score| tokens.iter().position(|one| one.item == score.item));
            shelf.put_scores(at, chunk, &scores, &tokens).unwrap();
        }
    }
    shelf.put_fits(&evidence.fits).unwrap();
    shelf.put_repeats(&evidence.repeats).unwrap();
    shelf
        .put_difference(evidence.instrument_difference.unwrap())
        .unwrap();
    for map in &evidence.maps {
        let part = MapPart {
            suite: 1,
            request: 1,
            mode: map.mode.name(),
        };
        for (chunk, pairs) in map.pairs.chunks(16).enumerate() {
            let mut some = map.clone();
            some.pairs = pairs.to_vec();
            some.refused
                .truncate(if chunk == 0 { usize::MAX } else { 0 });
            shelf.put_map(part, chunk, &some).unwrap();
        }
        shelf.put_controls(part, map).unwrap();
    }
    for (ablation, detector) in evidence.ablations.iter().zip(1..) {
        shelf.put_ablation(1, 2, detector, ablation).unwrap();
    }
    shelf
        .put_unmeasured("pairs-1", &evidence.unmeasured)
        .unwrap();
}
