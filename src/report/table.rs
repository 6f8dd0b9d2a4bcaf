//! The verdict table that `candor audit` ends with.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::Path;

use comfy_table::presets::{ASCII_FULL_CONDENSED, UTF8_FULL_CONDENSED};
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};

use super::{AuditReport, Exit, ModelAudit, gating_severity, words};
use crate::rules::Verdict;

const WIDTH_OF_A_FILE: u16 = 110;
/// Of a terminal that does not tell.
const WIDTH_OF_A_TERMINAL: u16 = 80;

/// What the table is printed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surface {
    /// Whether lines and signs outside ASCII may be used.
    pub terminal: bool,
    /// Whether colours may be used.
    pub colour: bool,
    /// Columns; `None` to ask the terminal.
    pub width: Option<u16>,
}

impl Surface {
    /// Standard output: colour only on a terminal, and not where `NO_COLOR` is set (and not empty).
    #[must_use]
    pub fn stdout() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            terminal,
            colour: terminal && !no_colour,
            width: (!terminal).then_some(WIDTH_OF_A_FILE),
        }
    }
}

/// Models with their verdicts, a line for each that says why, then where the page lies, if it was written, and the exit code.
#[must_use]
pub fn verdict_table(report: &AuditReport, page: Option<&Path>, surface: Surface) -> String {
    let mut table = Table::new();
    table.load_style(if surface.terminal {
        UTF8_FULL_CONDENSED
    } else {
        ASCII_FULL_CONDENSED
    });
    table.set_content_arrangement(ContentArrangement::Dynamic);
    let width = surface.width.or_else(|| table.width());
    let width = width.unwrap_or(WIDTH_OF_A_TERMINAL);
    table.set_width(width);
    if surface.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(["Model", "Verdict", "Rules", "Key numbers"]);
    for model in &report.models {
        table.add_row(row(model, surface));
    }
    let exit = Exit::of_report(report);
    // Writing to a String cannot fail.
    let mut text = plain(&table.trim_fmt(), surface);
    text.push_str("\n\n");
    let width = surface.terminal.then(|| usize::from(width));
    for model in &report.models {
        let why = format!("{}: {}", model.name, model.why().sentence.replace('`', ""));
        text.push_str(&hanging(&safe(&why, surface), width));
        for caveat in &model.caveats {
            let line = format!("  caveat: {}", caveat.replace('`', ""));
            text.push_str(&hanging(&safe(&line, surface), width));
        }
        for missing in &model.incomplete {
            let line = format!("  incomplete: {}: {}", missing.what, missing.why);
            text.push_str(&hanging(&safe(&line, surface), width));
        }
    }
    text.push('\n');
    if let Some(page) = page {
        let _ = writeln!(text, "Report: {}", page.display());
    }
    let _ = writeln!(
        text,
        "Exit code {}: {} (--fail-on {})",
        exit.code(),
        exit.meaning(),
        report.fail_on.name()
    );
    text
}

fn row(model: &ModelAudit, surface: Surface) -> Vec<Cell> {
    let severity = model
        .leading()
        .filter(|finding| words::has_severity(finding.verdict))
        .and_then(gating_severity);
    let verdict = severity.map_or_else(
        || model.verdict.name().to_owned(),
        |severity| format!("{}, {}", model.verdict.name(), severity.name()),
    );
    let alike = model.findings.iter().filter(|f| f.verdict == model.verdict);
    let rules = format!("{} of {}", alike.count(), model.findings.len());
    let cell = |text: &str| Cell::new(safe(text, surface));
    vec![
        cell(&model.name).add_attribute(Attribute::Bold),
        cell(&verdict).fg(colour(model.verdict)),
        cell(&rules),
        cell(&model.why().numbers.join("\n")),
    ]
}

/// A line broken at blanks where it would pass `width` columns, further lines indented, with a line break at its end.
fn hanging(line: &str, width: Option<usize>) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in line.split_inclusive(' ') {
        let long = word.trim_end().chars().count();
        if width.is_some_and(|width| column > 0 && column + long > width) {
            text.truncate(text.trim_end().len());
            text.push_str("\n  ");
            column = 2;
        }
        text.push_str(word);
        column += word.chars().count();
    }
    text + "\n"
}

fn colour(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Pass => Color::Green,
        Verdict::ConditionalBenign => Color::Cyan,
        Verdict::Review => Color::Magenta,
        Verdict::NotMeasurable | Verdict::Inconclusive => Color::Yellow,
        Verdict::Fail => Color::Red,
    }
}

/// Texts come from models and files: no control sequence of theirs reaches the terminal.
fn safe(text: &str, surface: Surface) -> String {
    let harmless: String = text
        .chars()
        .map(|c| if c.is_control() && c != '\n' { '?' } else { c })
        .collect();
    plain(&harmless, surface)
}

/// ASCII spellings of the signs that Candor itself writes.
fn plain(text: &str, surface: Surface) -> String {
    if surface.terminal {
        return text.to_owned();
    }
    text.replace('−', "-")
        .replace('≥', ">=")
        .replace('≤', "<=")
        .replace('∞', "inf")
        .replace('×', "x")
        .replace(['‘', '’'], "'")
        .replace(['“', '”'], "\"")
        .replace('→', "->")
        .replace('–', "-")
}
