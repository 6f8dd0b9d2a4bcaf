//! What the maps of many pairs say together: means with intervals over groups, and p-values against random edits.

use ndarray::{Array2, ArrayView1, Axis};

use super::pair::Pair;
use super::sweep::CellMap;
use crate::evidence::PatchMode;
use crate::fault::{Fault, Result};
use crate::stats::{Estimate, clustered_bootstrap, empirical_p};

/// Resamples of every interval.
const RESAMPLES: usize = 2000;

/// The mean map of several pairs.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The metric of the clean runs.
    pub clean: Estimate,
    /// The metric of the corrupt runs.
    pub corrupt: Estimate,
    /// The metric after each edit, `[row][column]`.
    pub metric: Vec<Vec<Estimate>>,
    /// Recovery, where every pair has one.
    pub recovery: Option<Vec<Vec<Estimate>>>,
}

/// Means over pairs with 95 % intervals, bootstrapped over the pairs' groups; pairs without a group are groups of their own.
///
/// # Errors
/// No map, or maps whose columns differ: positions of prompts of different lengths are not one another's.
pub fn summarise(maps: &[CellMap], pairs: &[Pair], seed: u64) -> Result<Summary> {
    let doing = "averaging patching maps";
    let first = maps
        .first()
        .ok_or_else(|| Fault::no_inputs(doing, "no pair"))?;
    if let Some(other) = maps.iter().find(|map| map.columns != first.columns) {
        let name = |map: &CellMap| pairs.get(map.pair).map_or("", |pair| pair.item.as_str());
        return Err(Fault::usage(
            doing,
            format!(
                "{} positions in `{}` and {} in `{}`",
                first.columns.len(),
                name(first),
                other.columns.len(),
                name(other)
            ),
        )
        .expected("the same positions in every pair"));
    }
    let clusters: Vec<String> = maps.iter().map(|map| cluster(map, pairs)).collect();
    let estimate = |values: &dyn Fn(&CellMap) -> f64| {
        let values: Vec<(&str, f64)> = clusters
            .iter()
            .zip(maps)
            .map(|(cluster, map)| (cluster.as_str(), values(map)))
            .collect();
        clustered_bootstrap(&values, RESAMPLES, seed)
    };
    let (rows, columns) = first.metric.dim();
    let grid = |value: &dyn Fn(&CellMap, [usize; 2]) -> f64| -> Result<Vec<Vec<Estimate>>> {
        (0..rows)
            .map(|row| {
                (0..columns)
                    .map(|column| estimate(&|map: &CellMap| value(map, [row, column])))
                    .collect()
            })
            .collect()
    };
    let recovery = if maps.iter().any(|map| map.recovery.is_none()) {
        None
    } else {
        Some(grid(&|map, at| {
            let recovery = map.recovery.as_ref();
            recovery
                .and_then(|recovery| recovery.get(at))
                .copied()
                .unwrap_or(f64::NAN)
        })?)
    };
    Ok(Summary {
        clean: estimate(&|map| map.clean)?,
        corrupt: estimate(&|map| map.corrupt)?,
        metric: grid(&|map, at| map.metric[at])?,
        recovery,
    })
}

fn cluster(map: &CellMap, pairs: &[Pair]) -> String {
    let group = pairs.get(map.pair).map_or("", |pair| pair.group.as_str());
    if group.is_empty() {
        format!("\u{0}{}", map.pair)
    } else {
        group.to_owned()
    }
}

/// How a map compares with its random edits.
#[derive(Debug, Clone, PartialEq)]
pub struct Controls {
    /// For each cell, how often a random edit of that cell moves the metric as far as the real one: the empirical p-value of
    /// the mean change over pairs. NaN where the real edit changes nothing in any pair.
    pub p: Array2<f64>,
    /// The same against the largest change of any cell under the same draw: the p-value of a cell that was picked out of
    /// the whole map.
    pub p_of_map: Array2<f64>,
    /// Root mean square of the random edits' changes, by cell.
    pub random: Array2<f64>,
}

/// Compares the mean change over pairs with that of random edits. `None` without controls or where the maps differ in size.
#[must_use]
pub fn controls(maps: &[CellMap], mode: PatchMode) -> Option<Controls> {
    let first = maps.first()?;
    let (rows, columns, draws) = first.random.dim();
    if draws == 0
        || maps
            .iter()
            .any(|map| map.random.dim() != first.random.dim())
    {
        return None;
    }
    #[allow(clippy::cast_precision_loss, reason = "a count of pairs")]
    let n = maps.len() as f64;
    let mut effect = Array2::<f64>::zeros((rows, columns));
    let mut random = ndarray::Array3::<f64>::zeros((rows, columns, draws));
    let mut changed = Array2::from_elem((rows, columns), false);
    for map in maps {
        let untouched = map.untouched(mode);
        effect += &map.metric.mapv(|value| (value - untouched) / n);
        for (at, value) in map
            .random
            .indexed_iter()
            .filter(|(_, value)| !value.is_nan())
        {
            // Where the real edit changes nothing, its control changes nothing either.
            random[at] += (value - untouched) / n;
            changed[[at.0, at.1]] = true;
        }
    }
    let random = random.mapv(f64::abs);
    let largest: Vec<f64> = random
        .axis_iter(Axis(2))
        .map(|draw| draw.iter().copied().fold(0.0, f64::max))
        .collect();
    let of_cell =
        |at: (usize, usize)| -> Vec<f64> { random.slice(ndarray::s![at.0, at.1, ..]).to_vec() };
    let p = |at: (usize, usize), against: &[f64]| {
        if changed[at] {
            empirical_p(effect[at].abs(), against)
        } else {
            f64::NAN
        }
    };
    Some(Controls {
        p: Array2::from_shape_fn((rows, columns), |at| p(at, &of_cell(at))),
        p_of_map: Array2::from_shape_fn((rows, columns), |at| p(at, &largest)),
        random: Array2::from_shape_fn((rows, columns), |at| {
            root_mean_square(random.slice(ndarray::s![at.0, at.1, ..]))
        }),
    })
}

fn root_mean_square(values: ArrayView1<f64>) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a count of random edits")]
    let n = values.len().max(1) as f64;
    (values.dot(&values) / n).sqrt()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use ndarray::{Array3, array};

    use super::*;

    fn map(metric: Array2<f64>, random: Array3<f64>) -> CellMap {
        CellMap {
            pair: 0,
            columns: (0..metric.ncols()).collect(),
            at: vec![0],
            clean: 5.0,
            corrupt: 1.0,
            recovery: Some(metric.mapv(|value| (value - 1.0) / 4.0)),
            metric,
            random,
            self_patch: 0.0,
            whole: Vec::new(),
            by_class: Vec::new(),
        }
    }

    #[test]
    fn p_values_are_those_counted_by_hand() {
        // Changes from the corrupt run's 1: real 2 and −0.5; random 1, −3, 0.5 and 0.25, −0.25, 0.75.
        let random = array![[[2.0, -2.0, 1.5], [1.25, 0.75, 1.75]]];
        let one = map(array![[3.0, 0.5]], random);
        let found = controls(&[one], PatchMode::Denoising).unwrap();
        assert_eq!(found.p, array![[0.5, 0.5]]);
        // The largest of each draw: 1, 3 and 0.75.
        assert_eq!(found.p_of_map, array![[0.5, 1.0]]);
        let mean_square: f64 = (1.0 + 9.0 + 0.25) / 3.0;
        assert!((found.random[[0, 0]] - mean_square.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_cell_that_nothing_changes_has_no_p_value_and_draws_cancel_over_pairs() {
        let nothing = f64::NAN;
        let first = map(array![[3.0, 1.0]], array![[[3.0, 1.5], [nothing, nothing]]]);
        let second = map(
            array![[3.0, 1.0]],
            array![[[-1.0, 1.5], [nothing, nothing]]],
        );
        let found = controls(&[first, second], PatchMode::Denoising).unwrap();
        // Draws change the two pairs by 2 and −2, and by 0.5 and 0.5: in the mean by 0 and 0.5, the real edit by 2.
        assert!((found.p[[0, 0]] - 1.0 / 3.0).abs() < 1e-12);
        assert!(found.p[[0, 1]].is_nan() && found.p_of_map[[0, 1]].is_nan());
        let untouched_by_any = map(array![[1.0]], Array3::zeros((1, 1, 0)));
        assert!(controls(&[untouched_by_any], PatchMode::Denoising).is_none());
    }

    #[test]
    fn means_are_clustered_and_positions_are_not_mixed() {
        let values = [2.0, 4.0, 6.0, 8.0, 3.0, 5.0];
        let maps: Vec<CellMap> = values
            .iter()
            .zip(0..)
            .map(|(value, pair)| CellMap {
                pair,
                ..map(array![[*value]], Array3::zeros((1, 1, 0)))
            })
            .collect();
        let found = summarise(&maps, &[], 1).unwrap();
        let cell = found.metric[0][0];
        assert!((cell.point - 28.0 / 6.0).abs() < 1e-12);
        assert!(cell.low < cell.point && cell.point < cell.high);
        assert_eq!((cell.n, cell.clusters), (6, 6));
        let recovery = found.recovery.unwrap()[0][0];
        assert!((recovery.point - (28.0 / 6.0 - 1.0) / 4.0).abs() < 1e-12);
        let wider = map(array![[1.0, 2.0]], Array3::zeros((1, 2, 0)));
        let mixed = [maps[0].clone(), wider];
        assert!(summarise(&mixed, &[], 1).is_err());
        assert!(summarise(&[], &[], 1).is_err());
    }
}
