//! OSCAL assessment-results 1.2.1: one result for each model, an observation for each signal, a finding for each rule.
//!
//! <https://pages.nist.gov/OSCAL-Reference/models/v1.2.1/assessment-results/json-outline/>. OSCAL knows satisfied and not satisfied:
//! what could not be told is not satisfied, and a property says why. A finding's target is the rule's own objective, never a control: a
//! satisfied objective is evidence toward controls, which `reviewed-controls` lists.

use std::path::Path;

use serde_json::{Value, json};

use super::assurance::{
    Ids, State, controls_of, frameworks, line, measured, pruned, rule_of, test_name, unexplained,
};
use super::{
    AuditReport, Change, ControlDoc, FileDigest, Finding, ModelAudit, Sample, SignalLine, Source,
    Standing, counted, gating_severity,
};
use crate::fault::{Fault, Result};
use crate::files::Staged;

/// The version of OSCAL.
const VERSION: &str = "1.2.1";

/// Candor's own properties.
const NS: &str = "urn:candor:oscal";

/// The document, with a line break at its end.
///
/// # Errors
/// Never for plain data; the type is that of the library underneath.
pub fn write(report: &AuditReport) -> Result<String> {
    let document = Document {
        report,
        ids: Ids::of(report, "oscal")?,
    };
    serde_json::to_string_pretty(&pruned(document.whole()))
        .map(|text| text + "\n")
        .map_err(|error| Fault::failed("writing the report as OSCAL", error.to_string()))
}

pub(super) fn stage(source: &Source, place: &Path) -> Result<Vec<Staged>> {
    Ok(vec![Staged::bytes(
        place,
        write(source.report)?.as_bytes(),
    )?])
}

struct Document<'a> {
    report: &'a AuditReport,
    ids: Ids,
}

impl Document<'_> {
    fn whole(&self) -> Value {
        let report = self.report;
        let names: Vec<&str> = report
            .models
            .iter()
            .map(|model| model.name.as_str())
            .collect();
        let title = match line(&report.title) {
            title if title.is_empty() => format!("Audit of {}", names.join(", ")),
            title => title,
        };
        let results: Vec<Value> = match report.models.as_slice() {
            [] => vec![self.result(None)],
            models => models
                .iter()
                .map(|model| self.result(Some(model)))
                .collect(),
        };
        json!({
            "assessment-results": {
                "uuid": self.ids.document(),
                "metadata": {
                    "title": line(&title),
                    "last-modified": report.finished,
                    "version": report.tool_version,
                    "oscal-version": VERSION,
                    "props": [
                        prop("command", &report.command),
                        prop("seed", &report.seed.to_string()),
                        prop("fail-on", report.fail_on.name()),
                    ],
                    "remarks": "Evidence toward the controls that are listed. It states compliance with none of them.",
                },
                "import-ap": {
                    "href": format!("#{}", self.plan()),
                    "remarks": "The plan is the rules and suites that the resource names: there is no assessment plan in OSCAL.",
                },
                "results": results,
                "back-matter": {"resources": self.resources()},
            }
        })
    }

    fn result(&self, model: Option<&ModelAudit>) -> Value {
        let report = self.report;
        let head = json!({
            "uuid": self.ids.part(&["result", model.map_or("", |model| &model.name)]),
            "title": model.map_or_else(|| "No model".to_owned(), |model| line(&format!("Audit of {}", model.name))),
            "description": model.map_or_else(
                || "No model was audited.".to_owned(),
                |model| format!("What {} found on the exported model `{}`.", counted(report.rules.len(), "rule", "rules"), line(&model.name)),
            ),
            "start": report.started,
            "end": report.finished,
            "reviewed-controls": self.reviewed(),
        });
        let Some(model) = model else { return head };
        let mut result = head;
        let rest = json!({
            "props": model_props(model),
            "local-definitions": {
                "components": [self.component(model)],
                "assessment-assets": self.assets(model),
            },
            "observations": self.observations(model),
            "risks": model.findings.iter().filter_map(|finding| self.risk(model, finding)).collect::<Vec<_>>(),
            "findings": model.findings.iter().map(|finding| self.finding(model, finding)).collect::<Vec<_>>(),
            "remarks": remarks(model),
        });
        if let (Value::Object(result), Value::Object(rest)) = (&mut result, rest) {
            result.extend(rest);
        }
        result
    }

    /// The controls that the rules name, framework by framework.
    fn reviewed(&self) -> Value {
        let selection = |controls: &Vec<&ControlDoc>| {
            let first = controls.first();
            json!({
                "description": first.map(|first| line(&first.framework_title)),
                "links": first.map(|first| link(&first.source)).into_iter().collect::<Vec<_>>(),
                "props": controls.iter().map(|control| control_prop(control)).collect::<Vec<_>>(),
                "include-controls": selected(controls.iter().map(|control| control.id.as_str())),
            })
        };
        let mut selections: Vec<Value> = frameworks(self.report).iter().map(selection).collect();
        let unknown = unexplained(self.report);
        if !unknown.is_empty() {
            selections.push(json!({
                "description": "Controls that the rules name and no mapping explains.",
                "props": unknown.iter().map(|id| prop("control", id)).collect::<Vec<_>>(),
                "include-controls": selected(unknown.iter().copied()),
            }));
        }
        if selections.is_empty() {
            selections.push(json!({
                "description": "The rules name no control: their own objectives stand here.",
                "include-controls": selected(self.report.rules.iter().map(|rule| rule.id.as_str())),
            }));
        }
        json!({
            "description": "Controls that the rules are evidence toward, one selection for each framework.",
            "control-selections": selections,
        })
    }

    fn component(&self, model: &ModelAudit) -> Value {
        let digests = model.files.iter();
        let mut props: Vec<Value> = digests
            .map(|file| json!({"name": "sha256", "ns": NS, "value": file.sha256, "remarks": file.path}))
            .collect();
        let arch = &model.architecture;
        props.push(prop(
            "architecture",
            &format!("{} layers, width {}", arch.n_layers, arch.d_model),
        ));
        json!({
            "uuid": self.model(model),
            "type": "software",
            "title": line(&model.name),
            "description": "A language model, as it was exported to ONNX.",
            "props": props,
            "status": {"state": "other", "remarks": "The audit knows nothing of where the model is used."},
        })
    }

    fn assets(&self, model: &ModelAudit) -> Value {
        let report = self.report;
        let runtime = &report.runtime;
        let mut settings = vec![
            prop("version", &runtime.version),
            prop("provider", &runtime.provider),
            prop("threads", &runtime.threads.to_string()),
            prop("optimisation", &runtime.optimisation),
            prop("sha256", &runtime.library_sha256),
        ];
        let more = runtime.settings.iter();
        settings.extend(more.map(|one| prop("setting", &format!("{} = {}", one.name, one.value))));
        let host = &report.host;
        let status = json!({"state": "operational"});
        json!({
            "components": [
                {
                    "uuid": self.tool(model),
                    "type": "software",
                    "title": "Candor",
                    "description": "Audits exported language models for deception.",
                    "props": [
                        prop("version", &report.tool_version),
                        prop("sha256", report.tool_sha256.as_deref().unwrap_or_default()),
                    ],
                    "status": status,
                },
                {
                    "uuid": self.runtime(model),
                    "type": "software",
                    "title": "ONNX Runtime",
                    "description": "Runs the model.",
                    "props": settings,
                    "status": status,
                }
            ],
            "assessment-platforms": [{
                "uuid": self.ids.part(&["platform", &model.name]),
                "title": line(&format!("{} {}", host.os, host.arch)),
                "props": [
                    prop("cpu", host.cpu.as_deref().unwrap_or_default()),
                    prop("cores", &host.cores.to_string()),
                ],
                "uses-components": [{"component-uuid": self.tool(model)}, {"component-uuid": self.runtime(model)}],
            }],
        })
    }

    fn observations(&self, model: &ModelAudit) -> Vec<Value> {
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
    fn samples(&self, model: &ModelAudit, suite: &str) -> Option<Value> {
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

    fn signal(&self, model: &ModelAudit, finding: &Finding, signal: &SignalLine) -> Value {
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
    fn judgement(&self, model: &ModelAudit, finding: &Finding) -> Value {
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
    fn evidence(&self, model: &ModelAudit, finding: &Finding) -> Vec<Value> {
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

    fn observation(
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

    fn finding(&self, model: &ModelAudit, finding: &Finding) -> Value {
        let state = State::of(self.report, model, finding);
        let (satisfied, reason) = match state {
            State::Passed => ("satisfied", "pass"),
            State::Untold => ("not-satisfied", "other"),
            State::Failed(_) | State::Warned(_) => ("not-satisfied", "fail"),
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
        let risk = self
            .is_risk(finding)
            .then(|| self.ids.part(&["risk", &finding.fingerprint]));
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

    /// What a person has to deal with, gating or not.
    fn is_risk(&self, finding: &Finding) -> bool {
        gating_severity(finding).is_some()
    }

    fn risk(&self, model: &ModelAudit, finding: &Finding) -> Option<Value> {
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

    /// What observations point at: the plan, the files of rules, the suites and detectors of every model.
    fn resources(&self) -> Vec<Value> {
        let report = self.report;
        let mut suites: Vec<(&str, &str)> = Vec::new();
        let mut detectors: Vec<(&str, &str)> = Vec::new();
        for model in &report.models {
            suites.extend(
                model
                    .suites
                    .iter()
                    .map(|suite| (suite.id.as_str(), suite.digest.as_str())),
            );
            detectors.extend(
                model
                    .detectors
                    .iter()
                    .map(|one| (one.id.as_str(), one.digest.as_str())),
            );
        }
        suites.sort_unstable();
        suites.dedup();
        detectors.sort_unstable();
        detectors.dedup();
        let files = report.rule_files.iter().chain(&report.waiver_files);
        let mut all = vec![json!({
            "uuid": self.plan(),
            "title": "What was planned",
            "description": "The rules, and the suites of prompts that they are judged on.",
            "rlinks": report.rule_files.iter().map(rlink).collect::<Vec<_>>(),
            "props": suites.iter().map(|(id, _)| prop("suite", id)).collect::<Vec<_>>(),
        })];
        all.extend(files.map(|file| {
            json!({
                "uuid": self.resource("file", &file.path),
                "title": line(&file.path),
                "rlinks": [rlink(file)],
            })
        }));
        all.extend(suites.iter().map(|(id, digest)| {
            self.digested(
                self.resource("suite", id),
                &format!("The suite {id}"),
                digest,
            )
        }));
        // Detectors of two models may share an id.
        all.extend(detectors.iter().map(|(id, digest)| {
            let uuid = self.ids.part(&["resource", "detector", id, digest]);
            self.digested(uuid, &format!("The detector {id}"), digest)
        }));
        if let Some(baseline) = &report.baseline {
            all.push(json!({
                "uuid": self.resource("baseline", &baseline.path),
                "title": "The report of the approved model",
                "rlinks": [{"href": href(&baseline.path), "hashes": [hash(&baseline.sha256)]}],
            }));
        }
        all
    }

    /// What is made of several files, with the digest over them.
    fn digested(&self, uuid: String, title: &str, digest: &str) -> Value {
        json!({
            "uuid": uuid,
            "title": line(title),
            "props": [prop("sha256", digest)],
        })
    }

    fn origin(&self, model: &ModelAudit) -> Value {
        json!({"actors": [{"type": "tool", "actor-uuid": self.tool(model)}]})
    }

    fn plan(&self) -> String {
        self.ids.part(&["plan"])
    }

    /// Each result has assets of its own, since no two things of a document may share a UUID.
    fn tool(&self, model: &ModelAudit) -> String {
        self.ids.part(&["tool", &model.name])
    }

    fn runtime(&self, model: &ModelAudit) -> String {
        self.ids.part(&["runtime", &model.name])
    }

    fn model(&self, model: &ModelAudit) -> String {
        self.ids.part(&["model", &model.name])
    }

    fn resource(&self, kind: &str, name: &str) -> String {
        self.ids.part(&["resource", kind, name])
    }
}

fn selected<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<Value> {
    ids.map(|id| json!({"control-id": token(id)})).collect()
}

fn model_props(model: &ModelAudit) -> Vec<Value> {
    let incomplete = model.incomplete.iter();
    let mut props = vec![prop("verdict", model.verdict.name())];
    props.extend(incomplete.map(|gap| prop("incomplete", &format!("{}: {}", gap.what, gap.why))));
    props
}

/// What a reader has to know first, and what was not measured.
fn remarks(model: &ModelAudit) -> Option<String> {
    let gaps = model
        .unmeasured
        .iter()
        .map(|gap| format!("Not measured: {}, {}.", gap.what, gap.why));
    let all: Vec<String> = model
        .caveats
        .iter()
        .map(|caveat| format!("{caveat}."))
        .chain(gaps)
        .collect();
    (!all.is_empty()).then(|| all.join(" "))
}

/// A sample as a person reads it; the model's words are code, so that no markup of theirs is one of the document.
fn said(sample: &Sample) -> String {
    format!(
        "Asked:\n\n{}\n\nSaid:\n\n{}",
        fenced(&sample.prompt),
        fenced(&sample.said)
    )
}

fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{text}\n{fence}")
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

/// A property of Candor's; null, and so left out, where there is no value.
fn prop(name: &str, value: &str) -> Value {
    match line(value) {
        value if value.is_empty() => Value::Null,
        value => json!({"name": name, "ns": NS, "value": value}),
    }
}

fn control_prop(control: &ControlDoc) -> Value {
    json!({
        "name": "control",
        "ns": NS,
        "value": line(&control.id),
        "class": token(&control.framework),
        "remarks": format!("{} {}", control.title, control.bearing),
    })
}

fn link(source: &str) -> Value {
    if source.starts_with("https://") || source.starts_with("http://") {
        json!({"href": source, "rel": "reference"})
    } else {
        Value::Null
    }
}

fn rlink(file: &FileDigest) -> Value {
    json!({"href": href(&file.path), "hashes": [hash(&file.sha256)]})
}

fn hash(sha256: &str) -> Value {
    json!({"algorithm": "SHA-256", "value": sha256})
}

/// A path as a reference: what is not plain is percent-encoded.
fn href(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.replace('\\', "/").bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text += &format!("%{byte:02X}");
        }
    }
    text
}

/// As OSCAL spells identifiers: letters, digits, points between them, and hyphens for the rest.
fn token(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut token = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let next = letters.get(index + 1);
        if letter.is_ascii_alphanumeric()
            || (*letter == '.' && next.is_some_and(char::is_ascii_digit))
        {
            token.push(letter.to_ascii_lowercase());
        } else if !token.is_empty() && !token.ends_with('-') {
            token.push('-');
        }
    }
    let token = token.trim_end_matches('-');
    if token.starts_with(|c: char| c.is_ascii_alphabetic()) {
        token.to_owned()
    } else {
        format!("_{token}")
    }
}
