//! Declarations: what is claimed of the models, with its evidence, and which controls that is evidence toward.

use serde_json::{Value, json};

use super::{Bom, hash};
use crate::report::assurance::{State, controls_of, frameworks, measured, rule_of, test_name};
use crate::report::{ControlDoc, Finding, ModelAudit};

impl Bom<'_> {
    pub(super) fn declarations(&self) -> Value {
        let report = self.report;
        let findings = || {
            let models = report.models.iter();
            models.flat_map(|model| model.findings.iter().map(move |finding| (model, finding)))
        };
        json!({
            "assessors": [{
                "bom-ref": self.ids.part(&["assessor"]),
                "organization": {"name": "The party that ran Candor, which the report does not name"},
            }],
            "attestations": report.models.iter().map(|model| self.attestation(model)).collect::<Vec<_>>(),
            "claims": findings().map(|(model, finding)| self.claim(model, finding)).collect::<Vec<_>>(),
            "evidence": findings().map(|(model, finding)| self.evidence(model, finding)).collect::<Vec<_>>(),
            "targets": {
                "components": report
                    .models
                    .iter()
                    .map(|model| json!({
                        "type": "machine-learning-model",
                        "bom-ref": self.target(model),
                        "name": model.name,
                        "hashes": model.files.first().map(|file| hash(&file.sha256)).into_iter().collect::<Vec<_>>(),
                    }))
                    .collect::<Vec<_>>(),
            },
        })
    }

    /// Claims of one model beside the controls that they are evidence toward.
    pub(super) fn attestation(&self, model: &ModelAudit) -> Value {
        let controls = self.report.controls.iter();
        json!({
            "summary": format!(
                "What the findings on {} are evidence toward. It states compliance with no control.",
                model.name
            ),
            "assessor": self.ids.part(&["assessor"]),
            "map": controls.filter_map(|control| self.mapped(model, control)).collect::<Vec<_>>(),
        })
    }

    pub(super) fn mapped(&self, model: &ModelAudit, control: &ControlDoc) -> Option<Value> {
        let (mut claims, mut counter) = (Vec::new(), Vec::new());
        for finding in &model.findings {
            if controls_of(self.report, finding).any(|named| named.id == control.id) {
                match State::of(self.report, model, finding) {
                    State::Passed => &mut claims,
                    State::Warned(_) | State::Failed(_) | State::Untold => &mut counter,
                }
                .push(self.claim_ref(finding));
            }
        }
        let (held, of) = (claims.len(), claims.len() + counter.len());
        #[allow(clippy::cast_precision_loss, reason = "there are few rules")]
        let score = held as f64 / of as f64;
        (of > 0).then(|| {
            json!({
                "requirement": self.control_ref(control),
                "claims": claims,
                "counterClaims": counter,
                "conformance": {
                    "score": score,
                    "rationale": format!(
                        "{held} of {of} findings of rules that bear on this control passed. {} The score counts findings; whether the control is met depends on more.",
                        control.bearing
                    ),
                },
            })
        })
    }

    pub(super) fn claim(&self, model: &ModelAudit, finding: &Finding) -> Value {
        let state = State::of(self.report, model, finding);
        let rule = rule_of(self.report, finding);
        let remark = state.remark(model);
        let reasons = finding.reasons.join(" ");
        let reference = vec![self.evidence_ref(finding)];
        // Of what did not pass the evidence speaks against the claim.
        let (evidence, counter) = match state {
            State::Passed => (reference, Vec::new()),
            State::Warned(_) | State::Failed(_) | State::Untold => (Vec::new(), reference),
        };
        json!({
            "bom-ref": self.claim_ref(finding),
            "target": self.target(model),
            "predicate": format!(
                "Not found by the rule {}: {}",
                test_name(finding),
                rule.map_or(&finding.title, |rule| &rule.summary)
            ),
            "reasoning": remark.map_or_else(
                || format!("{}. {reasons}", finding.verdict),
                |remark| format!("{}. {reasons} {remark}", finding.verdict)
            ),
            "evidence": evidence,
            "counterEvidence": counter,
        })
    }

    pub(super) fn evidence(&self, model: &ModelAudit, finding: &Finding) -> Value {
        let signals = finding.signals.iter();
        let mut data: Vec<Value> = signals
            .map(|signal| {
                text(
                    &signal.name,
                    &format!("{} {}", measured(signal), signal.meaning),
                )
            })
            .collect();
        let samples = model.samples.iter();
        data.extend(
            samples
                .filter(|sample| Some(&sample.suite) == finding.suite.as_ref())
                .map(|sample| {
                    let said = json!({"prompt": sample.prompt, "said": sample.said, "condition": sample.condition});
                    json!({
                        "name": format!("sample {}", sample.item),
                        "contents": {"attachment": {"contentType": "application/json", "content": said.to_string()}},
                    })
                }),
        );
        json!({
            "bom-ref": self.evidence_ref(finding),
            "propertyName": format!("candor:{}", finding.rule),
            "description": format!("{}: {}", test_name(finding), finding.reasons.join(" ")),
            "data": data,
            "created": self.report.finished,
        })
    }

    pub(super) fn standards(&self) -> Vec<Value> {
        let standard = |controls: &Vec<&ControlDoc>| {
            let first = controls.first()?;
            let links = first
                .source
                .contains("://")
                .then(|| json!({"type": "website", "url": first.source}));
            Some(json!({
                "bom-ref": self.ids.part(&["standard", &first.framework]),
                "name": first.framework,
                "description": first.framework_title,
                "requirements": controls
                    .iter()
                    .map(|control| json!({
                        "bom-ref": self.control_ref(control),
                        "identifier": control.id,
                        "title": control.title,
                        "descriptions": [control.bearing],
                    }))
                    .collect::<Vec<_>>(),
                "externalReferences": links.into_iter().collect::<Vec<_>>(),
            }))
        };
        frameworks(self.report)
            .iter()
            .filter_map(standard)
            .collect()
    }
}

fn text(name: &str, content: &str) -> Value {
    json!({"name": name, "contents": {"attachment": {"contentType": "text/plain", "content": content}}})
}
