//! What simpler means reach on all items, cross-validated by group: what a card says beside a probe's AUROC.

use ndarray::Array2;

use super::super::labelled::{Labelled, item_means};
use super::fitting::Fitting;
use crate::detect::card::Baselines;
use crate::detect::train::{ProbeKind, TrainingSet};
use crate::detect::{bag_of_words_auroc, folds, length_auroc, permutation_auroc};
use crate::fault::Result;
use crate::stats::auroc;

/// Folds of the cross-validation, and rounds of permuted labels.
const FOLDS: usize = 5;
const PERMUTATIONS: usize = 3;

/// Word counts, length, the same probe on the embedding, and the same probe on permuted labels, one row for each item.
///
/// # Errors
/// Fewer groups than folds, or labels of one kind only.
pub(super) fn crossed(
    work: &Fitting<'_>,
    data: &Labelled<'_>,
    kind: &ProbeKind,
    activations: &[Array2<f32>],
    embedding: &[Array2<f32>],
) -> Result<Baselines> {
    let (labels, options) = (work.labels, work.options);
    let fold_of = folds(&data.split_items(), FOLDS, options.seed)?;
    let (rows, bottom) = (item_means(activations)?, item_means(embedding)?);
    let set = TrainingSet {
        rows: rows.view(),
        labels,
        about: work.about,
    };
    let lengths: Vec<usize> = data
        .readings
        .iter()
        .map(|reading| reading.encoded.ids.len())
        .collect();
    let at_the_bottom = || {
        let set = TrainingSet {
            rows: bottom.view(),
            ..set
        };
        let scores = kind.out_of_fold(&set, &fold_of, options).ok()?;
        let side = |wanted: bool| -> Vec<f64> {
            let of_label = scores
                .iter()
                .zip(labels)
                .filter(|(_, label)| **label == wanted);
            of_label.map(|(score, _)| *score).collect()
        };
        auroc(&side(true), &side(false))
    };
    Ok(Baselines {
        bag_of_words_auroc: bag_of_words_auroc(&data.contents(), labels, &fold_of, options).ok(),
        length_auroc: length_auroc(&lengths, labels)?,
        layer0_auroc: at_the_bottom(),
        permutation_auroc: permutation_auroc(
            kind,
            &set,
            &fold_of,
            options,
            PERMUTATIONS,
            options.seed,
        )?,
    })
}
