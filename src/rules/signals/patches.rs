//! What the patching signals share: effects by cell, and the cell at which the decision arrives.
//!
//! An effect is how far the receiving run was moved towards the other one: the recovery itself in a denoising map,
//! one minus the recovery in a noising map. 1 is all the way, 0 not at all, and neither is clipped.

use std::collections::BTreeSet;
use std::fmt;

use crate::evidence::{CellEffect, PairMap, PatchMap, PatchMode, arrival};
use crate::model::{Point, SiteName};
use crate::stats::{clustered_bootstrap, mean};

use super::interval::{RESAMPLES, SEED};
use super::split::halves;
use super::view::changed;
use super::{Absent, Measurement, View};

/// Positions of a pair that play the same part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Where the prompts differ, the answer's position left out.
    Differing,
    /// Where the answer is read.
    Last,
    /// All the others.
    Elsewhere,
}

impl Place {
    pub const ALL: [Self; 3] = [Self::Differing, Self::Last, Self::Elsewhere];
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Differing => "the differing positions",
            Self::Last => "the answer's position",
            Self::Elsewhere => "the other positions",
        })
    }
}

/// A row of the map and a class of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub site: usize,
    pub place: Place,
}

/// The cell at which the decision arrives on one half of the groups, and the other half to measure it on.
pub(super) struct Peak<'a> {
    pub map: &'a PatchMap,
    pub cell: Cell,
    pub estimate_on: BTreeSet<&'a str>,
    /// Pairs that are answered differently, of which the map has some.
    changed: usize,
}

/// The suite's map of this mode at the point that the rule patches; with several, the one over most pairs.
pub(super) fn map_of<'a>(view: &View<'a>, mode: PatchMode) -> Result<&'a PatchMap, Absent> {
    let suite = &view.contrast()?.suite;
    let wanted = match mode {
        PatchMode::Denoising => "denoising",
        PatchMode::Noising => "noising",
    };
    let map = view
        .evidence
        .maps
        .iter()
        .filter(|map| map.suite == *suite && map.mode == mode && !map.sites.is_empty())
        .filter(|map| {
            view.point
                .is_none_or(|point| map.sites.iter().any(|site| site.point == point))
        })
        .max_by_key(|map| map.pairs.len())
        .ok_or_else(|| view.no_intervention(&format!("{wanted} map")))?;
    if map.pairs.is_empty() {
        let absent = view.no_intervention(&format!("{wanted} map"));
        return Err(match (absent, map.refused.first()) {
            (Absent::Unknown(_), Some(first)) => Absent::unknown(format!(
                "all {} pairs were refused for patching; the first, {}: {}",
                map.refused.len(),
                first.what,
                first.why
            )),
            (absent, _) => absent,
        });
    }
    map.pairs.iter().try_for_each(consistent)?;
    Ok(map)
}

/// The stored recovery must be the stored metric's: stored evidence is judged again by strangers.
fn consistent(pair: &PairMap) -> Result<(), Absent> {
    let same_shape = pair.recovery.dim() == pair.metric.dim();
    let agree = |(metric, recovery): (&f64, &f64)| {
        let expected = (metric - pair.corrupt) / (pair.clean - pair.corrupt);
        !expected.is_finite() || (expected - recovery).abs() <= 1e-3 * expected.abs().max(1.0)
    };
    if same_shape && pair.metric.iter().zip(&pair.recovery).all(agree) {
        return Ok(());
    }
    Err(Absent::unknown(format!(
        "the patching map of the item `{}` contradicts itself: its recovery is not (metric − corrupt) / (clean − corrupt)",
        pair.item
    )))
}

/// The pair's mean effect over a cell; `None` if the pair has no such position or the effect is undefined there.
pub(super) fn effect(mode: PatchMode, pair: &PairMap, cell: Cell) -> Option<f64> {
    let positions = pair.recovery.ncols();
    let effects: Vec<f64> = (0..positions)
        .filter(|position| place_of(pair, *position) == cell.place)
        .filter_map(|position| pair.recovery.get((cell.site, position)))
        .map(|recovery| mode.effect(*recovery))
        .collect();
    mean(&effects).filter(|effect| effect.is_finite())
}

fn place_of(pair: &PairMap, position: usize) -> Place {
    if position == pair.last {
        Place::Last
    } else if pair.differing.contains(&position) {
        Place::Differing
    } else {
        Place::Elsewhere
    }
}

/// Chooses the cell inside the model at which the decision arrives on one half of the groups.
pub(super) fn peak<'a>(view: &View<'a>, mode: PatchMode) -> Result<Peak<'a>, Absent> {
    let map = map_of(view, mode)?;
    let halves = halves(map.pairs.iter().map(|pair| pair.group.as_str())).ok_or_else(|| {
        Absent::unknown("all patched pairs are of one group: a cell cannot be chosen and measured on different ones")
    })?;
    let inside = (map.sites.iter().enumerate()).filter(|(_, name)| is_inside(**name));
    let cells = inside.flat_map(|(site, _)| Place::ALL.map(|place| Cell { site, place }));
    let measured = cells.filter_map(|cell| {
        let effects = effects(map, cell, &halves.choose);
        let values: Vec<f64> = effects.iter().map(|(_, effect)| *effect).collect();
        Some(CellEffect {
            cell,
            row: cell.site,
            at_answer: cell.place == Place::Last,
            effect: mean(&values)?,
        })
    });
    let arrived = arrival(measured).ok_or_else(|| {
        Absent::unknown(
            "the patching map has no row behind the first block's input with a defined effect",
        )
    })?;
    Ok(Peak {
        map,
        cell: arrived.cell,
        estimate_on: halves.estimate,
        changed: view.pairs().map_or(0, |pairs| changed(&pairs.pairs)),
    })
}

/// The first block's input is the embedding: patching it is changing the prompt.
fn is_inside(site: SiteName) -> bool {
    site.point != Point::Embed
        && (site.point, site.layer) != (Point::ResidPre, Some(0))
        && site.point != Point::LnFinal
}

/// Effects over a cell of the pairs whose group is among `groups`.
fn effects<'a>(map: &'a PatchMap, cell: Cell, groups: &BTreeSet<&str>) -> Vec<(&'a str, f64)> {
    map.pairs
        .iter()
        .filter(|pair| groups.contains(pair.group.as_str()))
        .filter_map(|pair| effect(map.mode, pair, cell).map(|effect| (pair.group.as_str(), effect)))
        .collect()
}

impl Peak<'_> {
    /// The mean effect over a cell on the half that had no say in the choice; `None` if no pair has such a cell.
    pub fn estimate(&self, cell: Cell) -> Result<Option<Measurement>, Absent> {
        let effects = effects(self.map, cell, &self.estimate_on);
        if effects.is_empty() {
            return Ok(None);
        }
        Ok(Some(clustered_bootstrap(&effects, RESAMPLES, SEED)?.into()))
    }

    /// The cell in words, with what was left out.
    pub fn note(&self) -> String {
        let site = self
            .map
            .sites
            .get(self.cell.site)
            .map_or_else(String::new, ToString::to_string);
        let used = self.map.pairs.len();
        let refused = match self.map.refused.len() {
            0 => String::new(),
            count => format!(", {count} of {} were refused", used + count),
        };
        format!(
            "at {site}, {}: chosen on one half of the groups, measured on the other; {used} of {} changed pairs were \
             patched{refused}",
            self.cell.place,
            self.changed.max(used + self.map.refused.len())
        )
    }
}
