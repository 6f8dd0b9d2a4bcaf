//! Sites, one line for each kind or one for each site, and those that are missing with the reason.

use super::paint::{Line, Tone, shortened, wrapped};
use super::words;
use crate::model::{Absent, Architecture, Point, Site, SiteName};

/// Columns that a tensor's name is worth being shown in.
const LEAST: usize = 26;

/// Sites of one kind and shape.
struct Kind<'a> {
    point: Point,
    sizes: Vec<String>,
    shape: String,
    processed: Option<&'static str>,
    sites: Vec<&'a Site>,
}

pub fn grouped(arch: &Architecture, width: usize) -> Vec<Line> {
    let mut kinds: Vec<Kind> = Vec::new();
    for site in &arch.sites {
        let sizes: Vec<String> = site.shape.iter().map(|size| words::size(size)).collect();
        let alike = |kind: &&mut Kind| {
            kind.point == site.name.point && kind.sizes == sizes && kind.processed == site.processed
        };
        match kinds.iter_mut().find(alike) {
            Some(kind) => kind.sites.push(site),
            None => kinds.push(Kind {
                point: site.name.point,
                sizes,
                shape: shape(site),
                processed: site.processed,
                sites: vec![site],
            }),
        }
    }
    let rows: Vec<(String, &str, Vec<&str>)> = kinds
        .iter()
        .map(|kind| {
            let names: Vec<SiteName> = kind.sites.iter().map(|site| site.name).collect();
            let tensors = match kind.sites.as_slice() {
                [] => Vec::new(),
                [one] => vec![one.tensor.name()],
                [first, .., last] => vec![first.tensor.name(), last.tensor.name()],
            };
            (glob(&names, arch.n_layers), kind.shape.as_str(), tensors)
        })
        .collect();
    let mut lines = table(&rows, width, false);
    let mut notes: Vec<(&str, Vec<String>)> = Vec::new();
    for kind in &kinds {
        let Some(what) = kind.processed else { continue };
        let names: Vec<SiteName> = kind.sites.iter().map(|site| site.name).collect();
        let name = glob(&names, arch.n_layers);
        match notes.iter_mut().find(|(other, _)| *other == what) {
            Some((_, names)) => names.push(name),
            None => notes.push((what, vec![name])),
        }
    }
    for (what, names) in notes {
        let note = format!(
            "behind {what}, as it is added to the stream: {}",
            names.join(", ")
        );
        let texts = wrapped(&note, width - 2).into_iter();
        lines.extend(texts.map(|text| Line::new().with(Tone::Quiet, format!("  {text}"))));
    }
    lines
}

pub fn listed(arch: &Architecture, width: usize) -> Vec<Line> {
    let shapes: Vec<String> = arch.sites.iter().map(shape).collect();
    let rows: Vec<(String, &str, Vec<&str>)> = arch
        .sites
        .iter()
        .zip(&shapes)
        .map(|(site, shape)| {
            (
                site.name.to_string(),
                shape.as_str(),
                vec![site.tensor.name()],
            )
        })
        .collect();
    table(&rows, width, true)
}

/// Missing places, those with one reason together.
pub fn absent(arch: &Architecture, width: usize) -> Vec<Line> {
    let mut reasons: Vec<(Point, &str, Vec<SiteName>)> = Vec::new();
    for Absent { name, why } in &arch.absent {
        match reasons
            .iter_mut()
            .find(|(point, other, _)| *point == name.point && other == why)
        {
            Some((_, _, names)) => names.push(*name),
            None => reasons.push((name.point, why, vec![*name])),
        }
    }
    let mut lines = Vec::new();
    for (_, why, names) in reasons {
        let name = glob(&names, arch.n_layers);
        lines.push(Line::new().with(Tone::Plain, format!("  {name}")));
        lines.extend(
            wrapped(why, width - 4)
                .into_iter()
                .map(|text| Line::new().with(Tone::Quiet, format!("    {text}"))),
        );
    }
    lines
}

fn shape(site: &Site) -> String {
    format!("[{}]", site.shape.join(", "))
}

/// The sites as a pattern: with a star where every block has one.
fn glob(names: &[SiteName], n_layers: usize) -> String {
    let Some(first) = names.first() else {
        return String::new();
    };
    let numbers: Vec<usize> = names.iter().filter_map(|name| name.layer).collect();
    if numbers.is_empty() {
        return first.to_string();
    }
    let own = SiteName {
        layer: Some(0),
        ..*first
    }
    .to_string();
    let hook = own.strip_prefix("blocks.0.").unwrap_or(&own);
    match numbers.as_slice() {
        [one] => format!("blocks.{one}.{hook}"),
        all if all.len() == n_layers => format!("blocks.*.{hook}"),
        some => format!("blocks.{{{}}}.{hook}", words::layers(some)),
    }
}

/// Names, shapes, and tensors where there is room for them; whole ones go on to further lines.
fn table(rows: &[(String, &str, Vec<&str>)], width: usize, whole: bool) -> Vec<Line> {
    let names = rows
        .iter()
        .map(|(name, _, _)| name.chars().count())
        .max()
        .unwrap_or(0)
        .min(width / 2);
    let shapes = rows
        .iter()
        .map(|(_, shape, _)| shape.chars().count())
        .max()
        .unwrap_or(0)
        .min(width / 2);
    let start = 2 + names + 2 + shapes + 2;
    let room = width.saturating_sub(start);
    let mut lines = Vec::new();
    for (name, shape, tensors) in rows {
        let line = Line::new()
            .with(Tone::Plain, format!("  {}", shortened(name, names)))
            .filled(Tone::Plain, " ", 4 + names);
        let line = line
            .with(Tone::Plain, shortened(shape, shapes))
            .filled(Tone::Plain, " ", start);
        if !whole {
            lines.push(if room < LEAST {
                line
            } else {
                line.with(Tone::Quiet, ends(tensors, room))
            });
            continue;
        }
        let mut texts = wrapped(
            &tensors.concat(),
            if room < LEAST { width - 6 } else { room },
        )
        .into_iter();
        if room < LEAST {
            lines.push(line);
            lines.extend(texts.map(|text| Line::new().with(Tone::Quiet, format!("      {text}"))));
        } else {
            lines.push(line.with(Tone::Quiet, texts.next().unwrap_or_default()));
            lines.extend(texts.map(|text| {
                Line::new()
                    .filled(Tone::Plain, " ", start)
                    .with(Tone::Quiet, text)
            }));
        }
    }
    lines
}

/// The first and the last of several names, or the first alone where both do not fit: two halves tell less than one whole.
fn ends(names: &[&str], width: usize) -> String {
    match names {
        [one] => shortened(one, width),
        [first, .., last] => {
            let both = format!("{first} … {last}");
            if both.chars().count() <= width {
                both
            } else {
                format!("{} …", shortened(first, width.saturating_sub(2)))
            }
        }
        [] => String::new(),
    }
}
