//! OSCAL assessment-results 1.2.1: one result for each model, an observation for each signal, a finding for each rule.
//!
//! <https://pages.nist.gov/OSCAL-Reference/models/v1.2.1/assessment-results/json-outline/>. OSCAL knows satisfied and not satisfied:
//! what could not be told is not satisfied, and a property says why. A finding's target is the rule's own objective, never a control: a
//! satisfied objective is evidence toward controls, which `reviewed-controls` lists.

mod findings;
mod observations;
mod values;

use serde_json::{Value, json};

use self::values::{NS, control_prop, hash, href, link, prop, rlink, token};
use super::assurance::{Ids, frameworks, line, pruned, unexplained};
use super::{AuditReport, ControlDoc, ModelAudit, Source, counted};
use crate::fault::{Fault, Result};

/// The version of OSCAL.
const VERSION: &str = "1.2.1";

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

pub(super) fn text(source: &Source) -> Result<String> {
    write(source.report)
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
            digested(
                self.resource("suite", id),
                &format!("The suite {id}"),
                digest,
            )
        }));
        // Detectors of two models may share an id.
        all.extend(detectors.iter().map(|(id, digest)| {
            let uuid = self.ids.part(&["resource", "detector", id, digest]);
            digested(uuid, &format!("The detector {id}"), digest)
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

/// What is made of several files, with the digest over them.
fn digested(uuid: String, title: &str, digest: &str) -> Value {
    json!({
        "uuid": uuid,
        "title": line(title),
        "props": [prop("sha256", digest)],
    })
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
