//! What simpler means reach: an AUROC says little without them.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::train::{Design as _, ProbeKind, TrainingOptions, TrainingSet, logistic};
use super::words::Vocabulary;
use crate::fault::{Fault, Result};
use crate::stats;

const DOING: &str = "measuring a baseline";

/// Cross-validated AUROC of logistic regression on word counts of the items' texts.
///
/// # Errors
/// As for [`bag_of_words_scores`] on each fold's complement.
pub fn bag_of_words_auroc(
    texts: &[&str],
    labels: &[bool],
    fold_of: &[usize],
    options: TrainingOptions,
) -> Result<f64> {
    let mut scores = vec![0.0; texts.len()];
    for fold in fold_of.iter().copied().collect::<BTreeSet<usize>>() {
        let (inside, outside): (Vec<usize>, Vec<usize>) =
            (0..texts.len()).partition(|text| fold_of.get(*text) == Some(&fold));
        let of_fold = bag_of_words_scores(texts, labels, (&outside, &inside), options)?;
        for (text, score) in inside.into_iter().zip(of_fold) {
            if let Some(slot) = scores.get_mut(text) {
                *slot = score;
            }
        }
    }
    auroc_of(&scores, labels)
}

/// Scores of the held-out texts by logistic regression on z-scored counts of the words that occur in the texts that it is trained
/// on. Words are runs of letters and digits, lower-cased.
///
/// # Errors
/// Texts without a word, or with one label only.
pub fn bag_of_words_scores(
    texts: &[&str],
    labels: &[bool],
    (train, held_out): (&[usize], &[usize]),
    options: TrainingOptions,
) -> Result<Vec<f64>> {
    let of = |items: &[usize]| -> Vec<&str> {
        let texts = items.iter().filter_map(|item| texts.get(*item));
        texts.copied().collect()
    };
    let labels: Vec<bool> = train
        .iter()
        .filter_map(|item| labels.get(*item).copied())
        .collect();
    if !(labels.contains(&true) && labels.contains(&false)) {
        return Err(Fault::usage(DOING, "texts with one label only").expected("both labels"));
    }
    let train = of(train);
    let vocabulary = Vocabulary::of(&train)
        .ok_or_else(|| Fault::usage(DOING, "texts without a word").expected("items with text"))?;
    let TrainingOptions {
        lambda, tolerance, ..
    } = options.rough();
    let fit = logistic::fit(&vocabulary.counts(&train), &labels, lambda, tolerance)?;
    let scores = vocabulary.counts(&of(held_out)).times(fit.weight.view()) + fit.intercept;
    Ok(scores.to_vec())
}

/// Scores of the held-out rows by a logistic regression on the others.
///
/// # Errors
/// As for [`ProbeKind::train`].
pub fn logistic_scores(
    set: &TrainingSet<'_>,
    (train, held_out): (&[usize], &[usize]),
    options: TrainingOptions,
) -> Result<Vec<f64>> {
    let kind = ProbeKind::named("logistic_regression")
        .ok_or_else(|| Fault::failed(DOING, "no kind of probe"))?;
    let probe = kind.train(&set.subset(train).set(), options.rough())?;
    let scores = probe.scores(set.subset(held_out).set().rows)?;
    Ok(scores.into_iter().collect())
}

/// AUROC of the items' lengths alone, in whichever direction separates: at least 0.5.
///
/// # Errors
/// Lengths that do not fit the labels, or one label only.
#[allow(
    clippy::cast_precision_loss,
    reason = "lengths of items are far below 2^52"
)]
pub fn length_auroc(lengths: &[usize], labels: &[bool]) -> Result<f64> {
    let scores: Vec<f64> = lengths.iter().map(|length| *length as f64).collect();
    let auroc = auroc_of(&scores, labels)?;
    Ok(auroc.max(1.0 - auroc))
}

/// Mean cross-validated AUROC of the same training after the labels were permuted `rounds` times: about 0.5 unless
/// something leaks from training to test.
///
/// # Errors
/// No rounds, or as for [`ProbeKind::out_of_fold`].
pub fn permutation_auroc(
    kind: &ProbeKind,
    set: &TrainingSet<'_>,
    fold_of: &[usize],
    options: TrainingOptions,
    rounds: usize,
    seed: u64,
) -> Result<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut labels = set.labels.to_vec();
    let aurocs = (0..rounds)
        .map(|_| {
            labels.shuffle(&mut random);
            let permuted = TrainingSet {
                labels: &labels,
                ..*set
            };
            auroc_of(&kind.out_of_fold(&permuted, fold_of, options)?, &labels)
        })
        .collect::<Result<Vec<f64>>>()?;
    stats::mean(&aurocs)
        .ok_or_else(|| Fault::usage(DOING, "0 permutations").expected("at least one"))
}

fn auroc_of(scores: &[f64], labels: &[bool]) -> Result<f64> {
    if scores.len() != labels.len() {
        return Err(Fault::failed(
            DOING,
            format!("{} scores for {} labels", scores.len(), labels.len()),
        )
        .expected("one for each"));
    }
    let side = |wanted: bool| -> Vec<f64> {
        scores
            .iter()
            .zip(labels)
            .filter(|(_, label)| **label == wanted)
            .map(|(score, _)| *score)
            .collect()
    };
    stats::auroc(&side(true), &side(false)).ok_or_else(|| {
        Fault::usage(
            DOING,
            "items with one label only, or a score that is not a number",
        )
        .expected("items with both labels")
    })
}
