//! Patching maps, summed up by where in the prompt a position lies.

use super::{ExhibitContext, MapExample, MapExhibit, PositionClass, shuffled};
use crate::evidence::{Evidence, PairMap, PatchMap};
use crate::fault::Result;
use crate::stats::{Estimate, clustered_bootstrap, mean};

const COLUMNS: [PositionClass; 3] = [
    PositionClass::Differing,
    PositionClass::Elsewhere,
    PositionClass::Last,
];

pub(super) fn maps(evidence: &Evidence, context: &ExhibitContext) -> Result<Vec<MapExhibit>> {
    evidence.maps.iter().map(|map| one(map, context)).collect()
}

fn one(map: &PatchMap, context: &ExhibitContext) -> Result<MapExhibit> {
    let cells = (0..map.sites.len())
        .map(|row| {
            COLUMNS
                .iter()
                .map(|class| cell(map, row, *class, context))
                .collect::<Result<Vec<_>>>()
        })
        .collect::<Result<Vec<_>>>()?;
    let order = shuffled(
        map.pairs.iter().collect(),
        |pair| pair.item.clone(),
        context.seed,
    );
    Ok(MapExhibit {
        suite: map.suite.clone(),
        mode: map.mode,
        sites: map.sites.iter().map(ToString::to_string).collect(),
        columns: COLUMNS.to_vec(),
        cells,
        self_patch: map.pairs.iter().map(|p| p.self_patch).fold(0.0, f64::max),
        pairs: map.pairs.len(),
        refused: map.refused.clone(),
        example: order.first().map(|pair| example(pair)),
    })
}

/// The mean over pairs of each pair's mean over its positions of that class.
fn cell(
    map: &PatchMap,
    row: usize,
    class: PositionClass,
    context: &ExhibitContext,
) -> Result<Option<Estimate>> {
    let values: Vec<(&str, f64)> = map
        .pairs
        .iter()
        .filter_map(|pair| {
            let inside: Vec<f64> = pair
                .recovery
                .indexed_iter()
                .filter(|((site, position), value)| {
                    *site == row && value.is_finite() && class_of(pair, *position) == class
                })
                .map(|(_, value)| *value)
                .collect();
            Some((pair.group.as_str(), mean(&inside)?))
        })
        .collect();
    if values.is_empty() {
        return Ok(None);
    }
    clustered_bootstrap(&values, context.resamples, context.seed).map(Some)
}

/// The last position counts as last even where the prompts differ there.
pub(super) fn class_of(pair: &PairMap, position: usize) -> PositionClass {
    if position == pair.last {
        PositionClass::Last
    } else if pair.differing.contains(&position) {
        PositionClass::Differing
    } else {
        PositionClass::Elsewhere
    }
}

fn example(pair: &PairMap) -> MapExample {
    MapExample {
        item: pair.item.clone(),
        counterpart: pair.counterpart.clone(),
        clean_tokens: pair.clean_tokens.clone(),
        corrupt_tokens: pair.corrupt_tokens.clone(),
        answer: pair.answer.clone(),
        foil: pair.foil.clone(),
        clean: pair.clean,
        corrupt: pair.corrupt,
        recovery: pair.recovery.outer_iter().map(|row| row.to_vec()).collect(),
        differing: pair.differing.clone(),
        last: pair.last,
    }
}
