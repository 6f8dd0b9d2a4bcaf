//! Patching maps, summed up by where in the prompt a position lies.

use super::{ExhibitContext, MapExample, MapExhibit, PositionClass, shuffled};
use crate::evidence::{Evidence, MapCell, PairMap, PatchMap};
use crate::fault::Result;
use crate::stats::{Estimate, clustered_mean};

pub(super) fn maps(evidence: &Evidence, context: &ExhibitContext) -> Result<Vec<MapExhibit>> {
    evidence.maps.iter().map(|map| one(map, context)).collect()
}

fn one(map: &PatchMap, context: &ExhibitContext) -> Result<MapExhibit> {
    let cells = (0..map.sites.len())
        .map(|row| {
            PositionClass::ALL
                .iter()
                .map(|class| cell(map, row, *class))
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
        columns: PositionClass::ALL.to_vec(),
        cells,
        self_patch: map.pairs.iter().map(|p| p.self_patch).fold(0.0, f64::max),
        pairs: map.pairs.len(),
        refused: map.refused.clone(),
        example: order.first().map(|pair| example(pair)),
    })
}

/// The mean over pairs when all positions of that class are patched at once.
fn cell(map: &PatchMap, site: usize, class: PositionClass) -> Result<Option<Estimate>> {
    let values: Vec<(&str, f64)> = map
        .pairs
        .iter()
        .filter_map(|pair| {
            let recovery = pair.recovery_of(MapCell { site, class })?;
            recovery
                .is_finite()
                .then_some((pair.group.as_str(), recovery))
        })
        .collect();
    if values.is_empty() {
        return Ok(None);
    }
    clustered_mean(&values).map(Some)
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
