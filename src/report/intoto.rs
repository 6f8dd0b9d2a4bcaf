//! in-toto: one Statement with the predicate test-result v0.1 for each model, each in a DSSE envelope, one envelope a line (a bundle).
//!
//! <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>

use std::path::Path;

use serde_json::{Value, json};

use super::assurance::{State, pruned, test_name};
use super::{AuditReport, FileDigest, ModelAudit, Source};
use crate::fault::{Fault, Result};
use crate::files::Staged;
use crate::seal::{Envelope, Key};

/// What the envelopes hold.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The bundle: signed with `key`, or with an empty list of signatures, which verifiers refuse.
///
/// # Errors
/// Never for plain data; the type is that of the library underneath.
pub fn bundle(report: &AuditReport, key: Option<&Key>) -> Result<String> {
    let envelope = |model: &ModelAudit| {
        let payload = serde_json::to_vec(&statement(report, model))
            .map_err(|error| Fault::failed("writing an in-toto statement", error.to_string()))?;
        match key {
            Some(key) => key.sign(PAYLOAD_TYPE, &payload),
            None => Envelope::unsigned(PAYLOAD_TYPE, &payload),
        }
        .to_line()
    };
    report.models.iter().map(envelope).collect()
}

pub(super) fn stage(source: &Source, place: &Path) -> Result<Vec<Staged>> {
    let text = bundle(source.report, source.key)?;
    Ok(vec![Staged::bytes(place, text.as_bytes())?])
}

fn statement(report: &AuditReport, model: &ModelAudit) -> Value {
    let (mut passed, mut warned, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for finding in &model.findings {
        match State::of(report, model, finding) {
            State::Passed => &mut passed,
            State::Warned(_) => &mut warned,
            State::Failed(_) | State::Untold => &mut failed,
        }
        .push(test_name(finding));
    }
    // An audit without a finding has shown nothing.
    let result = if !failed.is_empty() || model.findings.is_empty() || !model.incomplete.is_empty()
    {
        "FAILED"
    } else if warned.is_empty() {
        "PASSED"
    } else {
        "WARNED"
    };
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": model.files.iter().map(file).collect::<Vec<_>>(),
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {
            "result": result,
            "configuration": configuration(report, model),
            "passedTests": passed,
            "warnedTests": warned,
            "failedTests": failed,
        }
    })
}

/// Everything that decides the result beside the model: rules, suites, detectors, waivers, the approved report, tool and runtime.
fn configuration(report: &AuditReport, model: &ModelAudit) -> Vec<Value> {
    let named = |name: String, sha256: &str| json!({"name": name, "digest": {"sha256": sha256}});
    let mut all: Vec<Value> = report.rule_files.iter().map(file).collect();
    let suites = model.suites.iter();
    all.extend(suites.map(|suite| named(format!("suite {}", suite.id), &suite.digest)));
    let detectors = model.detectors.iter();
    all.extend(detectors.map(|one| named(format!("detector {}", one.id), &one.digest)));
    all.extend(report.waiver_files.iter().map(file));
    let baseline = report.baseline.iter();
    all.extend(baseline.map(|baseline| named(baseline.path.clone(), &baseline.sha256)));
    all.push(pruned(json!({
        "name": format!("candor {}", report.tool_version),
        "digest": report.tool_sha256.as_ref().map(|sha256| json!({"sha256": sha256})),
        "annotations": {"command": report.command, "seed": report.seed, "started": report.started, "finished": report.finished},
    })));
    let runtime = &report.runtime;
    let settings = runtime.settings.iter();
    let settings: serde_json::Map<String, Value> = settings
        .map(|one| (one.name.clone(), json!(one.value)))
        .collect();
    all.push(pruned(json!({
        "name": format!("ONNX Runtime {}", runtime.version),
        "digest": {"sha256": runtime.library_sha256},
        "annotations": {
            "provider": runtime.provider,
            "threads": runtime.threads,
            "optimisation": runtime.optimisation,
            "settings": settings,
        },
    })));
    all
}

fn file(file: &FileDigest) -> Value {
    json!({"name": file.path, "digest": {"sha256": file.sha256}})
}
