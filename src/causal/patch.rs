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
use crate::evidence::{PairMap, PatchMap, PatchMode, Unmeasured, peak};
use crate::fault::{Fault, Result};
use crate::model::{Point, SiteName};

/// Bytes of activations that wait: little beside a model's weights.
const BUDGET: usize = 64 << 20;

/// Patches every position of every site, for every pair. Pairs whose two runs differ by less than [`MIN_DENOMINATOR`](crate::evidence::MIN_DENOMINATOR)
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
        by_class: true,
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
        by_class: map.by_class,
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

/// Adds vectors of the real patch's norm, random but orthogonal to it, instead of the real patch, at the cell where the decision arrives,
/// and notes the recoveries: on the half of the groups that had no say in the choice of the cell.
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
    let Ok(peak) = peak(map) else {
        return Ok(());
    };
    let (cell, site) = (peak.cell, map.sites[peak.cell.site]);
    let estimated = |entry: &PairMap| peak.estimate_on.contains(entry.group.as_str());
    let on: Vec<bool> = map.pairs.iter().map(estimated).collect();
    for (entry, _) in map.pairs.iter_mut().zip(on).filter(|(_, on)| *on) {
        let Some(pair) = pairs.iter().find(|pair| pair.item == entry.item) else {
            continue;
        };
        let positions = pair.positions_of(cell.class);
        if positions.is_empty() {
            continue;
        }
        let (ids, other) = sides(pair, map.mode);
        let own = there(runs, ids, site, &positions)?;
        let from = there(runs, other, site, &positions)?;
        let mut rows: Vec<Row<'_>> = (0..n_directions)
            .map(|_| Row {
                changes: Vec::new(),
                read: vec![pair.last()],
                ..Row::plain(ids)
            })
            .collect();
        for ((position, own), from) in positions.iter().zip(&own).zip(&from) {
            let directions = unit_directions(n_directions, own.len(), seed);
            let random = norm_matched(&directions, &(from - own));
            for (row, random) in rows.iter_mut().zip(random) {
                let value = To::Values((own + &random).insert_axis(Axis(0)));
                row.changes.push(Change::at(site, *position, value));
            }
        }
        let question = [Question::of(pair)];
        entry.random = Metric::LogitDifference
            .measure(runs, &rows, &question, &|_| 0)?
            .into_iter()
            .map(|value| (value - entry.corrupt) / (entry.clean - entry.corrupt))
            .collect();
        entry.random_cell = Some(cell);
    }
    Ok(())
}

/// What a plain run has at positions of a site, one for each.
pub(super) fn there(
    runs: &dyn Runs,
    ids: &[i64],
    site: SiteName,
    positions: &[usize],
) -> Result<Vec<Array1<f32>>> {
    let row = Row {
        read: positions.to_vec(),
        ..Row::plain(ids)
    };
    let mut there = Vec::with_capacity(positions.len());
    runs.each_activation(&[row], &[site], &mut |_, _, _, x| {
        there.push(x.to_owned());
        Ok(())
    })?;
    if there.len() != positions.len() {
        let found = format!("{} activations", there.len());
        return Err(Fault::failed(format!("reading `{site}`"), found)
            .expected(format!("{}", positions.len())));
    }
    Ok(there)
}
