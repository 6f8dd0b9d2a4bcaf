//! `docs/forms.md`: written from what was measured, and held against it.

use std::fmt::Write;

use super::cell::{COLUMNS, Cell, RUNTIME, Row};
use super::fixture::Compare;
use super::notes::Notes;

/// The groups of the page in their order, with what is to be known of each.
const GROUPS: [(&str, &str); 8] = [
    (
        "Architectures",
        "Written by PyTorch's dynamo exporter, operator set 18.",
    ),
    ("PyTorch's exporters", ""),
    (
        "Caches and positions",
        "Caches that are taken are fed empty.",
    ),
    (
        "Sixteen bits",
        "Differences are shares of the tensor's largest value.",
    ),
    ("The file itself", ""),
    ("Fused by ONNX Runtime", ""),
    (
        "The generative builder",
        "`onnxruntime_genai.models.builder`.",
    ),
    (
        "Quantised",
        "Rounded weights are no longer PyTorch's model, so a tap is held against the same graph with that tensor declared as an output: \
         `=` says equal to the last bit.",
    ),
];

const INTRODUCTION: &str = "\
# Architectures and forms

Every number on this page was measured by `tests/export_forms.rs`, which also wrote the page. For each model it opens the file, finds the
sites from the graph's structure alone, reads them through the runtime, and compares them with what PyTorch's own hooks
recorded in the model that was exported. Models have two layers and random weights, biases and gains; two prompts are read.

A number is the largest absolute difference over all layers, positions and channels. **Own value** writes what a site holds back into it and compares the
logits; **other prompt** writes one prompt's `resid_pre` at every position of the other, and compares the logits with that prompt's.
A raised figure leads to the reason for which a site is not there. In an empty cell PyTorch has no module to compare with.
";

pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub fn new(rows: Vec<Row>) -> Self {
        Self { rows }
    }

    /// The page.
    pub fn markdown(&self) -> String {
        let mut page = INTRODUCTION.to_owned();
        self.summary(&mut page);
        let mut notes = Notes::default();
        for (group, about) in GROUPS {
            self.group(&mut page, &mut notes, group, about);
        }
        self.refused(&mut page);
        notes.write(&mut page);
        page
    }

    fn summary(&self, page: &mut String) {
        let worst = |compare| {
            let cells = self.rows.iter().filter(|row| row.compare == compare);
            let cells = cells.filter_map(|row| row.outcome.as_ref().ok());
            let numbers = cells
                .flat_map(|cells| cells.values())
                .filter_map(|cell| match cell {
                    Cell::Measured(off) => Some(*off),
                    _ => None,
                });
            numbers.fold(0.0, f32::max)
        };
        let of = |compare| {
            self.rows
                .iter()
                .filter(|row| row.compare == compare)
                .count()
        };
        let read = self.rows.iter().filter(|row| row.outcome.is_ok()).count();
        let mut architectures: Vec<_> = self.rows.iter().map(|row| &row.architecture).collect();
        architectures.sort();
        architectures.dedup();
        let _ = write!(
            page,
            "
| | Models | Largest difference | Allowed |
|---|---|---|---|
| float32 | {} | {} | 5e-5 |
| float16, relative | {} | {} | 1e-2 |
| bfloat16 weights, relative | {} | {} | 5e-2 |
| quantised | {} | {} | = |
| refused, as they are to be | {} | | |
| not run by the runtime | {} | | |

{read} of {} models are read, of {} architectures in all. A dot marks those that lie in the repository
(`tests/fixtures/export/models/`); `tests/fixtures/export/make.py` writes the others.
",
            of(Compare::Fp32),
            number(worst(Compare::Fp32)),
            of(Compare::Fp16),
            number(worst(Compare::Fp16)),
            of(Compare::Bf16),
            number(worst(Compare::Bf16)),
            of(Compare::Exact),
            if worst(Compare::Exact) <= 1e-6 { "=" } else { "≠" },
            of(Compare::Refused),
            of(Compare::Unrunnable),
            self.rows.len(),
            architectures.len(),
        );
    }

    fn group(&self, page: &mut String, notes: &mut Notes, group: &str, about: &str) {
        let measured = |row: &&Row| row.group == group && row.outcome.is_ok();
        let mut rows: Vec<&Row> = self.rows.iter().filter(measured).collect();
        if rows.is_empty() {
            return;
        }
        let by_form = group != GROUPS[0].0;
        rows.sort_by_key(|row| {
            (
                by_form.then(|| row.form.clone()),
                row.architecture.to_lowercase(),
            )
        });
        let _ = write!(page, "\n## {group}\n\n");
        if !about.is_empty() {
            let _ = write!(page, "{about}\n\n");
        }
        let head = if by_form {
            "Form | Architecture"
        } else {
            "Architecture"
        };
        let titles: Vec<&str> = COLUMNS.iter().map(|(_, title)| *title).collect();
        let _ = writeln!(page, "| {head} | {} | Model |", titles.join(" | "));
        let left = if by_form { "---|---" } else { "---" };
        let _ = writeln!(page, "|{left}|{}---|", "--:|".repeat(COLUMNS.len()));
        let mut before = "";
        for row in rows {
            let form = if row.form == before { "" } else { &row.form };
            before = &row.form;
            let _ = write!(page, "| ");
            if by_form {
                let _ = write!(page, "{form} | ");
            }
            let cells = COLUMNS.iter().map(|(column, _)| {
                let cell = row
                    .outcome
                    .as_ref()
                    .ok()
                    .and_then(|cells| cells.get(column));
                shown(cell, row.compare, notes)
            });
            let cells: Vec<String> = cells.collect();
            let _ = writeln!(
                page,
                "{} | {} | {} |",
                row.architecture,
                cells.join(" | "),
                name(row)
            );
        }
    }

    fn refused(&self, page: &mut String) {
        let mut rows: Vec<(&Row, &str)> = self
            .rows
            .iter()
            .filter_map(|row| Some((row, row.outcome.as_ref().err()?.as_str())))
            .collect();
        rows.sort_by_key(|(row, _)| (row.architecture.to_lowercase(), row.name.clone()));
        let (unrun, refused): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|(_, why)| why.starts_with(RUNTIME));
        list(
            page,
            "Refused",
            "What has no residual stream that could be read, with the reason as Candor gives it.",
            &refused,
        );
        list(
            page,
            "Found, but not run",
            "Their sites are found; ONNX Runtime has no kernel for them on this device, or the exporter wrote what it does not accept.",
            &unrun,
        );
    }

    /// Rows of which the page says otherwise: another status of a cell, or nothing at all.
    pub fn drift(&self, page: &str) -> Vec<String> {
        let mut drift = Vec::new();
        for row in &self.rows {
            let mark = format!("`{}`", row.name);
            let Some(line) = page.lines().find(|line| line.contains(&mark)) else {
                drift.push(format!("{}: has no row", row.name));
                continue;
            };
            let cells: Vec<&str> = line
                .trim()
                .trim_matches('|')
                .split(" | ")
                .map(str::trim)
                .collect();
            let Ok(found) = &row.outcome else {
                if cells.len() != 4 {
                    drift.push(format!("{}: is refused now", row.name));
                }
                continue;
            };
            let Some(start) = cells
                .len()
                .checked_sub(COLUMNS.len() + 1)
                .filter(|start| *start > 0)
            else {
                drift.push(format!("{}: is read now", row.name));
                continue;
            };
            for ((column, title), said) in COLUMNS.iter().zip(&cells[start..]) {
                let now = status(&shown(
                    found.get(column),
                    row.compare,
                    &mut Notes::default(),
                ));
                if status(said) != now {
                    drift.push(format!("{}: {title} is {now} now, not `{said}`", row.name));
                }
            }
        }
        drift
    }
}

fn name(row: &Row) -> String {
    format!("{}`{}`", if row.committed { "● " } else { "" }, row.name)
}

fn status(cell: &str) -> &'static str {
    match cell {
        "" => "nothing",
        cell if cell.contains("<sup>") => "absent",
        _ => "measured",
    }
}

fn shown(cell: Option<&Cell>, compare: Compare, notes: &mut Notes) -> String {
    match cell {
        None | Some(Cell::Nothing) => String::new(),
        Some(Cell::Measured(off)) if compare == Compare::Exact && *off == 0.0 => "=".to_owned(),
        Some(Cell::Measured(off)) => number(*off),
        Some(Cell::Absent(why)) => format!("<sup>{}</sup>", notes.number(why)),
        Some(Cell::Missing) => "missing".to_owned(),
    }
}

fn number(off: f32) -> String {
    if off == 0.0 {
        "0".to_owned()
    } else {
        format!("{off:.0e}")
    }
}

fn list(page: &mut String, title: &str, about: &str, rows: &[(&Row, &str)]) {
    if rows.is_empty() {
        return;
    }
    let _ = write!(
        page,
        "\n## {title}\n\n{about}\n\n| Architecture | Form | Reason | Model |\n|---|---|---|---|\n"
    );
    for (row, why) in rows {
        // The runtime names a line of its own source before it comes to the point.
        let why = why.strip_prefix(RUNTIME).unwrap_or(why);
        let why = why
            .rsplit_once("Status Message: ")
            .map_or(why, |(_, point)| point);
        let why = why.replace('|', "\\|").replace('\n', " ");
        let (architecture, form, name) = (&row.architecture, &row.form, name(row));
        let _ = writeln!(page, "| {architecture} | {form} | {why} | {name} |");
    }
}
