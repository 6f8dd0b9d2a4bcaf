//! What the patching signals share: the map they read, and the cell at which the decision arrives.
//!
//! An effect is how far the receiving run was moved towards the other one: the recovery itself in a denoising map,
//! one minus the recovery in a noising map. 1 is all the way, 0 not at all, and neither is clipped.

use std::collections::BTreeSet;

use crate::evidence::{self, MapCell, NoPeak, PairMap, PatchMap, PatchMode, PositionClass};

use super::interval::mean_of_groups;
use super::view::changed;
use super::{Absent, Measurement, View};

/// The cell at which the decision arrives on one half of the groups, and the other half to measure it on.
pub(super) struct Peak<'a> {
    pub map: &'a PatchMap,
    pub cell: MapCell,
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

/// The stored recovery must be the stored metric's, and that of a class with one position the one of this: stored evidence is judged
/// again by strangers.
fn consistent(pair: &PairMap) -> Result<(), Absent> {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-3 * a.abs().max(1.0);
    let same_shape = pair.recovery.dim() == pair.metric.dim();
    let agree = |(metric, recovery): (&f64, &f64)| {
        let expected = (metric - pair.corrupt) / (pair.clean - pair.corrupt);
        !expected.is_finite() || near(expected, *recovery)
    };
    let alone = |class| {
        let of_class = |position: &usize| pair.class_of(*position) == class;
        let mut positions = (0..pair.recovery.ncols()).filter(of_class);
        positions.next().filter(|_| positions.next().is_none())
    };
    let classes_agree = |class| {
        let Some(position) = alone(class) else {
            return true;
        };
        pair.recovery
            .column(position)
            .iter()
            .enumerate()
            .all(|(site, recovery)| {
                let of_class = pair.recovery_of(MapCell { site, class });
                !recovery.is_finite() || of_class.is_some_and(|of_class| near(*recovery, of_class))
            })
    };
    if same_shape
        && pair.metric.iter().zip(&pair.recovery).all(agree)
        && PositionClass::ALL.into_iter().all(classes_agree)
    {
        return Ok(());
    }
    Err(Absent::unknown(format!(
        "the patching map of the item `{}` contradicts itself: its recovery is not (metric − corrupt) / (clean − corrupt)",
        pair.item
    )))
}

/// Chooses the cell inside the model at which the decision arrives on one half of the groups.
pub(super) fn peak<'a>(view: &View<'a>, mode: PatchMode) -> Result<Peak<'a>, Absent> {
    let map = map_of(view, mode)?;
    let found = evidence::peak(map).map_err(|none| {
        Absent::unknown(match none {
            NoPeak::OneGroup => {
                "all patched pairs are of one group: a cell cannot be chosen and measured on different ones"
            }
            NoPeak::NoEffect => {
                "the patching map has no row behind the first block's input with a defined effect"
            }
        })
    })?;
    Ok(Peak {
        map,
        cell: found.cell,
        estimate_on: found.estimate_on,
        changed: view.pairs().map_or(0, |pairs| changed(&pairs.pairs)),
    })
}

impl Peak<'_> {
    /// The mean effect over a cell on the half that had no say in the choice; `None` if no pair has such a cell.
    pub fn estimate(&self, cell: MapCell) -> Result<Option<Measurement>, Absent> {
        let effects = self.map.effects(cell, &self.estimate_on);
        if effects.is_empty() {
            return Ok(None);
        }
        Ok(Some(mean_of_groups(&effects)?))
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
            named(self.cell.class),
            self.changed.max(used + self.map.refused.len())
        )
    }
}

fn named(class: PositionClass) -> &'static str {
    match class {
        PositionClass::Differing => "the differing positions",
        PositionClass::Last => "the answer's position",
        PositionClass::Elsewhere => "the other positions",
    }
}
