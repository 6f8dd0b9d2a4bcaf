//! The whole training again on labels that were dealt anew: what the procedure reaches where there is nothing to learn.

use std::collections::BTreeMap;

use ndarray::Array2;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::Split;
use super::fitting::Fitting;
use super::report::PermutationLine;
use crate::detect::train::ProbeKind;
use crate::stats::{auroc, empirical_p, mean, quantile};

/// Fits and measures on permuted labels, `rounds` times. `None` where no label can be exchanged, or without rounds.
pub(super) fn permuted(
    work: &Fitting<'_>,
    split: &Split,
    kind: &ProbeKind,
    activations: &[Array2<f32>],
    found: f64,
) -> Option<PermutationLine> {
    let rounds: Vec<f64> = (0..work.request.permutations as u64)
        .into_par_iter()
        .filter_map(|round| {
            let mut random = ChaCha8Rng::seed_from_u64(work.request.seed);
            random.set_stream(1 + round);
            let labels = exchanged(work.labels, work.groups, &mut random);
            let rows = work.rows(activations, &split.train, &labels).ok()?;
            let probe = kind.train(&rows.set(), work.options.rough()).ok()?;
            let scores = work
                .scores(kind, &probe, activations, &split.held_out)
                .ok()?;
            let side = |wanted: bool| -> Vec<f64> {
                let of_side = scores.iter().zip(&split.held_out);
                of_side
                    .filter(|(_, item)| labels[**item] == wanted)
                    .map(|(score, _)| *score)
                    .collect()
            };
            auroc(&side(true), &side(false))
        })
        .collect();
    Some(PermutationLine {
        rounds: rounds.len(),
        mean: mean(&rounds)?,
        high: quantile(&rounds, 0.95)?,
        p: empirical_p(found, &rounds),
    })
}

/// Labels dealt anew as far as groups allow: whole groups of one size exchange theirs, and each group's are shuffled.
fn exchanged(labels: &[bool], groups: &[&str], random: &mut ChaCha8Rng) -> Vec<bool> {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (item, group) in groups.iter().enumerate() {
        members.entry(group).or_default().push(item);
    }
    let mut by_size: BTreeMap<usize, Vec<Vec<usize>>> = BTreeMap::new();
    for items in members.into_values() {
        by_size.entry(items.len()).or_default().push(items);
    }
    let mut dealt = labels.to_vec();
    for of_size in by_size.values() {
        let mut givers: Vec<&Vec<usize>> = of_size.iter().collect();
        givers.shuffle(random);
        for (takers, givers) in of_size.iter().zip(givers) {
            let mut given: Vec<bool> = givers.iter().map(|&item| labels[item]).collect();
            given.shuffle(random);
            for (&taker, label) in takers.iter().zip(given) {
                dealt[taker] = label;
            }
        }
    }
    dealt
}
