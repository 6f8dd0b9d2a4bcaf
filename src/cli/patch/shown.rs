//! What `candor patch` says: its map in the terminal, and a line.

use std::path::Path;

use unicode_width::UnicodeWidthStr as _;

use super::super::inspect::paint::{Line, Surface, Tone, shortened};
use super::super::terminal;
use crate::evidence::PatchMode;
use crate::lab::{Map, PatchFile, PatchRequest};
use crate::report::counted;

/// Longer maps are not shown.
const ROWS: usize = 60;
/// The least and the most columns of a cell: tokens stand above the numbers.
const CELL: (usize, usize) = (6, 10);
/// Room for the names of rows.
const NAMES: usize = 30;
/// From this share of the whole effect on a cell stands out, below that one it steps back.
const STRONG: f64 = 0.5;
const WEAK: f64 = 0.05;

/// Shows a map, if it is not too long: recoveries where the metric has one.
pub fn map(file: &PatchFile, mode: PatchMode) {
    let Some(map) = file.map() else {
        return;
    };
    if file.sites.len() > ROWS {
        return;
    }
    for line in lines(file, map, mode, Surface::of_stdout()) {
        terminal::say(&line);
    }
}

fn lines(file: &PatchFile, map: &Map, mode: PatchMode, surface: Surface) -> Vec<String> {
    let values = map.recovery.as_ref().unwrap_or(&map.metric);
    let effect = effects(map, mode);
    let columns = file.heads.as_ref().or(file.positions.as_ref());
    let columns: Vec<usize> = columns.cloned().unwrap_or_default();
    let names = file.sites.iter().map(|name| name.width()).max();
    let names = names.unwrap_or(0).min(NAMES);
    let left = surface.width.saturating_sub(names);
    let room = (left / CELL.0).max(1);
    let width = left / columns.len().max(1);
    let cell = if file.heads.is_some() {
        CELL.0
    } else {
        width.clamp(CELL.0, CELL.1)
    };
    let kept = strongest(values, &effect, columns.len(), room);
    let what = if file.heads.is_some() {
        "head"
    } else {
        "position"
    };
    let mut head = Line::new()
        .with(Tone::Quiet, what)
        .filled(Tone::Quiet, " ", names);
    for &column in &kept {
        head = head.with(Tone::Quiet, format!("{:>cell$}", columns[column]));
    }
    let what = named(file, map);
    let thousandfold = map.recovery.is_none() && are_small(values);
    let what = format!("{what}{}", if thousandfold { " × 1000" } else { "" });
    let title = format!("{what} after `{}`, {}", file.intervention.kind, mode.name());
    let mut shown = vec![
        Line::new()
            .with(Tone::Strong, title)
            .shown(surface.coloured),
        head.shown(surface.coloured),
    ];
    let tokens = map.clean_tokens.iter().zip(&map.corrupt_tokens);
    let tokens: Vec<(&String, &String)> = tokens.collect();
    if file.heads.is_none() && tokens.len() > kept.last().copied().unwrap_or(0) {
        for (side, name) in ["clean", "corrupt"].iter().enumerate() {
            let mut line = Line::new()
                .with(Tone::Quiet, name)
                .filled(Tone::Quiet, " ", names);
            for &column in &kept {
                let Some((clean, corrupt)) = columns.get(column).and_then(|at| tokens.get(*at))
                else {
                    continue;
                };
                let token = if side == 0 { clean } else { corrupt };
                let token = shortened(token.trim(), cell - 1);
                let tone = if clean == corrupt {
                    Tone::Quiet
                } else {
                    Tone::Strong
                };
                let blank = " ".repeat(cell.saturating_sub(token.width()));
                line = line.with(tone, format!("{blank}{token}"));
            }
            shown.push(line.shown(surface.coloured));
        }
    }
    for (site, row) in file.sites.iter().zip(values) {
        let mut line = Line::new()
            .with(Tone::Plain, shortened(site, names))
            .filled(Tone::Plain, " ", names);
        for &column in &kept {
            let value = row.get(column).copied().unwrap_or(f64::NAN);
            let tone = match map.recovery.is_some().then(|| effect(value)) {
                Some(strong) if strong >= STRONG => Tone::Attention,
                Some(weak) if weak < WEAK => Tone::Quiet,
                _ => Tone::Plain,
            };
            let shown = if thousandfold { 1e3 * value } else { value };
            line = line.with(tone, format!("{:>cell$}", number(shown)));
        }
        shown.push(line.shown(surface.coloured));
    }
    if kept.len() < columns.len() {
        let line = format!(
            "the {} of {} columns with the largest effects; the file has all",
            kept.len(),
            columns.len()
        );
        shown.push(Line::new().with(Tone::Quiet, line).shown(surface.coloured));
    }
    shown
}

/// What the numbers of a map are.
fn named<'a>(file: &'a PatchFile, map: &Map) -> &'a str {
    match map.recovery {
        Some(_) => "recovery",
        None => file.measure.name,
    }
}

/// How far a number of a map is from the untouched run's.
fn effects(map: &Map, mode: PatchMode) -> impl Fn(f64) -> f64 + use<> {
    let untouched = match mode {
        PatchMode::Denoising => map.corrupt,
        PatchMode::Noising => map.clean,
    };
    let recovers = map.recovery.is_some();
    move |value| {
        if recovers {
            mode.effect(value).abs()
        } else {
            (value - untouched).abs()
        }
    }
}

/// Whether two decimals say next to nothing of any number.
fn are_small(values: &[Vec<f64>]) -> bool {
    let all = values.iter().flatten();
    all.fold(0.0, |largest: f64, value| largest.max(value.abs())) < 0.1
}

/// The columns with the largest effects, in their own order.
fn strongest(
    values: &[Vec<f64>],
    effect: &dyn Fn(f64) -> f64,
    columns: usize,
    room: usize,
) -> Vec<usize> {
    let largest = |column: usize| {
        let cells = values.iter().filter_map(|row| row.get(column));
        cells.map(|value| effect(*value)).fold(0.0, f64::max)
    };
    let mut order: Vec<usize> = (0..columns).collect();
    order.sort_by(|a, b| largest(*b).total_cmp(&largest(*a)));
    order.truncate(room);
    order.sort_unstable();
    order
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "–".to_owned()
    } else if value.abs() < 99.95 {
        // No minus before a nought.
        format!("{:.2}", if value.abs() < 0.005 { 0.0 } else { value })
    } else {
        format!("{value:.0}")
    }
}

/// The cell with the largest effect, with its interval and p-values where there are any.
pub fn strongest_cell(file: &PatchFile, mode: PatchMode) -> Option<String> {
    let map = file.map()?;
    let values = map.recovery.as_ref().unwrap_or(&map.metric);
    let cells = values.iter().enumerate().flat_map(|(row, values)| {
        let values = values.iter().enumerate();
        values.map(move |(column, value)| (row, column, *value))
    });
    let effect = effects(map, mode);
    let (row, column, value) = cells
        .filter(|(.., value)| !value.is_nan())
        .max_by(|a, b| effect(a.2).total_cmp(&effect(b.2)))?;
    let (what, columns) = match (&file.heads, &file.positions) {
        (Some(heads), _) => ("head", heads),
        (None, Some(positions)) => ("position", positions),
        (None, None) => return None,
    };
    let at = |grid: &Option<Vec<Vec<f64>>>| grid.as_ref()?.get(row)?.get(column).copied();
    let interval = file.found.intervals.as_ref().and_then(|intervals| {
        let of_metric = |grid: &Vec<Vec<f64>>| grid.get(row)?.get(column).copied();
        let (low, high) = match map.recovery {
            Some(_) => (at(&intervals.recovery_low)?, at(&intervals.recovery_high)?),
            None => (
                of_metric(&intervals.metric_low)?,
                of_metric(&intervals.metric_high)?,
            ),
        };
        Some(format!(" [{low:.3}, {high:.3}]"))
    });
    let p = file.found.random.as_ref().and_then(|random| {
        let p = |grid: &Vec<Vec<Option<f64>>>| grid.get(row)?.get(column).copied().flatten();
        let (p, of_map) = (p(&random.p)?, p(&random.p_of_map)?);
        Some(format!(
            "; p = {p:.3} against random edits, {of_map:.3} as the largest of the map"
        ))
    });
    Some(format!(
        "largest effect: {} {value:.3}{} at {}, {what} {}{}",
        named(file, map),
        interval.unwrap_or_default(),
        file.sites.get(row)?,
        columns.get(column)?,
        p.unwrap_or_default()
    ))
}

/// The line that says what was done and where it lies.
pub fn summary(file: &PatchFile, request: &PatchRequest<'_>, out: &Path) -> String {
    let measure = &file.measure;
    let columns = file.heads.as_ref().or(file.positions.as_ref());
    let cells = match columns {
        Some(columns) => format!("{} × {} cells", file.sites.len(), columns.len()),
        None => format!("{} × positions", file.sites.len()),
    };
    let mut parts = vec![cells];
    if request.pairs.len() > 1 {
        let used = file
            .found
            .pairs
            .len()
            .max(usize::from(file.found.pairs.is_empty()));
        parts.push(format!(
            "{used} of {}",
            counted(request.pairs.len(), "pair", "pairs")
        ));
    }
    if !file.doses.is_empty() {
        parts.push(counted(file.doses.len(), "scale", "scales"));
    }
    if request.controls > 0 {
        parts.push(format!("{} random edits each", request.controls));
    }
    if let Some(map) = file.map() {
        let over = match (map.answer.as_str(), map.foil.as_str()) {
            ("", _) => String::new(),
            (answer, "") => format!(" ({answer})"),
            (answer, foil) => format!(" ({answer} over {foil})"),
        };
        parts.push(format!(
            "clean {:+.4}, corrupt {:+.4} {}{over}",
            map.clean, map.corrupt, measure.unit
        ));
    }
    format!("{} → {}", parts.join(", "), out.display())
}
