//! How the audit compares with that of the approved model.

use super::Surface;
use crate::report::{AuditReport, BaselineModel, Change, Comparison, Fixed, Shows, counted, words};

/// How findings compare with the approved model's, as they are counted.
const CHANGES: [(Change, &str); 5] = [
    (Change::New, "new"),
    (Change::Worse, "worse"),
    (Change::CannotTell, "that may be worse"),
    (Change::Unchanged, "unchanged"),
    (Change::Improved, "improved"),
];

/// What changed on each model, what was fixed, and each rate that is not shown to be no worse; empty without a baseline.
pub(super) fn list(report: &AuditReport, surface: Surface) -> String {
    let Some(baseline) = &report.baseline else {
        return String::new();
    };
    let mut text = surface.line(&format!(
        "Against {} ({}), margin {}:",
        baseline.path,
        words::moment(&baseline.finished),
        words::trimmed(baseline.margin)
    ));
    for model in &baseline.models {
        text.push_str(&surface.line(&format!("  {}", changes(report, model))));
        for fixed in &model.fixed {
            text.push_str(&surface.line(&format!("    {}", mended(fixed))));
        }
        for line in rates(model) {
            text.push_str(&surface.line(&format!("    {line}")));
        }
    }
    for caveat in &baseline.caveats {
        text.push_str(&surface.line(&format!("  caveat: {}", caveat.replace('`', ""))));
    }
    format!("\n{text}")
}

fn changes(report: &AuditReport, compared: &BaselineModel) -> String {
    let model = report.models.iter().find(|one| one.name == compared.model);
    let of = |wanted: Change| {
        let findings = model.into_iter().flat_map(|model| &model.findings);
        findings.filter(|one| one.change == Some(wanted)).count()
    };
    let counts = CHANGES.map(|(change, words)| (of(change), words));
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let mut parts: Vec<String> = counts
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    if parts.is_empty() {
        parts.push("nothing to compare".to_owned());
    }
    let same = if compared.same_files {
        ", the same files"
    } else {
        ""
    };
    format!(
        "{} against {}{same}: {}",
        compared.model,
        compared.against,
        parts.join(", ")
    )
}

fn mended(fixed: &Fixed) -> String {
    let suite = fixed.suite.as_deref().map(|suite| format!(" on {suite}"));
    let name = format!("{}{}", fixed.rule, suite.unwrap_or_default());
    match fixed.now {
        Some(now) => format!("fixed: {name} was {}, is {now}", fixed.was),
        None => format!("not asked any more: {name} was {}", fixed.was),
    }
}

/// A line for what may be worse under each condition, and one that counts the rates that are not.
fn rates(model: &BaselineModel) -> Vec<String> {
    let all = &model.comparisons;
    let of = |shows: Shows| all.iter().filter(move |one| one.shows == shows);
    let open: Vec<&Comparison> = of(Shows::Worse).chain(of(Shows::CannotTell)).collect();
    // Where every wrong answer is a false one, its rates are the same.
    let alike = |one: &&Comparison, other: &&Comparison| {
        let counts =
            |of: &Comparison| (of.suite.clone(), of.condition.clone(), of.worse, of.better);
        counts(one) == counts(other) && (one.before - other.before).abs() < f64::EPSILON
    };
    let mut lines: Vec<String> = open.chunk_by(alike).filter_map(rate).collect();
    if all.is_empty() {
        lines.push("no item was asked of both".to_owned());
    } else if open.len() < all.len() {
        let rates = counted(all.len() - open.len(), "rate", "rates");
        lines.push(format!("no worse: {rates} of {}", all.len()));
    }
    lines
}

/// Rates of the same numbers, in a sentence.
fn rate(rates: &[&Comparison]) -> Option<String> {
    let one = rates.first()?;
    let what: Vec<&str> = rates.iter().map(|rate| rate.what.as_str()).collect();
    let shows = match one.shows {
        Shows::NotWorse => "no worse",
        Shows::Worse => "worse",
        Shows::CannotTell => "may be worse",
    };
    let needed = one.needed.filter(|_| one.shows == Shows::CannotTell);
    let needed = needed.map_or_else(String::new, |items| {
        format!("; about {items} items could tell")
    });
    Some(format!(
        "{shows}: {} under {} on {}: {} → {} of {} ({} more, {} fewer), 95 % interval of the difference {}{needed}",
        what.join(", "),
        one.condition,
        one.suite,
        words::number(one.before),
        words::number(one.now),
        counted(one.items, "item", "items"),
        one.worse,
        one.better,
        words::interval(&one.difference),
    ))
}
