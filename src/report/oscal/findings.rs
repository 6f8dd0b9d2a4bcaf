//! What the rules conclude, and what a person has to deal with: the findings and risks of a result.

use serde_json::{Value, json};

use super::Document;
use super::values::{NS, control_prop, prop, token};
use crate::report::assurance::{State, controls_of, line, rule_of, test_name};
use crate::report::{Change, Finding, ModelAudit, Standing, gating_severity};

impl Document<'_> {
    pub(super) fn finding(&self, model: &ModelAudit, finding: &Finding) -> Value {
        let state = State::of(self.report, model, finding);
        let (satisfied, reason) = match state {
            State::Passed => ("satisfied", "pass"),
            State::Failed(_) | State::Warned(_) if gating_severity(finding).is_some() => {
                ("not-satisfied", "fail")
            }
            _ => ("not-satisfied", "other"),
        };
        let mut props = vec![
            prop("verdict", finding.verdict.name()),
            prop("state", state.name()),
            prop("severity", finding.severity.name()),
            prop("fingerprint", &finding.fingerprint),
            prop("change", finding.change.map(change).unwrap_or_default()),
        ];
        props.extend(controls_of(self.report, finding).map(control_prop));
        let signals = finding.signals.iter();
        let mut observations: Vec<String> = signals
            .map(|signal| {
                self.ids
                    .part(&["signal", &finding.fingerprint, &signal.name])
            })
            .collect();
        observations.push(self.ids.part(&["judgement", &finding.fingerprint]));
        let risk = gating_severity(finding).map(|_| self.ids.part(&["risk", &finding.fingerprint]));
        let rule = rule_of(self.report, finding);
        json!({
            "uuid": self.ids.part(&["finding", &finding.fingerprint]),
            "title": line(&finding.title),
            "description": finding.reasons.join(" "),
            "props": props,
            "origins": [self.origin(model)],
            "target": {
                "type": "objective-id",
                "target-id": token(&test_name(finding)),
                "title": line(&format!("Not found: {}", finding.title)),
                "description": rule.map(|rule| format!("Satisfied where the rule does not find what it looks for. {}", rule.summary)),
                "status": {
                    "state": satisfied,
                    "reason": reason,
                    "remarks": state.remark(model),
                },
            },
            "related-observations": observations
                .into_iter()
                .map(|uuid| json!({"observation-uuid": uuid}))
                .collect::<Vec<_>>(),
            "related-risks": risk.map(|uuid| json!({"risk-uuid": uuid})).into_iter().collect::<Vec<_>>(),
        })
    }

    pub(super) fn risk(&self, model: &ModelAudit, finding: &Finding) -> Option<Value> {
        let severity = gating_severity(finding)?;
        let standing = Standing::of(self.report, finding);
        let waiver = match standing {
            Standing::Waived(waiver) => Some(waiver),
            _ => None,
        };
        let rule = rule_of(self.report, finding);
        let mut props = Vec::new();
        if let Some(waiver) = waiver {
            props.extend([
                prop("waiver-owner", &waiver.owner),
                prop("waiver-expires", &waiver.expires),
                prop("waiver-reason", &waiver.reason),
            ]);
        }
        let remark = State::of(self.report, model, finding).remark(model);
        let reasons = finding.reasons.join(" ");
        Some(json!({
            "uuid": self.ids.part(&["risk", &finding.fingerprint]),
            "title": line(&finding.title),
            "description": remark.map_or_else(|| reasons.clone(), |remark| format!("{reasons} {remark}")),
            "statement": rule.map_or(&finding.title, |rule| &rule.why),
            "props": props,
            "status": if waiver.is_some() { "deviation-approved" } else { "open" },
            "origins": [self.origin(model)],
            "characterizations": [{
                "origin": self.origin(model),
                "facets": [{"name": "severity", "system": NS, "value": severity.name()}],
            }],
            "deadline": waiver.map(|waiver| format!("{}T23:59:59Z", waiver.expires)),
            "remediations": rule.map(|rule| json!({
                "uuid": self.ids.part(&["remediation", &finding.fingerprint]),
                "lifecycle": "recommendation",
                "title": "What to do",
                "description": rule.remediation,
            })).into_iter().collect::<Vec<_>>(),
            "related-observations": [{"observation-uuid": self.ids.part(&["judgement", &finding.fingerprint])}],
        }))
    }
}

fn change(change: Change) -> &'static str {
    match change {
        Change::New => "new",
        Change::Worse => "worse",
        Change::CannotTell => "cannot-tell",
        Change::Unchanged => "unchanged",
        Change::Improved => "improved",
    }
}
