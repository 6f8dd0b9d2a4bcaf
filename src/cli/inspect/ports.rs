//! Inputs and outputs, those that differ in a number alone on one line.

use super::paint::{Line, Tone, shortened};
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
    let logits = |port: &Port| arch.is_some_and(|arch| arch.logits == port.name);
    rows(
        ports,
        |port| {
            if logits(port) {
                "logits".to_owned()
            } else {
                String::new()
            }
        },
        width,
    )
}

fn rows(ports: &[Port], meaning: impl Fn(&Port) -> String, width: usize) -> Vec<Line> {
    let mut groups: Vec<(String, Vec<&Port>)> = Vec::new();
    for port in ports {
        let key = [
            pattern(&port.name),
            port.element.clone(),
            shape(port),
            meaning(port),
        ]
        .join("\u{0}");
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, alike)) => alike.push(port),
            None => groups.push((key, vec![port])),
        }
    }
    let rows: Vec<Row> = groups
        .iter()
        .filter_map(|(_, alike)| {
            let (first, last) = (alike.first()?, alike.last()?);
            let name = match alike.len() {
                1 => first.name.clone(),
                2 => format!("{}, {}", first.name, last.name),
                count => format!("{} … {} ({count})", first.name, last.name),
            };
            let kind = [first.element.clone(), shape(first)].join(" ");
            Some(Row {
                name,
                meaning: meaning(first),
                kind,
            })
        })
        .collect();
    let widest = |of: fn(&Row) -> &str| {
        rows.iter()
            .map(|row| of(row).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (meanings, kinds) = (widest(|row| &row.meaning), widest(|row| &row.kind));
    let others = 2 + meanings + 2 * usize::from(meanings > 0) + kinds + 2;
    let names = widest(|row| &row.name).min(width.saturating_sub(others).max(16));
    let line = |row: &Row| {
        let line = Line::new()
            .with(Tone::Plain, format!("  {}", shortened(&row.name, names)))
            .filled(Tone::Plain, " ", names + 4);
        let line = if meanings == 0 {
            line
        } else {
            line.with(Tone::Plain, &row.meaning)
                .filled(Tone::Plain, " ", names + 4 + meanings + 2)
        };
        let left = width.saturating_sub(line.width());
        line.with(Tone::Quiet, shortened(&row.kind, left))
    };
    rows.iter().map(line).collect()
}

/// A name with every number replaced by one sign, and `key` and `value` by one word.
fn pattern(name: &str) -> String {
    let mut made = String::new();
    for c in name.chars() {
        if !c.is_ascii_digit() {
            made.push(c);
        } else if !made.ends_with('#') {
            made.push('#');
        }
    }
    made.replace("value", "key")
}

fn shape(port: &Port) -> String {
    port.shape
        .as_ref()
        .map_or_else(String::new, |shape| format!("[{}]", shape.join(", ")))
}
