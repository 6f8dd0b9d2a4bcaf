//! Where an effect travels: the strongest place of each layer, as a path from the tokens that differ to the answer's position.
//!
//! This is read off patching maps. It is no circuit: no connection between components was tested.

use super::chart::percent;
use crate::evidence::PatchMode;
use crate::report::{MapExhibit, PositionClass, words};

/// Places with less of the effect than this carry no path.
const CARRIES: f64 = 0.1;

/// Room for a layer, in pixels, where there are few and where there are many.
const ROOMY: usize = 26;
const TIGHT: usize = 13;

/// More layers than this are drawn tight.
const FEW: usize = 16;

pub(super) struct PathView {
    pub suite: String,
    /// Where each column lies, and what it is called.
    pub columns: Vec<(String, &'static str)>,
    pub steps: Vec<Step>,
    pub links: Vec<Link>,
    pub height: usize,
    /// What the two numbers beside a layer are.
    pub modes: String,
    /// The drawing in words.
    pub label: String,
}

pub(super) struct Step {
    pub site: String,
    /// `None` where no place carries the effect.
    pub x: Option<String>,
    pub y: usize,
    pub text_y: usize,
    pub radius: String,
    /// The effects there, each with its mode.
    pub said: String,
}

pub(super) struct Link {
    pub from: (String, usize),
    pub to: (String, usize),
}

/// One drawing for the maps of one suite over the same sites.
pub(super) fn paths(maps: &[MapExhibit]) -> Vec<PathView> {
    maps.chunk_by(|a, b| (&a.suite, &a.sites) == (&b.suite, &b.sites))
        .filter_map(path)
        .collect()
}

fn path(maps: &[MapExhibit]) -> Option<PathView> {
    let first = maps.first()?;
    let layers = first.sites.len();
    let room = if layers <= FEW { ROOMY } else { TIGHT };
    let columns: Vec<(String, &'static str)> = first
        .columns
        .iter()
        .enumerate()
        .map(|(at, class)| (place(at, first.columns.len()), name(*class)))
        .collect();
    let mut steps = Vec::new();
    let mut links: Vec<Link> = Vec::new();
    let mut told = Vec::new();
    let mut earlier: Option<(String, usize)> = None;
    for (row, site) in first.sites.iter().enumerate() {
        let y = (layers - row) * room - room / 2;
        let strongest = strongest(maps, row);
        let x = strongest
            .as_ref()
            .and_then(|found| columns.get(found.column))
            .map(|(x, _)| x.clone());
        if let Some(x) = &x {
            if let Some(from) = earlier.take() {
                links.push(Link {
                    from,
                    to: (x.clone(), y),
                });
            }
            earlier = Some((x.clone(), y));
        }
        let short = super::heat::short_site(site);
        let said = strongest.as_ref().map_or_else(
            || "–".to_owned(),
            |found| listed(found.effects.iter().map(|effect| words::short(*effect))),
        );
        let at = strongest
            .as_ref()
            .and_then(|found| columns.get(found.column))
            .map_or_else(String::new, |(_, name)| format!(" at {name}"));
        told.push(format!("{short}: {said}{at}"));
        let size = strongest.map_or(0.0, |found| found.weakest.clamp(0.0, 1.0));
        steps.push(Step {
            site: short,
            x,
            y,
            text_y: y + 4,
            radius: format!("{:.1}", 2.0 + 4.0 * size),
            said,
        });
    }
    let modes = listed(maps.iter().map(|map| match map.mode {
        PatchMode::Denoising => "restores".to_owned(),
        PatchMode::Noising => "removes".to_owned(),
    }));
    Some(PathView {
        suite: first.suite.clone(),
        columns,
        steps,
        links,
        height: layers * room,
        label: format!("{modes}, from the input up: {}", told.join("; ")),
        modes,
    })
}

struct Strongest {
    column: usize,
    /// The smaller of the modes' effects: a place that is enough but not needed is not where the effect passes.
    weakest: f64,
    effects: Vec<f64>,
}

fn strongest(maps: &[MapExhibit], row: usize) -> Option<Strongest> {
    let columns = maps.first()?.columns.len();
    (0..columns)
        .filter_map(|column| {
            let effects: Vec<f64> = maps
                .iter()
                .map(|map| {
                    let cell = map.cells.get(row)?.get(column)?.as_ref()?;
                    Some(map.mode.effect(cell.point))
                })
                .collect::<Option<_>>()?;
            let weakest = effects.iter().copied().fold(f64::INFINITY, f64::min);
            Some(Strongest {
                column,
                weakest,
                effects,
            })
        })
        .filter(|found| found.weakest >= CARRIES)
        .max_by(|a, b| a.weakest.total_cmp(&b.weakest))
}

fn listed(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" · ")
}

fn name(class: PositionClass) -> &'static str {
    match class {
        PositionClass::Differing => "differing",
        PositionClass::Elsewhere => "others",
        PositionClass::Last => "answer",
    }
}

/// The middle of a column.
#[allow(clippy::cast_precision_loss, reason = "there are three columns")]
fn place(at: usize, of: usize) -> String {
    percent(100.0 * (at as f64 + 0.5) / of as f64)
}
