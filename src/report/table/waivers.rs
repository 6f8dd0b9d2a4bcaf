//! Waivers that waive nothing: each is a warning.

use super::Surface;
use crate::report::{AuditReport, WaiverRecord, WaiverState};

/// A line for each waiver that is over or that no finding needs; empty if there is none.
pub(super) fn list(report: &AuditReport, surface: Surface) -> String {
    let warnings = report.waivers.iter().filter_map(warning);
    let lines: String = warnings.map(|warning| surface.line(&warning)).collect();
    if lines.is_empty() {
        return lines;
    }
    format!("\n{lines}")
}

fn warning(waiver: &WaiverRecord) -> Option<String> {
    let what = match waiver.state {
        WaiverState::Applied => return None,
        WaiverState::Expired => format!(
            "expired on {} and waives nothing; ask {}",
            waiver.expires, waiver.owner
        ),
        WaiverState::Unused => "is unused: there is no such finding".to_owned(),
    };
    let model = waiver.model.iter().map(|model| format!(" of {model}"));
    let suite = waiver.suite.iter().map(|suite| format!(" on {suite}"));
    let limits: String = model.chain(suite).collect();
    Some(format!(
        "warning: the waiver for {}{limits} ({}:{}) {what}",
        waiver.rule, waiver.file, waiver.line
    ))
}
