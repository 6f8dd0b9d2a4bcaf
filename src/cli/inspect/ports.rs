//! Inputs and outputs, those that differ in a number alone on one line.

use super::paint::{Line, Tone, shortened, wrapped};
use super::words;
use crate::model::{Architecture, InputRole, Port};

/// A row: name, meaning, type and shape.
struct Row {
    name: String,
    meaning: String,
    kind: String,
}

pub fn inputs(ports: &[Port], arch: Option<&Architecture>, width: usize) -> Vec<Line> {
    let meaning = |port: &Port| {
        let known = arch.and_then(|arch| arch.inputs.iter().find(|input| input.name == port.name));
        known.map(|input| match input.role {
            InputRole::PastKeyValue(_) => "cache, fed empty",
            _ => words::role(&input.role),
        })
    };
    rows(ports, |port| meaning(port).unwrap_or("").to_owned(), width)
}

pub fn outputs(ports: &[Port], arch: Option<&Architecture>, width: usize) -> Vec<Line> {
    let is_logits = |port: &Port| arch.is_some_and(|arch| arch.logits == port.name);
    // A name that says it already needs no word beside it.
    let meaning = |port: &Port| {
        let says_so = port.name == "logits" || !is_logits(port);
        if says_so {
            String::new()
        } else {
            "logits".to_owned()
        }
    };
    rows(ports, meaning, width)
}

fn rows(ports: &[Port], meaning: impl Fn(&Port) -> String, width: usize) -> Vec<Line> {
    let mut groups: Vec<([String; 4], Vec<&Port>)> = Vec::new();
    for port in ports {
        let sizes = port.shape.iter().flatten().map(|size| words::size(size));
        let key = [
            pattern(&port.name),
            port.element.clone(),
            sizes.collect::<Vec<_>>().join(" "),
            meaning(port),
        ];
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, alike)) => alike.push(port),
            None => groups.push((key, vec![port])),
        }
    }
    let row = |(_, alike): &(_, Vec<&Port>)| {
        let first = alike.first()?;
        Some(Row {
            name: together(alike),
            meaning: meaning(first),
            kind: [first.element.clone(), shape(first)].join(" "),
        })
    };
    let rows: Vec<Row> = groups.iter().filter_map(row).collect();
    let widest = |of: fn(&Row) -> &str| {
        let widths = rows.iter().map(|row| of(row).chars().count());
        widths.max().unwrap_or(0)
    };
    let meanings = widest(|row| &row.meaning);
    let gap = 2 * usize::from(meanings > 0);
    let names = widest(|row| &row.name).min(width.saturating_sub(4 + meanings + gap));
    let start = 4 + names + meanings + gap;
    let mut lines = Vec::new();
    for row in &rows {
        let line = Line::new()
            .with(Tone::Plain, format!("  {}", shortened(&row.name, names)))
            .filled(Tone::Plain, " ", names + 4)
            .with(Tone::Plain, &row.meaning)
            .filled(Tone::Plain, " ", start);
        if start + row.kind.chars().count() <= width {
            lines.push(line.with(Tone::Quiet, &row.kind));
        } else {
            lines.push(line);
            let texts = wrapped(&row.kind, width - 6).into_iter();
            lines.extend(texts.map(|text| Line::new().with(Tone::Quiet, format!("      {text}"))));
        }
    }
    lines
}

/// One name for all of a group: with a star for what counts them.
fn together(alike: &[&Port]) -> String {
    let (Some(first), Some(last)) = (alike.first(), alike.last()) else {
        return String::new();
    };
    if alike.len() == 1 {
        return first.name.clone();
    }
    let (a, b) = (numbered(&first.name, '*'), numbered(&last.name, '*'));
    let same = |(a, b): &(char, char)| a == b;
    let start: String = a
        .chars()
        .zip(b.chars())
        .take_while(same)
        .map(|(a, _)| a)
        .collect();
    let ends = (a.strip_prefix(&start), b.strip_prefix(&start));
    let name = match ends {
        (Some(one), Some(other)) if one != other => format!("{start}{{{one},{other}}}"),
        _ => a,
    };
    format!("{name} ({})", alike.len())
}

/// A name in which every number is one sign, and keys are as values.
fn pattern(name: &str) -> String {
    numbered(name, '#').replace("value", "key")
}

fn numbered(name: &str, sign: char) -> String {
    let mut made = String::new();
    for c in name.chars() {
        if !c.is_ascii_digit() {
            made.push(c);
        } else if !made.ends_with(sign) {
            made.push(sign);
        }
    }
    made
}

fn shape(port: &Port) -> String {
    let text = |shape: &Vec<String>| format!("[{}]", shape.join(", "));
    port.shape.as_ref().map_or_else(String::new, text)
}
