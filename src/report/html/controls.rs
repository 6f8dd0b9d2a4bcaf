//! What each rule found on each model, and the controls of frameworks that this is evidence toward.

use super::{Chip, rule_anchor};
use crate::report::{AuditReport, ControlDoc};

pub(super) struct Framework<'a> {
    pub title: &'a str,
    pub source: &'a str,
    pub controls: Vec<ControlView<'a>>,
}

pub(super) struct ControlView<'a> {
    pub control: &'a ControlDoc,
    /// Anchors and titles of the rules that name it.
    pub rules: Vec<(String, &'a str)>,
}

/// Anchor and title of a rule, and its verdicts on each model: one for each suite.
pub(super) type Row<'a> = (String, &'a str, Vec<(&'a str, Vec<Chip>)>);

/// One row for each rule, one column for each model.
pub(super) fn matrix(report: &AuditReport) -> Vec<Row<'_>> {
    let rules = report.rules.iter().enumerate();
    rules
        .map(|(at, rule)| {
            let verdicts = report.models.iter().map(|model| {
                let own = model.findings.iter().filter(|f| f.rule == rule.id);
                let chips = own.map(|finding| Chip::from(finding.verdict));
                (model.name.as_str(), chips.collect())
            });
            (rule_anchor(at), rule.title.as_str(), verdicts.collect())
        })
        .collect()
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
            .map(|(at, rule)| (rule_anchor(at), rule.title.as_str()))
            .collect(),
    }
}
