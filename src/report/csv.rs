//! A row for each finding, for spreadsheets. Passed ones too, whatever lists show.

use super::listing::{all, change, cut, harmless, signal};
use super::{Source, Standing};
use crate::fault::{Fault, Result};

const COLUMNS: [&str; 17] = [
    "model",
    "rule",
    "title",
    "suite",
    "verdict",
    "severity",
    "gates",
    "gate",
    "waived_by",
    "waived_until",
    "waiver_reason",
    "change",
    "fingerprint",
    "file",
    "line",
    "reasons",
    "measured",
];

/// A spreadsheet takes no more characters into a cell.
const LONGEST: usize = 32_000;

pub(super) fn text(source: &Source) -> Result<String> {
    let failed = |error: &dyn std::fmt::Display| Fault::failed("writing CSV", error.to_string());
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(COLUMNS).map_err(|e| failed(&e))?;
    for row in all(source.report) {
        let finding = row.finding;
        let waiver = match row.standing {
            Standing::Waived(waiver) => Some(waiver),
            _ => None,
        };
        let gates = match row.standing {
            Standing::Gates(severity) => severity.name(),
            _ => "",
        };
        let measured: Vec<String> = finding.signals.iter().map(signal).collect();
        let cells: [&str; COLUMNS.len()] = [
            &row.model.name,
            &finding.rule,
            &finding.title,
            finding.suite.as_deref().unwrap_or_default(),
            finding.verdict.name(),
            finding.severity.name(),
            gates,
            &row.consequence(),
            waiver.map_or("", |waiver| &waiver.owner),
            waiver.map_or("", |waiver| &waiver.expires),
            waiver.map_or("", |waiver| &waiver.reason),
            finding.change.map_or("", change),
            &finding.fingerprint,
            &finding.file,
            &finding.line.to_string(),
            &finding.reasons.join("\n"),
            &measured.join("\n"),
        ];
        table
            .write_record(cells.map(cell))
            .map_err(|e| failed(&e))?;
    }
    let bytes = table.into_inner().map_err(|e| failed(&e))?;
    String::from_utf8(bytes).map_err(|e| failed(&e))
}

/// A spreadsheet takes a cell that begins like this for a formula and would run it; behind an apostrophe it is a text. What stands
/// before the sign may be overlooked (blanks, invisible characters), so it is looked for up to the first letter or digit.
fn cell(text: &str) -> String {
    let text = cut(&harmless(text), LONGEST);
    let formula = |c: char| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠');
    let mut beginning = text.chars().take_while(|c| !c.is_alphanumeric());
    if beginning.any(formula) {
        format!("'{text}")
    } else {
        text
    }
}
