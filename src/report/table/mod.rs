//! What `candor audit` ends with.

mod baseline;
mod findings;
mod waivers;

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::Path;

use comfy_table::presets::{ASCII_FULL_CONDENSED, UTF8_FULL_CONDENSED};
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};

use super::{Exit, ModelAudit, Source, gating_severity, words};
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

    /// A table of this width, without rows yet.
    fn table(self) -> Table {
        let mut table = Table::new();
        table.load_style(if self.terminal {
            UTF8_FULL_CONDENSED
        } else {
            ASCII_FULL_CONDENSED
        });
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(self.columns());
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table
    }

    fn columns(self) -> u16 {
        let asked = || Table::new().width();
        self.width.or_else(asked).unwrap_or(WIDTH_OF_A_TERMINAL)
    }

    /// A table as text, with an empty line behind it.
    fn finish(self, table: &Table) -> String {
        plain(&table.trim_fmt(), self) + "\n\n"
    }

    /// A line of text that is broken at blanks where it would be too wide, with a line break at its end.
    fn line(self, line: &str) -> String {
        hanging(&safe(line, self), usize::from(self.columns()))
    }

    fn cell(self, text: &str) -> Cell {
        Cell::new(safe(text, self))
    }
}

/// Models with their verdicts and why; findings and what they mean for the gate; waivers and baseline where there are some; then where
/// the page lies, if it was written, and the exit code.
#[must_use]
pub fn verdict_table(source: &Source, page: Option<&Path>, surface: Surface) -> String {
    let report = source.report;
    let mut table = surface.table();
    table.set_header(["Model", "Verdict", "Rules", "Key numbers"]);
    for model in &report.models {
        table.add_row(row(model, surface));
    }
    let mut text = surface.finish(&table);
    for model in &report.models {
        let why = model.why().sentence.replace('`', "");
        text.push_str(&surface.line(&format!("{}: {why}", model.name)));
        for caveat in &model.caveats {
            text.push_str(&surface.line(&format!("  caveat: {}", caveat.replace('`', ""))));
        }
        for missing in &model.incomplete {
            let line = format!("  incomplete: {}: {}", missing.what, missing.why);
            text.push_str(&surface.line(&line));
        }
    }
    text.push_str(&findings::list(source, surface));
    text.push_str(&waivers::list(report, surface));
    text.push_str(&baseline::list(report, surface));
    text.push('\n');
    let exit = Exit::of_report(report);
    // Writing to a String cannot fail.
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
    let cell = |text: &str| surface.cell(text);
    vec![
        cell(&model.name).add_attribute(Attribute::Bold),
        cell(&verdict).fg(colour(model.verdict)),
        cell(&rules),
        cell(&model.why().numbers.join("\n")),
    ]
}

/// A line broken at blanks where it would pass `width` columns, further lines two columns deeper, with a line break at its end.
fn hanging(line: &str, width: usize) -> String {
    let indent = 2 + line.len() - line.trim_start().len();
    let mut text = String::new();
    let mut column = 0;
    for word in line.split_inclusive(' ') {
        let long = word.trim_end().chars().count();
        if column > indent && column + long > width {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
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

/// Texts come from models and files: no control sequence of theirs reaches the terminal, and none that turns the direction of writing.
fn safe(text: &str, surface: Surface) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let harmless: String = text
        .chars()
        .map(|c| match c {
            '\n' => c,
            _ if c.is_control() || turns(c) => '?',
            _ => c,
        })
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
