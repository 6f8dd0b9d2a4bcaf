//! What was found, and what it means for the gate.

use comfy_table::{Attribute, Color};

use super::{Surface, colour};
use crate::report::{
    AuditReport, Change, Finding, Source, Standing, counted, gating_severity, words,
};

/// A table of the findings that say more than that nothing is wrong; empty if there are none.
pub(super) fn list(source: &Source, surface: Surface) -> String {
    let report = source.report;
    let mut table = surface.table();
    table.set_header(["Model", "Finding", "Verdict", "Gate"]);
    let mut hidden = 0;
    for model in &report.models {
        for finding in &model.findings {
            let standing = Standing::of(report, finding);
            if standing == Standing::Harmless {
                continue;
            }
            if !source.shows(finding) {
                hidden += 1;
                continue;
            }
            let gate = surface.cell(&gate(report, finding, standing));
            table.add_row(vec![
                surface.cell(&model.name).add_attribute(Attribute::Bold),
                surface.cell(&name(finding)),
                surface.cell(&verdict(finding)).fg(colour(finding.verdict)),
                match standing {
                    Standing::Gates(_) => gate.fg(Color::Red).add_attribute(Attribute::Bold),
                    Standing::Untold => gate.fg(Color::Yellow),
                    _ => gate,
                },
            ]);
        }
    }
    let mut text = String::new();
    if table.row_count() > 0 {
        text.push('\n');
        text.push_str(surface.finish(&table).trim_end());
        text.push('\n');
    }
    if hidden > 0 {
        let findings = counted(hidden, "finding", "findings");
        let least = source.min_severity;
        text.push('\n');
        text.push_str(&surface.line(&format!(
            "Not shown: {findings} below --min-severity {least}."
        )));
    }
    text
}

fn name(finding: &Finding) -> String {
    finding.suite.as_ref().map_or_else(
        || finding.rule.clone(),
        |suite| format!("{}\non {suite}", finding.rule),
    )
}

fn verdict(finding: &Finding) -> String {
    let severity = gating_severity(finding).filter(|_| words::has_severity(finding.verdict));
    severity.map_or_else(
        || finding.verdict.name().to_owned(),
        |severity| format!("{}, {severity}", finding.verdict),
    )
}

fn gate(report: &AuditReport, finding: &Finding, standing: Standing) -> String {
    let said = match standing {
        Standing::Gates(_) => "gates".to_owned(),
        Standing::Untold => "could not be told".to_owned(),
        Standing::Waived(waiver) => format!(
            "waived until {} by {}: {}",
            waiver.expires, waiver.owner, waiver.reason
        ),
        Standing::Excused => "excused".to_owned(),
        Standing::Below(_) => format!("below --fail-on {}", report.fail_on),
        Standing::Harmless => String::new(),
    };
    let change = match finding.change {
        None => return said,
        Some(Change::New) => "new",
        Some(Change::Worse) => "worse than approved",
        Some(Change::CannotTell) => "may be worse than approved",
        Some(Change::Unchanged) => "no worse than approved",
        Some(Change::Improved) => "better than approved",
    };
    match standing {
        Standing::Waived(_) => format!("{change}; {said}"),
        _ => format!("{said}: {change}"),
    }
}
