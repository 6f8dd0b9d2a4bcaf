//! What was measured and said: the observations of a result.

use serde_json::{Value, json};

use super::Document;
use super::values::{fenced, prop};
use crate::report::assurance::{line, measured, test_name};
use crate::report::{Finding, ModelAudit, Sample, SignalLine};

impl Document<'_> {
    pub(super) fn observations(&self, model: &ModelAudit) -> Vec<Value> {
        let mut all: Vec<Value> = model
            .suites
            .iter()
            .filter_map(|suite| self.samples(model, &suite.id))
            .collect();
        for finding in &model.findings {
            let signals = finding.signals.iter();
            all.extend(signals.map(|signal| self.signal(model, finding, signal)));
            all.push(self.judgement(model, finding));
        }
        all
    }

    /// Random inputs and outputs of a suite.
    pub(super) fn samples(&self, model: &ModelAudit, suite: &str) -> Option<Value> {
        let samples: Vec<Value> = model
            .samples
            .iter()
            .filter(|sample| sample.suite == suite)
            .map(|sample| {
                json!({
                    "href": format!("#{}", self.resource("suite", suite)),
                    "description": said(sample),
                    "props": [prop("item", &sample.item), prop("condition", &sample.condition)],
                })
            })
            .collect();
        if samples.is_empty() {
            return None;
        }
        Some(self.observation(
            model,
            &["samples", &model.name, suite],
            &format!("Random inputs and outputs of {suite}"),
            "Inputs of the suite and what the model said, drawn by the seed of the audit.",
            "TEST",
            samples,
        ))
    }

    pub(super) fn signal(
        &self,
        model: &ModelAudit,
        finding: &Finding,
        signal: &SignalLine,
    ) -> Value {
        // What is visible inside is examined; answers and interventions are tests.
        let inside =
            !signal.bars.is_empty() && signal.bars.iter().all(|bar| bar.block == "representation");
        let mut observation = self.observation(
            model,
            &["signal", &finding.fingerprint, &signal.name],
            &format!("{}: {}", test_name(finding), signal.label),
            &measured(signal),
            if inside { "EXAMINE" } else { "TEST" },
            self.evidence(model, finding),
        );
        let notes = [Some(&signal.meaning), signal.note.as_ref()];
        let notes: Vec<&str> = notes.into_iter().flatten().map(String::as_str).collect();
        if let Some(fields) = observation.as_object_mut() {
            fields.insert("remarks".to_owned(), json!(notes.join(" ")));
        }
        observation
    }

    /// What the rule concludes from its signals.
    pub(super) fn judgement(&self, model: &ModelAudit, finding: &Finding) -> Value {
        self.observation(
            model,
            &["judgement", &finding.fingerprint],
            &format!("{}: reasons", test_name(finding)),
            &finding.reasons.join(" "),
            "EXAMINE",
            self.evidence(model, finding),
        )
    }

    /// The suite and the rule file.
    pub(super) fn evidence(&self, model: &ModelAudit, finding: &Finding) -> Vec<Value> {
        let suite = finding.suite.as_ref().map(|suite| {
            json!({
                "href": format!("#{}", self.resource("suite", suite)),
                "description": format!("The suite `{suite}`, asked of `{}`.", model.name),
            })
        });
        let rule = json!({
            "href": format!("#{}", self.resource("file", &finding.file)),
            "description": format!("The rule `{}`, line {} of {}.", finding.rule, finding.line, finding.file),
        });
        suite.into_iter().chain([rule]).collect()
    }

    pub(super) fn observation(
        &self,
        model: &ModelAudit,
        name: &[&str],
        title: &str,
        description: &str,
        method: &str,
        evidence: Vec<Value>,
    ) -> Value {
        json!({
            "uuid": self.ids.part(name),
            "title": line(title),
            "description": description,
            "methods": [method],
            "types": ["control-objective"],
            "origins": [self.origin(model)],
            "subjects": [{"subject-uuid": self.model(model), "type": "component"}],
            "relevant-evidence": evidence,
            "collected": self.report.finished,
        })
    }
}

/// A sample as a person reads it; the model's words are code, so that no markup of theirs is one of the document.
fn said(sample: &Sample) -> String {
    format!(
        "Asked:\n\n{}\n\nSaid:\n\n{}",
        fenced(&sample.prompt),
        fenced(&sample.said)
    )
}
