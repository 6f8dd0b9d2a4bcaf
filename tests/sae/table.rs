//! The table of `docs/sae-formats.md`: written from what was measured, and held against it.

use std::fmt::Write;

use super::Measured;

/// What is allowed.
pub const BOUND: f32 = 1e-5;

const BEGIN: &str = "<!-- measured by tests/sae_formats.rs -->\n";
const END: &str = "<!-- end -->\n";

/// The page with the table in its place.
pub fn put(page: &str, measured: &[Measured]) -> String {
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    format!("{before}{BEGIN}{}{END}{after}", table(measured))
}

fn table(measured: &[Measured]) -> String {
    let mut table = "| Format | Architecture | Encode | Decode | Error term | Reference | Files |\n|---|---|--:|--:|--:|---|---|\n".to_owned();
    for row in measured {
        let case = &row.case;
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | `{}` |",
            case.format,
            case.architecture,
            number(row.encode),
            number(row.decode),
            number(row.error),
            case.reference,
            case.name
        );
    }
    table
}

/// Rows of which the page says otherwise. Last digits of a difference are the machine's.
pub fn drift(page: &str, measured: &[Measured]) -> Vec<String> {
    let said = page
        .split_once(BEGIN)
        .and_then(|(_, rest)| rest.split_once(END))
        .map_or("", |(table, _)| table);
    let mut drift = Vec::new();
    for row in measured {
        let case = &row.case;
        let start = format!("| {} | {} |", case.format, case.architecture);
        let ends = [case.reference.as_str(), &format!("`{}` |", case.name)].join(" | ");
        let line = said.lines().find(|line| line.ends_with(&ends));
        if !line.is_some_and(|line| line.starts_with(&start)) {
            drift.push(format!("{}: has no row", case.name));
        }
    }
    let rows = said.lines().filter(|line| line.contains("| `")).count();
    if rows != measured.len() {
        drift.push(format!("{rows} rows for {} cases", measured.len()));
    }
    for number in said.lines().flat_map(|line| line.split(" | ")) {
        if number.parse::<f32>().is_ok_and(|number| number > BOUND) {
            drift.push(format!("a difference of {number}"));
        }
    }
    drift
}

fn number(off: f32) -> String {
    if off == 0.0 {
        "0".to_owned()
    } else {
        format!("{off:.0e}")
    }
}
