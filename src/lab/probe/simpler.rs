//! What simpler means reach on the items that report the probe, trained on the same items as it.
#![allow(
    clippy::cast_precision_loss,
    reason = "counts of tokens are far below 2^52"
)]

use std::collections::BTreeSet;

use ndarray::Array2;

use super::super::labelled::Labelled;
use super::fitting::Fitting;
use super::report::{BaselineLine, EstimateLine};
use super::{RESAMPLES, Split};
use crate::detect::train::{ProbeKind, TrainingSet};
use crate::detect::{bag_of_words_scores, logistic_scores};
use crate::fault::Result;
use crate::stats::{auroc, auroc_difference};

/// Scores of the held-out items, or why there are none.
type Told = std::result::Result<Vec<f64>, String>;

/// A probe and what it says of the held-out items.
pub(super) struct Beside<'a> {
    pub kind: &'static ProbeKind,
    pub scores: &'a [f64],
    /// Activations at the first site of the model, unless the probe reads there.
    pub bottom: Option<&'a [Array2<f32>]>,
}

/// Every baseline with its AUROC, and by how much the probe exceeds it.
pub(super) fn simpler(
    work: &Fitting<'_>,
    data: &Labelled<'_>,
    split: &Split,
    beside: &Beside<'_>,
) -> Result<Vec<BaselineLine>> {
    let labels = work.labels_of(&split.held_out);
    let groups = work.groups_of(&split.held_out);
    let all: [(&'static str, Told); 4] = [
        ("bag of words", words(work, data, split)),
        ("length", Ok(length(work, data, split))),
        ("layer 0", layer_0(work, split, beside)),
        ("answer letter", letter(work, data, split)),
    ];
    all.into_iter()
        .map(|(name, told)| {
            let scores = match told {
                Ok(scores) => scores,
                Err(why) => {
                    return Ok(BaselineLine {
                        name,
                        auroc: None,
                        difference: None,
                        why: Some(why),
                    });
                }
            };
            let quality = work.quality(&scores, &split.held_out)?;
            let seed = work.request.seed;
            let difference =
                auroc_difference(beside.scores, &scores, &labels, &groups, RESAMPLES, seed)?;
            Ok(BaselineLine {
                name,
                auroc: Some(EstimateLine::of(&quality)),
                difference: Some(EstimateLine::of(&difference)),
                why: None,
            })
        })
        .collect()
}

fn words(work: &Fitting<'_>, data: &Labelled<'_>, split: &Split) -> Told {
    let (train, held_out) = (&split.train, &split.held_out);
    bag_of_words_scores(
        &data.contents(),
        work.labels,
        (train, held_out),
        work.options,
    )
    .map_err(|fault| fault.found)
}

/// Number of tokens, in the direction that separates where the probe was trained.
fn length(work: &Fitting<'_>, data: &Labelled<'_>, split: &Split) -> Vec<f64> {
    let of = |item: &usize| data.readings[*item].encoded.ids.len() as f64;
    let side = |wanted: bool| -> Vec<f64> {
        let of_side = split
            .train
            .iter()
            .filter(|item| work.labels[**item] == wanted);
        of_side.map(of).collect()
    };
    let longer = auroc(&side(true), &side(false)).is_none_or(|auroc| auroc >= 0.5);
    let sign = if longer { 1.0 } else { -1.0 };
    split.held_out.iter().map(|item| sign * of(item)).collect()
}

/// The same training on what stands before the first block.
fn layer_0(work: &Fitting<'_>, split: &Split, beside: &Beside<'_>) -> Told {
    let bottom = beside.bottom.ok_or("the probe itself reads there")?;
    work.fit(beside.kind, bottom, &split.train, work.labels)
        .and_then(|probe| work.scores(beside.kind, &probe, bottom, &split.held_out))
        .map_err(|fault| fault.found)
}

/// The letter that each item answers with, where all answer with one.
fn letter(work: &Fitting<'_>, data: &Labelled<'_>, split: &Split) -> Told {
    let letters: Option<Vec<char>> = data
        .readings
        .iter()
        .map(|reading| only_letter(reading.item.response.as_deref()?))
        .collect();
    let letters = letters.ok_or("responses that are not a letter")?;
    let distinct: Vec<char> = letters
        .iter()
        .copied()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    if distinct.len() < 2 {
        return Err("one and the same letter everywhere".to_owned());
    }
    let rows = Array2::from_shape_fn((letters.len(), distinct.len()), |(item, letter)| {
        if letters[item] == distinct[letter] {
            1.0
        } else {
            0.0
        }
    });
    let set = TrainingSet::of_rows(rows.view(), work.labels);
    logistic_scores(&set, (&split.train, &split.held_out), work.options)
        .map_err(|fault| fault.found)
}

/// `A` of ` (A)`, `A.` and the like.
fn only_letter(response: &str) -> Option<char> {
    let mut letters = response.chars().filter(|letter| letter.is_alphanumeric());
    letters.next().filter(|_| letters.next().is_none())
}
