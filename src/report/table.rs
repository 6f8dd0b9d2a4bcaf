//! The verdict table that `candor audit` ends with.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::Path;

use comfy_table::presets::{ASCII_FULL_CONDENSED, UTF8_FULL_CONDENSED};
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};

use super::{AuditReport, Exit, Finding, ModelAudit, gating_severity, words};
use crate::rules::{Severity, Verdict};

const WIDTH_OF_A_FILE: u16 = 110;
const KEY_NUMBERS: usize = 3;

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
    if !surface.terminal {
        table.force_no_tty();
    }
    if let Some(width) = surface.width {
        table.set_width(width);
    }
    if surface.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(["Model", "Verdict", "Severity", "Rules", "Key numbers"]);
    for model in &report.models {
        table.add_row(row(model, surface));
    }
    let exit = Exit::of_report(report);
    // Writing to a String cannot fail.
    let mut text = plain(&table.trim_fmt(), surface);
    text.push_str("\n\n");
    for model in &report.models {
        let why = model
            .leading()
            .and_then(|finding| finding.reasons.first())
            .map_or("no rule was applied", String::as_str);
        text.push_str(&safe(&format!("{}: {why}\n", model.name), surface));
        for missing in &model.incomplete {
            let line = format!("  incomplete: {}: {}\n", missing.what, missing.why);
            text.push_str(&safe(&line, surface));
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
    let leading = model.leading();
    let severity = leading
        .filter(|finding| words::has_severity(finding.verdict))
        .and_then(gating_severity)
        .map_or("-", Severity::name);
    let cell = |text: &str| Cell::new(safe(text, surface));
    vec![
        cell(&model.name).add_attribute(Attribute::Bold),
        cell(model.verdict.name()).fg(colour(model.verdict)),
        cell(severity),
        cell(&counts(model)),
        cell(&leading.map(key_numbers).unwrap_or_default()),
    ]
}

/// How many rules came to which verdict, gravest first.
fn counts(model: &ModelAudit) -> String {
    let count = |verdict: &Verdict| {
        let findings = model.findings.iter();
        findings.filter(|f| f.verdict == *verdict).count()
    };
    let lines: Vec<_> = words::VERDICTS
        .iter()
        .filter(|verdict| count(verdict) > 0)
        .map(|verdict| format!("{} {}", count(verdict), verdict.name()))
        .collect();
    lines.join("\n")
}

/// The first measured signals of a finding.
fn key_numbers(finding: &Finding) -> String {
    let lines: Vec<_> = finding
        .signals
        .iter()
        .filter_map(|signal| {
            let estimate = signal.estimate?;
            Some(format!("{} {}", signal.name, words::number(estimate.point)))
        })
        .take(KEY_NUMBERS)
        .collect();
    lines.join("\n")
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
