//! Controls of frameworks that the rules are evidence toward, with what the rules found.

use super::{Chip, rule_anchor};
use crate::report::{AuditReport, ControlDoc};

pub(super) struct Framework<'a> {
    pub title: &'a str,
    pub source: &'a str,
    pub controls: Vec<ControlView<'a>>,
}

pub(super) struct ControlView<'a> {
    pub control: &'a ControlDoc,
    /// Rules that name it: anchor, title, and the verdict on each model.
    pub rules: Vec<(String, &'a str, Vec<(&'a str, Chip)>)>,
}

/// In the order in which controls come, by framework.
pub(super) fn frameworks(report: &AuditReport) -> Vec<Framework<'_>> {
    let groups = report
        .controls
        .chunk_by(|a, b| a.framework_title == b.framework_title);
    groups
        .filter_map(|controls| {
            let first = controls.first()?;
            Some(Framework {
                title: &first.framework_title,
                source: &first.source,
                controls: controls.iter().map(|one| control(report, one)).collect(),
            })
        })
        .collect()
}

fn control<'a>(report: &'a AuditReport, control: &'a ControlDoc) -> ControlView<'a> {
    let rules = report.rules.iter().enumerate();
    let bearing = rules.filter(|(_, rule)| rule.controls.contains(&control.id));
    ControlView {
        control,
        rules: bearing
            .map(|(at, rule)| {
                let findings = report.models.iter().flat_map(|model| {
                    let own = model.findings.iter().filter(|f| f.rule == rule.id);
                    own.map(|finding| (model.name.as_str(), Chip::from(finding.verdict)))
                });
                (rule_anchor(at), rule.title.as_str(), findings.collect())
            })
            .collect(),
    }
}
