//! Dose and response: what parts of a patch do, beside random edits of the same lengths.
//!
//! A cause acts the more the more of it there is. What a whole patch does could be a threshold that any push of its length crosses, or a state off the
//! model's own path; a response that follows the dose, while random pushes of every length do not, is hard to explain otherwise.

use ndarray::Array1;

use super::intervention::sides;
use super::measure::{Metric, Question};
use super::pair::Pair;
use super::patch::there;
use super::random::{norm_matched, unit_directions};
use super::row::{Change, Row, Runs, To};
use crate::evidence::{Dose, PairMap, PatchMap, PatchMode};
use crate::fault::Result;
use crate::model::SiteName;

/// Shares of the difference between the two runs that are added, beside none at all. The last lies beyond the other run.
const SHARES: [f32; 5] = [0.25, 0.5, 0.75, 1.0, 1.5];

/// Pairs that a curve is measured on: it shows a shape, and the whole patch is measured on all of them.
const MOST_PAIRS: usize = 16;

/// Random directions at each share. The random control has more, at the whole length.
const MOST_DIRECTIONS: usize = 4;

/// A pair, the place of its random control, and what the two runs have there.
struct Place<'a> {
    /// Index into the map's pairs.
    entry: usize,
    pair: &'a Pair,
    ids: &'a [i64],
    site: SiteName,
    positions: Vec<usize>,
    /// At each position.
    own: Vec<Array1<f32>>,
    /// What the whole patch adds, at each position.
    difference: Vec<Array1<f32>>,
}

/// Adds shares of the difference between the two runs where [`random_control`](super::random_control) was made, and random vectors of the
/// same lengths, orthogonal to it, and notes the recoveries. Pairs without a random control are left as they are.
///
/// # Errors
/// A run fails.
pub fn dose_response(
    runs: &dyn Runs,
    map: &mut PatchMap,
    pairs: &[Pair],
    n_directions: usize,
    seed: u64,
) -> Result<()> {
    let places = places(runs, map, pairs)?;
    let n_directions = n_directions.min(MOST_DIRECTIONS);
    let mut rows = Vec::new();
    for place in &places {
        let random: Vec<Vec<Array1<f32>>> = place
            .difference
            .iter()
            .map(|real| norm_matched(&unit_directions(n_directions, real.len(), seed), real))
            .collect();
        for share in SHARES {
            rows.push(place.with(share, &|at| place.difference.get(at)));
            let directions = 0..n_directions;
            rows.extend(
                directions.map(|direction| place.with(share, &|at| random.get(at)?.get(direction))),
            );
        }
    }
    let per_share = 1 + n_directions;
    let per_place = SHARES.len() * per_share;
    let questions: Vec<Question> = places
        .iter()
        .map(|place| Question::of(place.pair))
        .collect();
    let metric = Metric::LogitDifference;
    let measured = metric.measure(runs, &rows, &questions, &|row| row / per_place)?;
    let mode = map.mode;
    for (place, measured) in places.iter().zip(measured.chunks(per_place)) {
        if let Some(entry) = map.pairs.get_mut(place.entry) {
            entry.dose = curve(entry, mode, measured.chunks(per_share));
        }
    }
    Ok(())
}

impl Place<'_> {
    /// A row with a share of an edit, which is asked for by the index of each position.
    fn with<'e>(&self, share: f32, edit: &dyn Fn(usize) -> Option<&'e Array1<f32>>) -> Row<'_> {
        let places = self.positions.iter().zip(&self.own).enumerate();
        let changes = places.filter_map(|(at, (position, own))| {
            let value = (own + &(edit(at)? * share)).insert_axis(ndarray::Axis(0));
            Some(Change::at(self.site, *position, To::Values(value)))
        });
        Row {
            changes: changes.collect(),
            read: vec![self.pair.last()],
            ..Row::plain(self.ids)
        }
    }
}

/// The first pairs that have a random control; a map's order visits every group before any group twice.
fn places<'a>(runs: &dyn Runs, map: &PatchMap, pairs: &'a [Pair]) -> Result<Vec<Place<'a>>> {
    let controlled = map.pairs.iter().enumerate().filter_map(|(entry, of)| {
        let cell = of.random_cell.filter(|_| !of.random.is_empty())?;
        let pair = pairs.iter().find(|pair| pair.item == of.item)?;
        Some((
            entry,
            pair,
            *map.sites.get(cell.site)?,
            pair.positions_of(cell.class),
        ))
    });
    controlled
        .take(MOST_PAIRS)
        .map(|(entry, pair, site, positions)| {
            let (ids, other) = sides(pair, map.mode);
            let own = there(runs, ids, site, &positions)?;
            let from = there(runs, other, site, &positions)?;
            let difference = from
                .iter()
                .zip(&own)
                .map(|(from, own)| from - own)
                .collect();
            Ok(Place {
                entry,
                pair,
                ids,
                site,
                positions,
                own,
                difference,
            })
        })
        .collect()
}

/// The untouched run, and then what was measured: of each share the real edit and its random ones.
fn curve<'m>(
    entry: &PairMap,
    mode: PatchMode,
    measured: impl Iterator<Item = &'m [f64]>,
) -> Vec<Dose> {
    let recovery = |metric: &f64| (metric - entry.corrupt) / (entry.clean - entry.corrupt);
    let untouched = match mode {
        PatchMode::Denoising => 0.0,
        PatchMode::Noising => 1.0,
    };
    let none = Dose {
        share: 0.0,
        recovery: untouched,
        random: untouched,
    };
    let parts = SHARES.iter().zip(measured).filter_map(|(share, metrics)| {
        let (real, random) = metrics.split_first()?;
        let random: Vec<f64> = random.iter().map(recovery).collect();
        Some(Dose {
            share: f64::from(*share),
            recovery: recovery(real),
            random: crate::stats::mean(&random)?,
        })
    });
    std::iter::once(none).chain(parts).collect()
}
