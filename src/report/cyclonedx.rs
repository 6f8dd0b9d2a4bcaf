//! CycloneDX 1.7: the models, suites and detectors as a bill of materials, and declarations about the models: a claim for each finding, its
//! evidence, and an attestation that maps claims to the controls that they are evidence toward.
//!
//! <https://cyclonedx.org/docs/1.7/json/>

use std::path::Path;

use serde_json::{Value, json};

use super::assurance::{
    Ids, State, controls_of, frameworks, line, measured, pruned, rule_of, test_name,
};
use super::{AuditReport, ControlDoc, DetectorRecord, Finding, ModelAudit, Source, SuiteRecord};
use crate::fault::{Fault, Result};
use crate::files::Staged;

/// The document, with a line break at its end.
///
/// # Errors
/// Never for plain data; the type is that of the library underneath.
pub fn write(report: &AuditReport) -> Result<String> {
    let bom = Bom {
        report,
        ids: Ids::of(report, "cyclonedx")?,
    };
    serde_json::to_string_pretty(&pruned(bom.whole()))
        .map(|text| text + "\n")
        .map_err(|error| Fault::failed("writing the report as CycloneDX", error.to_string()))
}

pub(super) fn stage(source: &Source, place: &Path) -> Result<Vec<Staged>> {
    Ok(vec![Staged::bytes(
        place,
        write(source.report)?.as_bytes(),
    )?])
}

struct Bom<'a> {
    report: &'a AuditReport,
    ids: Ids,
}

impl Bom<'_> {
    fn whole(&self) -> Value {
        let report = self.report;
        json!({
            "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.7",
            "serialNumber": format!("urn:uuid:{}", self.ids.document()),
            "version": 1,
            "metadata": {
                "timestamp": report.finished,
                "tools": {"components": [self.tool(), self.runtime()]},
                "properties": [
                    property("title", &report.title),
                    property("command", &report.command),
                    property("seed", &report.seed.to_string()),
                    property("fail-on", report.fail_on.name()),
                    property("host", &format!("{} {}", report.host.os, report.host.arch)),
                    property("host:cpu", report.host.cpu.as_deref().unwrap_or_default()),
                ],
            },
            "components": self.components(),
            "dependencies": self.dependencies(),
            "declarations": self.declarations(),
            "definitions": {"standards": self.standards()},
        })
    }

    fn tool(&self) -> Value {
        let report = self.report;
        json!({
            "type": "application",
            "bom-ref": self.ids.part(&["tool"]),
            "name": "candor",
            "version": report.tool_version,
            "description": "Audits exported language models for deception.",
            "hashes": report.tool_sha256.iter().map(|sha256| hash(sha256)).collect::<Vec<_>>(),
        })
    }

    fn runtime(&self) -> Value {
        let runtime = &self.report.runtime;
        let mut properties = vec![
            property("provider", &runtime.provider),
            property("threads", &runtime.threads.to_string()),
            property("optimisation", &runtime.optimisation),
        ];
        let settings = runtime.settings.iter();
        properties
            .extend(settings.map(|one| property(&format!("setting:{}", one.name), &one.value)));
        json!({
            "type": "framework",
            "bom-ref": self.ids.part(&["runtime"]),
            "name": "onnxruntime",
            "version": runtime.version,
            "hashes": [hash(&runtime.library_sha256)],
            "properties": properties,
        })
    }

    /// The models, then what they were held against: rules, waivers, the approved report, suites and detectors, each once.
    fn components(&self) -> Vec<Value> {
        let report = self.report;
        let mut all: Vec<Value> = report
            .models
            .iter()
            .map(|model| self.model(model))
            .collect();
        let rules = report.rule_files.iter().map(|file| (file, "rules"));
        let waivers = report.waiver_files.iter().map(|file| (file, "waivers"));
        all.extend(
            rules
                .chain(waivers)
                .map(|(file, holds)| self.file(&file.path, &file.sha256, holds)),
        );
        let baseline = report.baseline.iter();
        all.extend(
            baseline
                .map(|one| self.file(&one.path, &one.sha256, "the report of the approved model")),
        );
        let suites = unique(report, |model| &model.suites, |suite| suite.id.clone());
        all.extend(suites.map(|suite| self.suite(suite)));
        all.extend(self.detectors().map(|detector| self.detector(detector)));
        all
    }

    fn file(&self, path: &str, sha256: &str, holds: &str) -> Value {
        json!({
            "type": "file",
            "bom-ref": self.ids.part(&["file", path]),
            "name": path,
            "hashes": [hash(sha256)],
            "properties": [property("holds", holds)],
        })
    }

    fn model(&self, model: &ModelAudit) -> Value {
        let arch = &model.architecture;
        let files = model.files.iter();
        let files: Vec<Value> = files
            .map(|file| {
                json!({
                    "type": "file",
                    "bom-ref": self.ids.part(&["model", &model.name, &file.path]),
                    "name": file.path,
                    "hashes": [hash(&file.sha256)],
                    "properties": [property("bytes", &file.bytes.to_string())],
                })
            })
            .collect();
        json!({
            "type": "machine-learning-model",
            "bom-ref": self.model_ref(model),
            "name": model.name,
            "description": "A language model, as it was exported to ONNX.",
            "hashes": model.files.first().map(|file| hash(&file.sha256)).into_iter().collect::<Vec<_>>(),
            "components": files,
            "modelCard": {
                "modelParameters": {
                    "task": "text-generation",
                    "architectureFamily": "transformer",
                    "modelArchitecture": line(&arch.family_hint),
                },
                "quantitativeAnalysis": {"performanceMetrics": metrics(model)},
                "considerations": {"technicalLimitations": limits(model)},
                "properties": [
                    property("layers", &arch.n_layers.to_string()),
                    property("width", &arch.d_model.to_string()),
                    property("vocabulary", &arch.vocab_size.to_string()),
                    property("verdict", model.verdict.name()),
                ],
            },
        })
    }

    fn suite(&self, suite: &SuiteRecord) -> Value {
        json!({
            "type": "data",
            "bom-ref": self.ids.part(&["suite", &suite.id]),
            "name": suite.id,
            "description": format!("{} prompts of purpose {}.", suite.items, suite.purpose),
            "hashes": [hash(&suite.digest)],
            "data": [{"type": "dataset", "name": suite.id}],
        })
    }

    fn detector(&self, detector: &DetectorRecord) -> Value {
        json!({
            "type": "machine-learning-model",
            "bom-ref": self.detector_ref(detector),
            "name": detector.id,
            "description": format!("A detector of {}, {}, at {}.", detector.role, detector.kind, detector.site),
            "hashes": [hash(&detector.digest)],
            "modelCard": {
                "modelParameters": {"task": "detection", "modelArchitecture": detector.kind},
                "considerations": {"technicalLimitations": detector.limits},
            },
        })
    }

    /// The models that each detector reads.
    fn dependencies(&self) -> Vec<Value> {
        let models = &self.report.models;
        let of = |detector: &DetectorRecord| {
            let reads = |model: &&ModelAudit| {
                let mut all = model.detectors.iter();
                all.any(|one| self.detector_ref(one) == self.detector_ref(detector))
            };
            let on: Vec<String> = models
                .iter()
                .filter(reads)
                .map(|model| self.model_ref(model))
                .collect();
            json!({"ref": self.detector_ref(detector), "dependsOn": on})
        };
        self.detectors().map(of).collect()
    }

    /// The detectors of all models, each once. Those of two models may share an id.
    fn detectors(&self) -> impl Iterator<Item = &DetectorRecord> {
        unique(
            self.report,
            |model| &model.detectors,
            |one| self.detector_ref(one),
        )
    }

    fn declarations(&self) -> Value {
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
    fn attestation(&self, model: &ModelAudit) -> Value {
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

    fn mapped(&self, model: &ModelAudit, control: &ControlDoc) -> Option<Value> {
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

    fn claim(&self, model: &ModelAudit, finding: &Finding) -> Value {
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

    fn evidence(&self, model: &ModelAudit, finding: &Finding) -> Value {
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

    fn standards(&self) -> Vec<Value> {
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

    fn model_ref(&self, model: &ModelAudit) -> String {
        self.ids.part(&["model", &model.name])
    }

    fn detector_ref(&self, detector: &DetectorRecord) -> String {
        self.ids.part(&["detector", &detector.id, &detector.digest])
    }

    fn target(&self, model: &ModelAudit) -> String {
        self.ids.part(&["target", &model.name])
    }

    fn claim_ref(&self, finding: &Finding) -> String {
        self.ids.part(&["claim", &finding.fingerprint])
    }

    fn evidence_ref(&self, finding: &Finding) -> String {
        self.ids.part(&["evidence", &finding.fingerprint])
    }

    fn control_ref(&self, control: &ControlDoc) -> String {
        self.ids.part(&["control", &control.id])
    }
}

/// What several models share, once.
fn unique<'a, T: 'a>(
    report: &'a AuditReport,
    of: impl Fn(&'a ModelAudit) -> &'a [T],
    id: impl Fn(&T) -> String,
) -> impl Iterator<Item = &'a T> {
    let mut seen = std::collections::BTreeSet::new();
    let all = report.models.iter().flat_map(of);
    all.filter(move |one| seen.insert(id(one)))
}

/// The measured signals, with their intervals.
fn metrics(model: &ModelAudit) -> Vec<Value> {
    let signals = model
        .findings
        .iter()
        .flat_map(|finding| finding.signals.iter().map(move |signal| (finding, signal)));
    signals
        .filter_map(|(finding, signal)| {
            let estimate = signal.estimate.as_ref()?;
            Some(json!({
                "type": signal.kind,
                "value": estimate.point.to_string(),
                "slice": format!("{}: {}", test_name(finding), signal.name),
                "confidenceInterval": {
                    "lowerBound": estimate.low.to_string(),
                    "upperBound": estimate.high.to_string(),
                },
            }))
        })
        .collect()
}

/// What was found, and what was not measured.
fn limits(model: &ModelAudit) -> Vec<String> {
    let incomplete = model.incomplete.iter();
    let incomplete =
        incomplete.map(|gap| format!("The audit is incomplete: {}, {}.", gap.what, gap.why));
    let unmeasured = model.unmeasured.iter();
    let unmeasured = unmeasured.map(|gap| format!("Not measured: {}, {}.", gap.what, gap.why));
    incomplete
        .chain(unmeasured)
        .chain(model.caveats.iter().cloned())
        .collect()
}

fn text(name: &str, content: &str) -> Value {
    json!({"name": name, "contents": {"attachment": {"contentType": "text/plain", "content": content}}})
}

fn hash(sha256: &str) -> Value {
    json!({"alg": "SHA-256", "content": sha256})
}

/// A property of Candor's; null, and so left out, where there is no value.
fn property(name: &str, value: &str) -> Value {
    match line(value) {
        value if value.is_empty() => Value::Null,
        value => json!({"name": format!("candor:{name}"), "value": value}),
    }
}
