//! How the probe's kind and site carry over from data set to data set. Every cell is fitted on items of the training part and
//! measured on items of the held-out part, so that no group, and no copy or negation of an item, is on both sides of any cell.

use ndarray::Array2;
use rayon::prelude::*;

use super::super::labelled::Labelled;
use super::Split;
use super::fitting::Fitting;
use super::report::{Cell, DatasetLine, EstimateLine, TransferTable};
use crate::detect::train::ProbeKind;

/// The matrix, where there are several data sets: a row for each, one for all others, one for all.
pub(super) fn transfer(
    work: &Fitting<'_>,
    data: &Labelled<'_>,
    split: &Split,
    kind: &ProbeKind,
    activations: &[Array2<f32>],
) -> Option<TransferTable> {
    let names = data.datasets();
    if names.len() < 2 {
        return None;
    }
    let of = |items: &[usize], chosen: &dyn Fn(usize) -> bool| -> Vec<usize> {
        let chosen = |item: &&usize| chosen(work.about[**item].dataset);
        items.iter().filter(chosen).copied().collect()
    };
    let n = names.len();
    let cell = |row: usize, column: usize| -> Cell {
        let train = of(&split.train, &|dataset| match row {
            row if row < n => dataset == row,
            row if row == n => dataset != column,
            _ => true,
        });
        let test = of(&split.held_out, &|dataset| dataset == column);
        let found = work
            .fit(kind, activations, &train, work.labels)
            .and_then(|probe| work.scores(kind, &probe, activations, &test))
            .and_then(|scores| work.quality(&scores, &test));
        match found {
            Ok(quality) => Cell {
                auroc: Some(EstimateLine::of(&quality)),
                why: None,
            },
            Err(fault) => Cell {
                auroc: None,
                why: Some(fault.found),
            },
        }
    };
    let cells: Vec<Cell> = (0..(n + 2) * n)
        .into_par_iter()
        .map(|at| cell(at / n, at % n))
        .collect();
    let count = |items: &[usize], dataset: usize| of(items, &|of| of == dataset);
    Some(TransferTable {
        datasets: (0..n)
            .map(|dataset| DatasetLine {
                name: names[dataset].to_owned(),
                train: count(&split.train, dataset).len(),
                held_out: count(&split.held_out, dataset).len(),
            })
            .collect(),
        alone: cells.chunks(n).take(n).map(<[Cell]>::to_vec).collect(),
        all_but_one: cells.chunks(n).nth(n).unwrap_or_default().to_vec(),
        all: cells.chunks(n).nth(n + 1).unwrap_or_default().to_vec(),
    })
}
