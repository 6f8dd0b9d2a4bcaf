//! What simpler means reach: an AUROC says little without them.

use std::collections::BTreeMap;

use ndarray::Array2;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::train::{ProbeKind, TrainingOptions, TrainingSet};
use crate::fault::{Fault, Result};
use crate::stats;

const DOING: &str = "measuring a baseline";

/// The most frequent words are counted, the rest left out: bounds the memory at `n × 4096` counts.
const LARGEST_VOCABULARY: usize = 4096;

/// Cross-validated AUROC of logistic regression on word counts of the items' texts.
///
/// Words are runs of letters and digits, lower-cased. A word that occurs only in the held-out fold gets no weight.
///
/// # Errors
/// Texts without a word, or as for [`ProbeKind::out_of_fold`].
pub fn bag_of_words_auroc(
    texts: &[&str],
    labels: &[bool],
    fold_of: &[usize],
    options: TrainingOptions,
) -> Result<f64> {
    let everywhere: Vec<usize> = (0..texts.len()).collect();
    let rows = word_rows(texts, &everywhere)?;
    let set = TrainingSet::of_rows(rows.view(), labels);
    let scores = logistic()?.out_of_fold(&set, fold_of, options.rough())?;
    auroc_of(&scores, labels)
}

/// Scores of the held-out texts by logistic regression on the counts of words that occur in the texts that it is trained on.
///
/// # Errors
/// Texts without a word, or as for [`ProbeKind::train`].
pub fn bag_of_words_scores(
    texts: &[&str],
    labels: &[bool],
    (train, held_out): (&[usize], &[usize]),
    options: TrainingOptions,
) -> Result<Vec<f64>> {
    let rows = word_rows(texts, train)?;
    let set = TrainingSet::of_rows(rows.view(), labels);
    logistic_scores(&set, (train, held_out), options)
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
    let probe = logistic()?.train(&set.subset(train).set(), options.rough())?;
    let scores = probe.scores(set.subset(held_out).set().rows)?;
    Ok(scores.into_iter().collect())
}

fn logistic() -> Result<&'static ProbeKind> {
    ProbeKind::named("logistic_regression").ok_or_else(|| Fault::failed(DOING, "no kind of probe"))
}

/// `[n, words]`: how often each text holds each of the most frequent words of the texts `of`.
#[allow(
    clippy::cast_precision_loss,
    reason = "a word occurs far fewer than 2^24 times in an item"
)]
fn word_rows(texts: &[&str], of: &[usize]) -> Result<Array2<f32>> {
    let counts: Vec<BTreeMap<String, usize>> = texts.iter().map(|text| word_counts(text)).collect();
    let mut totals: BTreeMap<&str, usize> = BTreeMap::new();
    for (word, count) in of.iter().filter_map(|text| counts.get(*text)).flatten() {
        *totals.entry(word).or_default() += count;
    }
    let mut frequent: Vec<(&str, usize)> = totals.into_iter().collect();
    frequent.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    frequent.truncate(LARGEST_VOCABULARY);
    if frequent.is_empty() {
        return Err(Fault::usage(DOING, "texts without a word").expected("items with text"));
    }
    Ok(Array2::from_shape_fn(
        (texts.len(), frequent.len()),
        |(row, column)| {
            let word = frequent.get(column).map(|(word, _)| *word);
            let count = word.and_then(|word| counts.get(row)?.get(word));
            count.copied().unwrap_or_default() as f32
        },
    ))
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

fn word_counts(text: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let words = text
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty());
    for word in words {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    counts
}
