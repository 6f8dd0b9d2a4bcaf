//! Activation patching by layer and position, with the self-patch and random-vector controls.
//!
//! Denoising and noising, recovery and its denominator: Heimersheim & Nanda (arXiv 2404.15255), Zhang & Nanda (2309.16042).

use ndarray::{Array1, Axis};

use super::grid::{By, Grid};
use super::intervention::{Intervention, sides};
use super::measure::{Metric, Question};
use super::pair::Pair;
use super::random::{norm_matched, unit_directions};
use super::row::{Change, Row, Runs, To};
use super::sweep::{CellMap, Sweep, sweep};
use crate::evidence::{CellEffect, PairMap, PatchMap, PatchMode, Unmeasured, arrival};
use crate::fault::{Fault, Result};
use crate::model::{Point, SiteName};
use crate::stats::mean;

/// Smallest |clean − corrupt| in logits whose ratio still says something: float32 logits agree within about 1e-4, so
/// at this bar a recovery is good to about 1e-2.
pub const MIN_DENOMINATOR: f64 = 0.01;

/// Bytes of activations that wait: little beside a model's weights.
const BUDGET: usize = 64 << 20;

/// Patches every position of every site, for every pair. Pairs whose two runs differ by less than [`MIN_DENOMINATOR`]
/// are refused and listed.
///
/// # Errors
/// A run fails, or a token id lies outside the vocabulary.
pub fn patch_map(
    runs: &dyn Runs,
    suite: &str,
    pairs: &[Pair],
    sites: &[SiteName],
    mode: PatchMode,
) -> Result<PatchMap> {
    let plan = Sweep {
        grid: &Grid::of(runs.arch(), sites, By::Position, None)?,
        intervention: &Intervention::Patch,
        mode,
        metric: &Metric::LogitDifference,
        at: None,
        controls: 0,
        seed: 0,
        budget: BUDGET,
        done: &|_| (),
    };
    let swept = sweep(runs, pairs, &plan)?;
    let maps = swept.pairs.into_iter();
    Ok(PatchMap {
        suite: suite.to_owned(),
        mode,
        sites: sites.to_vec(),
        pairs: maps
            .filter_map(|map| Some(pair_map(pairs.get(map.pair)?, map)))
            .collect(),
        refused: swept.refused,
    })
}

fn pair_map(pair: &Pair, map: CellMap) -> PairMap {
    PairMap {
        item: pair.item.clone(),
        counterpart: pair.counterpart.clone(),
        group: pair.group.clone(),
        clean_tokens: pair.clean.tokens.clone(),
        corrupt_tokens: pair.corrupt.tokens.clone(),
        answer: pair.answer_text.clone(),
        foil: pair.foil_text.clone(),
        clean: map.clean,
        corrupt: map.corrupt,
        recovery: map.recovery.unwrap_or_default(),
        metric: map.metric,
        differing: pair.differing(),
        last: pair.last(),
        self_patch: map.self_patch,
        whole: map.whole,
        random: Vec::new(),
        random_cell: None,
        dose: Vec::new(),
    }
}

/// How far from all of the other run a patch of the whole stream may leave the metric, as a share of the two runs' gap and in logits:
/// the runs do the same arithmetic from there on.
const WHOLE: (f64, f64) = (0.02, 1e-3);

/// Takes the pairs out of a map whose stream is not the whole state of the model somewhere: cells of such a map say less than they
/// seem to. Layers that reuse an earlier layer's keys and values are such, and so would be a tensor that is not the stream.
pub fn refuse_partial(map: &mut PatchMap) {
    let (share, logits) = WHOLE;
    let all = match map.mode {
        PatchMode::Denoising => 1.0,
        PatchMode::Noising => 0.0,
    };
    let pairs = std::mem::take(&mut map.pairs);
    for pair in pairs {
        let allowed = share + logits / (pair.clean - pair.corrupt).abs();
        let mut whole = map.sites.iter().zip(&pair.whole);
        let partial = whole.find_map(|(site, whole)| {
            let off = ((*whole)? - all).abs();
            (off.is_nan() || off > allowed).then_some((*site, off))
        });
        match partial {
            None => map.pairs.push(pair),
            Some((site, off)) => map.refused.push(Unmeasured {
                what: format!("patching `{}`", pair.item),
                why: format!("writing all of `{site}` leaves the metric {off:.3} of the gap from the other run: what follows does not hang on this tensor alone"),
            }),
        }
    }
}

pub(super) fn is_stream(site: SiteName) -> bool {
    matches!(
        site.point,
        Point::ResidPre | Point::ResidMid | Point::ResidPost
    )
}

/// Adds vectors of the real patch's norm, random but orthogonal to it, instead of the real patch, at the interior cell where
/// the decision arrives, and notes the recoveries.
///
/// # Errors
/// A run fails.
pub fn random_control(
    runs: &dyn Runs,
    map: &mut PatchMap,
    pairs: &[Pair],
    n_directions: usize,
    seed: u64,
) -> Result<()> {
    let Some((row, differs)) = peak_cell(map) else {
        return Ok(());
    };
    let site = map.sites[row];
    for entry in &mut map.pairs {
        let position = if differs {
            entry.differing.first().copied()
        } else {
            Some(entry.last)
        };
        let pair = pairs.iter().find(|pair| pair.item == entry.item);
        let (Some(position), Some(pair)) = (position, pair) else {
            continue;
        };
        let (ids, other) = sides(pair, map.mode);
        let (own, from) = (
            there(runs, ids, site, position)?,
            there(runs, other, site, position)?,
        );
        let real = &from - &own;
        let directions = unit_directions(n_directions, real.len(), seed);
        let rows: Vec<Row<'_>> = norm_matched(&directions, &real)
            .into_iter()
            .map(|random| {
                let value = To::Values((&own + &random).insert_axis(Axis(0)));
                Row::with(ids, Change::at(site, position, value), pair.last())
            })
            .collect();
        let question = [Question::of(pair)];
        entry.random = Metric::LogitDifference
            .measure(runs, &rows, &question, &|_| 0)?
            .into_iter()
            .map(|value| (value - entry.corrupt) / (entry.clean - entry.corrupt))
            .collect();
        entry.random_cell = Some((row, position));
    }
    Ok(())
}

/// What a plain run has at a place.
pub(super) fn there(
    runs: &dyn Runs,
    ids: &[i64],
    site: SiteName,
    position: usize,
) -> Result<Array1<f32>> {
    let row = Row {
        read: vec![position],
        ..Row::plain(ids)
    };
    let mut there = None;
    runs.each_activation(&[row], &[site], &mut |_, _, _, x| {
        there = Some(x.to_owned());
        Ok(())
    })?;
    there.ok_or_else(|| Fault::failed(format!("reading `{site}`"), "no activation"))
}

/// The interior row (not the first: there the patch replaces the input itself) and position class at which the decision arrives.
fn peak_cell(map: &PatchMap) -> Option<(usize, bool)> {
    let cells = (1..map.sites.len()).flat_map(|row| [(row, true), (row, false)]);
    let measured = cells.filter_map(|(row, differs)| {
        let effects: Vec<f64> = map
            .pairs
            .iter()
            .filter_map(|pair| {
                let position = if differs {
                    *pair.differing.first()?
                } else {
                    pair.last
                };
                Some(map.mode.effect(*pair.recovery.get([row, position])?))
            })
            .collect();
        Some(CellEffect {
            cell: (row, differs),
            row,
            at_answer: !differs,
            effect: mean(&effects)?,
        })
    });
    arrival(measured).map(|arrived| arrived.cell)
}
