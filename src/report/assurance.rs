//! What the exports for compliance have in common: names that stay, where a finding stands, signals and controls in words.

use serde_json::Value;
use uuid::Uuid;

use super::words::{bar, interval, range, trimmed};
use super::{
    AuditReport, ControlDoc, Finding, ModelAudit, RuleDoc, SignalLine, Standing, counted, json,
};
use crate::digest::sha256_of;
use crate::fault::Result;
use crate::rules::Severity;

/// UUIDs (version 5) of what a report speaks of: the same report gives the same ones, another report others.
pub(super) struct Ids(Uuid);

impl Ids {
    /// Ids within one format's rendering of `report`.
    ///
    /// # Errors
    /// The report cannot be written as JSON, whose digest they are made of.
    pub fn of(report: &AuditReport, format: &str) -> Result<Self> {
        let report = sha256_of(json::write(report)?.as_bytes());
        Ok(Self(named(
            &Uuid::NAMESPACE_URL,
            &["candor", format, &report],
        )))
    }

    /// The document's own.
    pub fn document(&self) -> String {
        self.0.to_string()
    }

    /// That of a part of the document, such as `["finding", fingerprint]`.
    pub fn part(&self, name: &[&str]) -> String {
        named(&self.0, name).to_string()
    }
}

/// Each part behind its length, so that no two names are one.
fn named(space: &Uuid, parts: &[&str]) -> Uuid {
    let name: String = parts
        .iter()
        .map(|part| format!("{}:{part}", part.len()))
        .collect();
    Uuid::new_v5(space, name.as_bytes())
}

/// Where a finding stands for whoever only knows passed, warned and failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State<'a> {
    /// The rule found nothing that could gate.
    Passed,
    /// There is something, which does not gate: it is waived, the approved model had it, or it lies below `fail_on`.
    Warned(Standing<'a>),
    /// It gates.
    Failed(Severity),
    /// It could not be told, or the audit of the model did not come to its end.
    Untold,
}

impl<'a> State<'a> {
    /// The state of a finding on `model`.
    pub fn of(report: &'a AuditReport, model: &ModelAudit, finding: &Finding) -> Self {
        match Standing::of(report, finding) {
            Standing::Gates(severity) => Self::Failed(severity),
            _ if !model.incomplete.is_empty() => Self::Untold,
            Standing::Untold => Self::Untold,
            Standing::Harmless => Self::Passed,
            warned @ (Standing::Waived(_) | Standing::Excused | Standing::Below(_)) => {
                Self::Warned(warned)
            }
        }
    }

    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned(Standing::Waived(_)) => "waived",
            Self::Warned(Standing::Excused) => "in-approved-model",
            Self::Warned(_) => "below-fail-on",
            Self::Failed(_) => "failed",
            Self::Untold => "not-told",
        }
    }

    /// What the state means where the verdict alone does not say it.
    pub fn remark(self, model: &ModelAudit) -> Option<String> {
        match self {
            Self::Warned(Standing::Waived(waiver)) => Some(format!(
                "Waived by {} until {}: {}",
                waiver.owner, waiver.expires, waiver.reason
            )),
            Self::Warned(Standing::Excused) => {
                Some("The approved model had it, and this one is measurably no worse.".to_owned())
            }
            Self::Warned(Standing::Below(severity)) => Some(format!(
                "Its severity, {}, lies below the one that gates.",
                severity.name()
            )),
            Self::Untold if !model.incomplete.is_empty() => {
                let gaps = model.incomplete.iter();
                let gaps: Vec<String> = gaps
                    .map(|gap| format!("{}: {}", gap.what, gap.why))
                    .collect();
                Some(format!(
                    "The audit of this model is incomplete. {}",
                    gaps.join("; ")
                ))
            }
            Self::Untold => Some("It could not be told, which is no pass.".to_owned()),
            _ => None,
        }
    }
}

/// A finding's name within its model: the rule, and the suite that it was judged on.
pub(super) fn test_name(finding: &Finding) -> String {
    match &finding.suite {
        Some(suite) => format!("{} on {suite}", finding.rule),
        None => finding.rule.clone(),
    }
}

/// A finding's rule.
pub(super) fn rule_of<'a>(report: &'a AuditReport, finding: &Finding) -> Option<&'a RuleDoc> {
    report.rules.iter().find(|rule| rule.id == finding.rule)
}

/// The controls that a finding is evidence toward, as far as a mapping knows them.
pub(super) fn controls_of<'a>(
    report: &'a AuditReport,
    finding: &Finding,
) -> impl Iterator<Item = &'a ControlDoc> {
    let named = rule_of(report, finding).map_or(&[][..], |rule| &rule.controls[..]);
    report
        .controls
        .iter()
        .filter(|control| named.contains(&control.id))
}

/// Controls by framework, both in the order of the report.
pub(super) fn frameworks(report: &AuditReport) -> Vec<Vec<&ControlDoc>> {
    let mut groups: Vec<Vec<&ControlDoc>> = Vec::new();
    for control in &report.controls {
        let same = |group: &&mut Vec<&ControlDoc>| {
            group
                .first()
                .is_some_and(|first| first.framework == control.framework)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(control),
            None => groups.push(vec![control]),
        }
    }
    groups
}

/// The controls that rules name and no mapping explains, each once.
pub(super) fn unexplained(report: &AuditReport) -> Vec<&str> {
    let mut unknown: Vec<&str> = Vec::new();
    for id in report.rules.iter().flat_map(|rule| &rule.controls) {
        let known = report.controls.iter().any(|control| control.id == *id);
        if !known && !unknown.contains(&id.as_str()) {
            unknown.push(id);
        }
    }
    unknown
}

/// What was measured and what was asked of it, in a sentence.
pub(super) fn measured(signal: &SignalLine) -> String {
    let value = match (&signal.estimate, &signal.why_not) {
        (Some(estimate), _) => format!(
            "{} (95 %: {}; {} in {})",
            trimmed(estimate.point),
            interval(estimate),
            counted(estimate.n, "item", "items"),
            counted(estimate.clusters, "group", "groups"),
        ),
        (None, Some(why)) => format!("not measured: {why}"),
        (None, None) => "not measured".to_owned(),
    };
    let bars: Vec<String> = signal
        .bars
        .iter()
        .map(|one| {
            let met = match one.met {
                Some(true) => "met",
                Some(false) => "not met",
                None => "cannot be told",
            };
            format!("{} asks for {}: {met}", one.block, bar(one))
        })
        .collect();
    // What accuses is held against the wider interval.
    let joint = signal.joint.map_or_else(String::new, |joint| {
        format!(", over all rules at once {}", range(joint.low, joint.high))
    });
    let asked = if bars.is_empty() {
        String::new()
    } else {
        format!(". {}", bars.join("; "))
    };
    format!("{}: {value}{joint}{asked}.", signal.label)
}

/// Without null, and without objects and lists that are empty: neither OSCAL nor CycloneDX wants them.
pub(super) fn pruned(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| (key, pruned(value)))
                .filter(|(_, value)| says_something(value))
                .collect(),
        ),
        Value::Array(items) => Value::Array(
            items
                .into_iter()
                .map(pruned)
                .filter(says_something)
                .collect(),
        ),
        other => other,
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// On one line, without blanks around it.
pub(super) fn line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}
