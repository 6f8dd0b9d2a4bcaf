//! Patching maps as tables whose cells are coloured and hold their value.

use super::strips::{Shade, visible};
use crate::evidence::PatchMode;
use crate::report::counted;
use crate::report::{MapExample, MapExhibit, PositionClass, words};
use crate::stats::Estimate;

pub(super) struct MapView<'a> {
    pub map: &'a MapExhibit,
    pub mode: &'static str,
    pub meaning: &'static str,
    pub pairs: String,
    pub self_patch: String,
    pub columns: Vec<&'static str>,
    pub rows: Vec<RowView>,
    pub example: Option<ExampleView<'a>>,
}

pub(super) struct RowView {
    pub site: String,
    pub short: String,
    pub cells: Vec<CellView>,
}

pub(super) struct CellView {
    /// `None` where no pair has such a position.
    pub value: Option<String>,
    /// The place and the value in full; `None` where the value and the headers say all there is, as the script then does.
    pub readout: Option<String>,
    pub shade: Shade,
}

pub(super) struct ExampleView<'a> {
    pub example: &'a MapExample,
    pub clean: String,
    pub corrupt: String,
    pub columns: Vec<ColumnView>,
    /// Positions without a column.
    pub left_out: usize,
    pub rows: Vec<RowView>,
}

/// Positions of one pair that have a column: a longer prompt shows those that matter.
const MOST_COLUMNS: usize = 32;

pub(super) struct ColumnView {
    pub token: String,
    /// The counterpart's token, where it differs.
    pub counterpart: Option<String>,
    pub last: bool,
}

impl<'a> MapView<'a> {
    pub fn of(map: &'a MapExhibit) -> Self {
        let (mode, meaning) = match map.mode {
            PatchMode::Denoising => (
                "Denoising",
                "Activations of the baseline prompt are written into the run on the tested prompt: is this place enough to bring the baseline's answer back?",
            ),
            PatchMode::Noising => (
                "Noising",
                "Activations of the tested prompt are written into the run on the baseline prompt: is this place needed for the baseline's answer?",
            ),
        };
        let columns: Vec<_> = map.columns.iter().map(|class| column(*class)).collect();
        let rows = map.sites.iter().zip(&map.cells);
        Self {
            mode,
            meaning,
            pairs: counted(map.pairs, "pair", "pairs"),
            self_patch: words::number(map.self_patch),
            rows: rows
                .rev()
                .map(|(site, cells)| RowView {
                    site: site.clone(),
                    short: short_site(site),
                    cells: cells
                        .iter()
                        .zip(&columns)
                        .map(|(cell, column)| mean_cell(map.mode, site, column, cell.as_ref()))
                        .collect(),
                })
                .collect(),
            columns,
            example: map
                .example
                .as_ref()
                .map(|example| ExampleView::of(map, example)),
            map,
        }
    }
}

impl<'a> ExampleView<'a> {
    fn of(map: &MapExhibit, example: &'a MapExample) -> Self {
        let shown = shown(map.mode, example);
        let columns: Vec<_> = shown
            .iter()
            .filter_map(|at| Some((at, example.corrupt_tokens.get(*at)?)))
            .map(|(at, token)| ColumnView {
                token: visible(token),
                counterpart: example
                    .clean_tokens
                    .get(*at)
                    .filter(|clean| *clean != token)
                    .map(|clean| visible(clean)),
                last: *at == example.last,
            })
            .collect();
        let rows = map.sites.iter().zip(&example.recovery);
        Self {
            clean: words::short(example.clean),
            corrupt: words::short(example.corrupt),
            left_out: example.corrupt_tokens.len() - columns.len(),
            rows: rows
                .rev()
                .map(|(site, values)| RowView {
                    site: site.clone(),
                    short: short_site(site),
                    cells: shown
                        .iter()
                        .filter_map(|at| values.get(*at))
                        .map(|recovery| {
                            let effect = map.mode.effect(*recovery);
                            CellView {
                                value: Some(words::short(effect)),
                                readout: None,
                                shade: Shade::of(effect),
                            }
                        })
                        .collect(),
                })
                .collect(),
            columns,
            example,
        }
    }
}

/// All positions of a short prompt. Of a longer one the answer's, those that differ, and then those with the largest effect of any site.
fn shown(mode: PatchMode, example: &MapExample) -> Vec<usize> {
    let all = example.corrupt_tokens.len();
    let largest = |at: usize| {
        let column = example.recovery.iter().filter_map(|row| row.get(at));
        column
            .map(|recovery| mode.effect(*recovery).abs())
            .fold(0.0, f64::max)
    };
    let mut ranked: Vec<(bool, f64, usize)> = (0..all)
        .map(|at| {
            let named = at == example.last || example.differing.contains(&at);
            (named, largest(at), at)
        })
        .collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
    ranked.truncate(MOST_COLUMNS);
    let mut shown: Vec<usize> = ranked.into_iter().map(|(_, _, at)| at).collect();
    shown.sort_unstable();
    shown
}

fn mean_cell(mode: PatchMode, site: &str, column: &str, cell: Option<&Estimate>) -> CellView {
    let Some(recovery) = cell else {
        return CellView {
            value: None,
            readout: Some(format!("{site} at {column}: no such position")),
            shade: Shade::of(0.0),
        };
    };
    let ends = [mode.effect(recovery.low), mode.effect(recovery.high)];
    let effect = Estimate {
        point: mode.effect(recovery.point),
        low: ends[0].min(ends[1]),
        high: ends[0].max(ends[1]),
        ..*recovery
    };
    CellView {
        value: Some(words::short(effect.point)),
        readout: Some(format!(
            "{site} at {column}: effect {}, 95 % interval {} over {} in {}",
            words::number(effect.point),
            words::interval(&effect),
            counted(effect.n, "pair", "pairs"),
            counted(effect.clusters, "group", "groups"),
        )),
        shade: Shade::of(effect.point),
    }
}

fn column(class: PositionClass) -> &'static str {
    match class {
        PositionClass::Differing => "differing tokens",
        PositionClass::Elsewhere => "other tokens",
        PositionClass::Last => "answer's position",
    }
}

/// `L3 resid_post` for `blocks.3.hook_resid_post`.
pub(super) fn short_site(site: &str) -> String {
    let Some((layer, hook)) = site
        .strip_prefix("blocks.")
        .and_then(|rest| rest.split_once('.'))
    else {
        return site.to_owned();
    };
    format!("L{layer} {}", hook.strip_prefix("hook_").unwrap_or(hook))
}
