//! What a sweep found, as the file has it.

use ndarray::Array2;
use serde::Serialize;

use super::{Dose, PatchRequest};
use crate::causal::{CellMap, Pair, Summary, controls, summarise};
use crate::fault::Result;
use crate::stats::{Estimate, mean};

type Cells = Vec<Vec<f64>>;

/// What was found at one scale.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The scale of an intervention that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f32>,
    /// The one pair, or the mean over several; absent where pairs have different columns.
    #[serde(flatten)]
    pub map: Option<Map>,
    /// 95 % intervals over several pairs, bootstrapped over their groups; null where an end has no known bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intervals: Option<Intervals>,
    /// Random edits as long as the real ones and orthogonal to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random: Option<Random>,
    /// Each of several pairs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<PairEntry>,
    /// Pairs that were not used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
}

/// A map.
#[derive(Debug, Clone, Serialize)]
pub struct Map {
    /// Tokens of the clean prompt; empty for several pairs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clean_tokens: Vec<String>,
    /// Tokens of the corrupt prompt; empty for several pairs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub corrupt_tokens: Vec<String>,
    /// The answer, where the metric reads one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub answer: String,
    /// The foil, where the metric reads one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub foil: String,
    /// The metric of the clean run.
    pub clean: f64,
    /// The metric of the corrupt run.
    pub corrupt: f64,
    /// The metric after each edit.
    pub metric: Cells,
    /// `(metric − corrupt)/(clean − corrupt)`, unclipped; null for a metric without one, and for an ablation where the two runs
    /// hardly differ.
    pub recovery: Option<Cells>,
    /// Largest absolute change when a run's own activations are written back.
    pub self_patch: f64,
    /// Recovery when every position of a site is patched at once; null off the stream, where it need not be all.
    pub whole: Vec<Option<f64>>,
}

/// Ends of 95 % intervals.
#[derive(Debug, Clone, Serialize)]
pub struct Intervals {
    /// Pairs.
    pub n: usize,
    /// Groups among them.
    pub groups: usize,
    /// Lower ends of `metric`.
    pub metric_low: Cells,
    /// Upper ends of `metric`.
    pub metric_high: Cells,
    /// Lower ends of `recovery`.
    pub recovery_low: Option<Cells>,
    /// Upper ends of `recovery`.
    pub recovery_high: Option<Cells>,
}

/// The random control.
#[derive(Debug, Clone, Serialize)]
pub struct Random {
    /// Random edits of each cell.
    pub n: usize,
    /// How often one of them changes the metric as far as the real edit, (1 + those)/(1 + n); null where the real edit changes
    /// nothing.
    pub p: Vec<Vec<Option<f64>>>,
    /// The same against the largest change in the whole map under the same draw: for a cell that was picked out of it.
    pub p_of_map: Vec<Vec<Option<f64>>>,
    /// Root mean square of their changes of the metric.
    pub change: Cells,
}

/// One of several pairs.
#[derive(Debug, Clone, Serialize)]
pub struct PairEntry {
    /// The pair's id.
    pub id: String,
    /// Its group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The positions or heads that its columns are.
    pub columns: Vec<usize>,
    /// Its map.
    #[serde(flatten)]
    pub map: Map,
}

/// A pair that was not used.
#[derive(Debug, Clone, Serialize)]
pub struct Refused {
    /// Which.
    pub what: String,
    /// Why.
    pub why: String,
}

impl Found {
    pub(super) fn of(request: &PatchRequest<'_>, dose: &Dose) -> Result<Self> {
        let maps = &dose.swept.pairs;
        let pair = |map: &CellMap| request.pairs.get(map.pair);
        let alike = maps.windows(2).all(|two| two[0].columns == two[1].columns);
        let summary = match maps.as_slice() {
            [_] => None,
            _ if !alike => None,
            _ => Some(summarise(maps, request.pairs, request.seed)?),
        };
        let refused = dose.swept.refused.iter().map(|refused| Refused {
            what: refused.what.clone(),
            why: refused.why.clone(),
        });
        let entries = |map: &CellMap| {
            let pair = pair(map)?;
            Some(PairEntry {
                id: pair.item.clone(),
                group: pair.group.clone(),
                columns: map.columns.clone(),
                map: Map::of(map, pair),
            })
        };
        let map = match (maps.as_slice(), &summary) {
            ([only], _) => pair(only).map(|pair| Map::of(only, pair)),
            (_, Some(summary)) => Some(Map::mean(summary, maps)),
            (_, None) => None,
        };
        Ok(Self {
            scale: dose.scale,
            map,
            intervals: summary.as_ref().map(Intervals::of),
            random: controls(maps, request.mode).map(|controls| Random {
                n: request.controls,
                p: defined(&controls.p),
                p_of_map: defined(&controls.p_of_map),
                change: rows(&controls.random),
            }),
            pairs: if maps.len() > 1 {
                maps.iter().filter_map(entries).collect()
            } else {
                Vec::new()
            },
            refused: refused.collect(),
        })
    }
}

impl Map {
    fn of(map: &CellMap, pair: &Pair) -> Self {
        Self {
            clean_tokens: pair.clean.tokens.clone(),
            corrupt_tokens: pair.corrupt.tokens.clone(),
            answer: pair.answer_text.clone(),
            foil: pair.foil_text.clone(),
            clean: map.clean,
            corrupt: map.corrupt,
            metric: rows(&map.metric),
            recovery: map.recovery.as_ref().map(rows),
            self_patch: map.self_patch,
            whole: map.whole.clone(),
        }
    }

    fn mean(summary: &Summary, maps: &[CellMap]) -> Self {
        let n = summary.metric.len();
        let whole = |row: usize| -> Option<f64> {
            let values: Option<Vec<f64>> = maps
                .iter()
                .map(|map| map.whole.get(row).copied().flatten())
                .collect();
            mean(&values?)
        };
        Self {
            clean_tokens: Vec::new(),
            corrupt_tokens: Vec::new(),
            answer: String::new(),
            foil: String::new(),
            clean: summary.clean.point,
            corrupt: summary.corrupt.point,
            metric: cells(&summary.metric, |one| one.point),
            recovery: summary
                .recovery
                .as_ref()
                .map(|recovery| cells(recovery, |one| one.point)),
            self_patch: maps.iter().map(|map| map.self_patch).fold(0.0, f64::max),
            whole: (0..n).map(whole).collect(),
        }
    }
}

impl Intervals {
    fn of(summary: &Summary) -> Self {
        let recovery = |end: fn(&Estimate) -> f64| {
            let recovery = summary.recovery.as_ref();
            recovery.map(|recovery| cells(recovery, end))
        };
        Self {
            n: summary.clean.n,
            groups: summary.clean.clusters,
            metric_low: cells(&summary.metric, |one| one.low),
            metric_high: cells(&summary.metric, |one| one.high),
            recovery_low: recovery(|one| one.low),
            recovery_high: recovery(|one| one.high),
        }
    }
}

fn rows(grid: &Array2<f64>) -> Cells {
    grid.outer_iter().map(|row| row.to_vec()).collect()
}

fn cells(grid: &[Vec<Estimate>], of: impl Fn(&Estimate) -> f64) -> Cells {
    grid.iter()
        .map(|row| row.iter().map(&of).collect())
        .collect()
}

fn defined(grid: &Array2<f64>) -> Vec<Vec<Option<f64>>> {
    let one = |value: &f64| (!value.is_nan()).then_some(*value);
    let rows = grid.outer_iter();
    rows.map(|row| row.iter().map(one).collect()).collect()
}
