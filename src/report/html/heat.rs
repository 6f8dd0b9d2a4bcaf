//! Patching maps as tables whose cells are coloured and hold their value.

use super::counted;
use super::strips::{Shade, visible};
use crate::evidence::PatchMode;
use crate::report::{MapExample, MapExhibit, PositionClass, words};
use crate::stats::Estimate;

pub(super) struct MapView<'a> {
    pub map: &'a MapExhibit,
    pub mode: &'static str,
    pub meaning: &'static str,
    /// Labels of the colour scale: its negative end, its middle, its positive end.
    pub scale: [&'static str; 3],
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
    /// What is read out of the cell: the place and the value in full.
    pub readout: String,
    pub shade: Shade,
}

pub(super) struct ExampleView<'a> {
    pub example: &'a MapExample,
    pub clean: String,
    pub corrupt: String,
    pub columns: Vec<ColumnView>,
    pub rows: Vec<RowView>,
}

pub(super) struct ColumnView {
    pub token: String,
    /// The counterpart's token, where it differs.
    pub counterpart: Option<String>,
    pub last: bool,
}

impl<'a> MapView<'a> {
    pub fn of(map: &'a MapExhibit) -> Self {
        let (mode, meaning, scale) = match map.mode {
            PatchMode::Denoising => (
                "Denoising",
                "Activations of the baseline prompt are written into the run on the tested prompt: is this place enough to bring the baseline answer back?",
                ["−1", "0 no effect", "1 answer is back"],
            ),
            PatchMode::Noising => (
                "Noising",
                "Activations of the tested prompt are written into the run on the baseline prompt: is this place needed for the baseline answer?",
                ["0 answer is lost", "1 no effect", "2"],
            ),
        };
        let columns: Vec<_> = map.columns.iter().map(|class| column(*class)).collect();
        let rows = map.sites.iter().zip(&map.cells);
        Self {
            mode,
            meaning,
            scale,
            pairs: counted(map.pairs, "pair", "pairs"),
            self_patch: words::number(map.self_patch),
            rows: rows
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
        let columns: Vec<_> = example
            .corrupt_tokens
            .iter()
            .enumerate()
            .map(|(at, token)| ColumnView {
                token: visible(token),
                counterpart: example
                    .clean_tokens
                    .get(at)
                    .filter(|clean| *clean != token)
                    .map(|clean| visible(clean)),
                last: at == example.last,
            })
            .collect();
        let rows = map.sites.iter().zip(&example.recovery);
        Self {
            clean: words::short(example.clean),
            corrupt: words::short(example.corrupt),
            rows: rows
                .map(|(site, values)| RowView {
                    site: site.clone(),
                    short: short_site(site),
                    cells: values
                        .iter()
                        .zip(&columns)
                        .map(|(value, column)| CellView {
                            value: Some(words::short(*value)),
                            readout: format!(
                                "{site} at “{}”: recovery {}",
                                column.token,
                                words::number(*value)
                            ),
                            shade: shade(map.mode, *value),
                        })
                        .collect(),
                })
                .collect(),
            columns,
            example,
        }
    }
}

fn mean_cell(mode: PatchMode, site: &str, column: &str, cell: Option<&Estimate>) -> CellView {
    let Some(estimate) = cell else {
        return CellView {
            value: None,
            readout: format!("{site} at {column}: no such position"),
            shade: Shade::of(0.0),
        };
    };
    CellView {
        value: Some(words::short(estimate.point)),
        readout: format!(
            "{site} at {column}: recovery {}, 95 % interval {} over {} in {}",
            words::number(estimate.point),
            words::interval(estimate),
            counted(estimate.n, "pair", "pairs"),
            counted(estimate.clusters, "group", "groups"),
        ),
        shade: shade(mode, estimate.point),
    }
}

/// The middle of the scale is "no effect": 0 when an answer could be brought back, 1 when one could be lost.
fn shade(mode: PatchMode, recovery: f64) -> Shade {
    match mode {
        PatchMode::Denoising => Shade::of(recovery),
        PatchMode::Noising => Shade::of(recovery - 1.0),
    }
}

fn column(class: PositionClass) -> &'static str {
    match class {
        PositionClass::Differing => "differing token",
        PositionClass::Elsewhere => "elsewhere",
        PositionClass::Last => "last token",
    }
}

/// `L3 resid_post` for `blocks.3.hook_resid_post`.
fn short_site(site: &str) -> String {
    let Some((layer, hook)) = site
        .strip_prefix("blocks.")
        .and_then(|rest| rest.split_once('.'))
    else {
        return site.to_owned();
    };
    format!("L{layer} {}", hook.strip_prefix("hook_").unwrap_or(hook))
}
