//! Activation patching by layer and position, with the self-patch and random-vector controls.
//!
//! Denoising and noising, recovery and its denominator: Heimersheim & Nanda (arXiv 2404.15255), Zhang & Nanda (2309.16042).

use ndarray::{Array2, ArrayView1, Axis};

use super::metric::logit_difference;
use super::pair::Pair;
use super::random::{norm_matched, unit_directions};
use super::row::{Change, Row, Runs, To};
use crate::evidence::{PairMap, PatchMap, PatchMode, Unmeasured};
use crate::fault::{Fault, Result};
use crate::model::{Point, SiteName};

/// Smallest |clean − corrupt| in logits whose ratio still says something: float32 logits agree within about 1e-4, so
/// at this bar a recovery is good to about 1e-2.
pub const MIN_DENOMINATOR: f64 = 0.01;

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
    let mut map = PatchMap {
        suite: suite.to_owned(),
        mode,
        sites: sites.to_vec(),
        pairs: Vec::with_capacity(pairs.len()),
        refused: Vec::new(),
    };
    let plain = Plain::of(runs, pairs, sites)?;
    for (index, pair) in pairs.iter().enumerate() {
        let (clean, corrupt) = plain.ends[index];
        let gap = (clean - corrupt).abs();
        if gap < MIN_DENOMINATOR || !gap.is_finite() {
            map.refused.push(Unmeasured {
                what: format!("patching `{}`", pair.item),
                why: format!("the clean and the corrupt run differ by {:.2e} logits: no recovery can be read from that", clean - corrupt),
            });
            continue;
        }
        map.pairs.push(plain.sweep(runs, pair, index, sites, mode)?);
    }
    Ok(map)
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

fn is_stream(site: SiteName) -> bool {
    matches!(
        site.point,
        Point::ResidPre | Point::ResidMid | Point::ResidPost
    )
}

/// Adds vectors of the real patch's norm, random but orthogonal to it, instead of the real patch, at the interior cell where
/// patching had the largest mean effect, and notes the recoveries.
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
    let Some((site, differs)) = peak_cell(map) else {
        return Ok(());
    };
    let sites = map.sites.clone();
    let used: Vec<Pair> = map
        .pairs
        .iter()
        .filter_map(|entry| pairs.iter().find(|pair| pair.item == entry.item).cloned())
        .collect();
    let plain = Plain::of(runs, &used, &sites)?;
    let mode = map.mode;
    for (index, (pair, entry)) in used.iter().zip(&mut map.pairs).enumerate() {
        let position = if differs {
            entry.differing.first().copied()
        } else {
            Some(entry.last)
        };
        let Some(position) = position else { continue };
        let (from, into, ids) = plain.direction(index, pair, mode);
        let own = into[site].row(position);
        let real = &from[site].row(position) - &own;
        let directions = unit_directions(n_directions, real.len(), seed);
        let rows: Vec<Row<'_>> = norm_matched(&directions, &real)
            .into_iter()
            .map(|random| {
                let value = To::Values((&own + &random).insert_axis(Axis(0)));
                Row::with(ids, Change::at(sites[site], position, value), pair.last())
            })
            .collect();
        entry.random = differences(runs, &rows, &vec![pair; rows.len()])?
            .into_iter()
            .map(|value| (value - entry.corrupt) / (entry.clean - entry.corrupt))
            .collect();
        entry.random_cell = Some((site, position));
    }
    Ok(())
}

/// The interior row (not the first: there the patch replaces the input itself) and position class with the largest mean effect.
fn peak_cell(map: &PatchMap) -> Option<(usize, bool)> {
    let mean_effect = |site: usize, differs: bool| {
        let effects: Vec<f64> = map
            .pairs
            .iter()
            .filter_map(|pair| {
                let position = if differs {
                    *pair.differing.first()?
                } else {
                    pair.last
                };
                Some(map.mode.effect(pair.recovery[[site, position]]))
            })
            .collect();
        #[allow(clippy::cast_precision_loss, reason = "a count of pairs")]
        let n = effects.len() as f64;
        effects.iter().sum::<f64>() / n
    };
    if map.pairs.is_empty() {
        return None;
    }
    (1..map.sites.len())
        .flat_map(|site| [(site, true), (site, false)])
        .max_by(|&(a, da), &(b, db)| mean_effect(a, da).total_cmp(&mean_effect(b, db)))
}

fn difference(logits: ArrayView1<f32>, pair: &Pair) -> f64 {
    let index = |id: i64| usize::try_from(id).unwrap_or(usize::MAX);
    logit_difference(logits, index(pair.answer), index(pair.foil))
}

/// The logit difference of every row, each with its pair.
fn differences(runs: &dyn Runs, rows: &[Row<'_>], pairs: &[&Pair]) -> Result<Vec<f64>> {
    let mut all = vec![f64::NAN; rows.len()];
    runs.each_logits(rows, &mut |row, _, logits| {
        all[row] = difference(logits, pairs[row]);
        Ok(())
    })?;
    Ok(all)
}

/// Activations and logit differences of the unpatched runs.
struct Plain {
    clean: Vec<Vec<Array2<f32>>>,
    corrupt: Vec<Vec<Array2<f32>>>,
    ends: Vec<(f64, f64)>,
}

impl Plain {
    fn of(runs: &dyn Runs, pairs: &[Pair], sites: &[SiteName]) -> Result<Self> {
        let vocab = runs.arch().vocab_size;
        for id in pairs.iter().flat_map(|pair| [pair.answer, pair.foil]) {
            if usize::try_from(id).map_or(true, |id| id >= vocab) {
                return Err(
                    Fault::usage("reading a logit difference", format!("token id {id}"))
                        .expected(format!("an id below {vocab}, the model's vocabulary")),
                );
            }
        }
        let clean_ids: Vec<&[i64]> = pairs.iter().map(|pair| pair.clean.ids.as_slice()).collect();
        let corrupt_ids: Vec<&[i64]> = pairs
            .iter()
            .map(|pair| pair.corrupt.ids.as_slice())
            .collect();
        let rows: Vec<Row<'_>> = clean_ids
            .iter()
            .zip(&corrupt_ids)
            .flat_map(|(clean, corrupt)| [Row::plain(clean), Row::plain(corrupt)])
            .collect();
        let twice: Vec<&Pair> = pairs.iter().flat_map(|pair| [pair, pair]).collect();
        let ends = differences(runs, &rows, &twice)?;
        Ok(Self {
            clean: runs.plain_activations(&clean_ids, sites)?,
            corrupt: runs.plain_activations(&corrupt_ids, sites)?,
            ends: ends.chunks_exact(2).map(|two| (two[0], two[1])).collect(),
        })
    }

    /// Activations that are taken, activations of the run that receives them, and that run's ids.
    fn direction<'a>(
        &'a self,
        index: usize,
        pair: &'a Pair,
        mode: PatchMode,
    ) -> (&'a [Array2<f32>], &'a [Array2<f32>], &'a [i64]) {
        match mode {
            PatchMode::Denoising => (&self.clean[index], &self.corrupt[index], &pair.corrupt.ids),
            PatchMode::Noising => (&self.corrupt[index], &self.clean[index], &pair.clean.ids),
        }
    }

    fn sweep(
        &self,
        runs: &dyn Runs,
        pair: &Pair,
        index: usize,
        sites: &[SiteName],
        mode: PatchMode,
    ) -> Result<PairMap> {
        let (from, into, ids) = self.direction(index, pair, mode);
        let (clean, corrupt) = self.ends[index];
        let seq = ids.len();
        let change = |site: SiteName, positions: Vec<usize>, values: Array2<f32>| {
            let change = Change {
                site,
                positions,
                heads: None,
                to: To::Values(values),
            };
            Row::with(ids, change, pair.last())
        };
        let grid = sites.iter().enumerate().flat_map(|(row, &site)| {
            (0..seq).map(move |position| {
                let value = from[row].row(position).to_owned();
                change(site, vec![position], value.insert_axis(Axis(0)))
            })
        });
        let all =
            |values: &Array2<f32>, site: SiteName| change(site, (0..seq).collect(), values.clone());
        let own = into.iter().zip(sites).map(|(own, &site)| all(own, site));
        let whole = from.iter().zip(sites).map(|(from, &site)| all(from, site));
        let rows: Vec<Row<'_>> = grid.chain(own).chain(whole).collect();
        let values = differences(runs, &rows, &vec![pair; rows.len()])?;
        let (cells, rest) = values.split_at(sites.len() * seq);
        let (own, whole) = rest.split_at(sites.len());
        let untouched = match mode {
            PatchMode::Denoising => corrupt,
            PatchMode::Noising => clean,
        };
        let metric = Array2::from_shape_fn((sites.len(), seq), |(site, position)| {
            cells[site * seq + position]
        });
        Ok(PairMap {
            item: pair.item.clone(),
            counterpart: pair.counterpart.clone(),
            group: pair.group.clone(),
            clean_tokens: pair.clean.tokens.clone(),
            corrupt_tokens: pair.corrupt.tokens.clone(),
            answer: pair.answer_text.clone(),
            foil: pair.foil_text.clone(),
            clean,
            corrupt,
            recovery: metric.mapv(|value| (value - corrupt) / (clean - corrupt)),
            metric,
            differing: pair.differing(),
            last: pair.last(),
            self_patch: own.iter().fold(0.0, |worst: f64, value| {
                worst.max((value - untouched).abs())
            }),
            whole: sites
                .iter()
                .zip(whole)
                .map(|(site, value)| {
                    is_stream(*site).then_some((value - corrupt) / (clean - corrupt))
                })
                .collect(),
            random: Vec::new(),
            random_cell: None,
        })
    }
}
