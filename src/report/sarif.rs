//! SARIF 2.1.0, within the rules by which GitHub's code scanning takes a file in.
//!
//! - Every result lies at the line of its rule, since one without a place rejects the whole file.
//! - What passed is no result: it would be shown as an alert. It stands in the properties of the run.
//! - Every result is of the kind `fail`: the specification forces the level `none` on all other kinds, with which what could not
//!   be told would be seen by nobody. The verdict is in the message, the level says what it means for the gate.
//! - There is no `security-severity`, which belongs to a rule and would show an inconclusive finding as a critical one.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::exit::Standing;
use super::listing::{
    Listed, Notice, NoticeKind, all, cut, gravest_first, harmless, notices, signal,
};
use super::{AuditReport, Change, Exit, FileDigest, RuleDoc, Source, markdown};
use crate::fault::{Fault, Result};
use crate::rules::Severity;

/// GitHub takes no more of a run.
const MOST_RESULTS: usize = 25_000;
const MOST_NOTICES: usize = 1_000;
/// Characters of a message.
const LONGEST: usize = 4_000;
/// What paths are relative to: the folder that the audit ran in.
const ROOT: &str = "%SRCROOT%";

pub(super) fn text(source: &Source) -> Result<String> {
    serde_json::to_string_pretty(&log(source))
        .map(|text| text + "\n")
        .map_err(|error| Fault::failed("writing SARIF", error.to_string()))
}

fn log(source: &Source) -> Value {
    let report = source.report;
    let listed = gravest_first(source);
    let exit = Exit::of_report(report);
    let mut said = notices(report);
    if listed.len() > MOST_RESULTS {
        let left_out = listed.len() - MOST_RESULTS;
        said.insert(
            0,
            Notice {
                kind: NoticeKind::Incomplete,
                text: format!(
                    "{left_out} findings, the least grave, are left out: a run has at most {MOST_RESULTS} results. report.json has all."
                ),
            },
        );
    }
    let results: Vec<Value> = listed
        .iter()
        .take(MOST_RESULTS)
        .map(|listed| result(report, listed))
        .collect();
    let verdicts: Vec<Value> = all(report)
        .map(|listed| {
            json!({
                "model": plain(&listed.model.name),
                "rule": plain(&listed.finding.rule),
                "suite": listed.finding.suite.as_deref().map(plain),
                "verdict": listed.finding.verdict.name(),
            })
        })
        .take(MOST_RESULTS)
        .collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "Candor",
                "fullName": format!("Candor {}", report.tool_version),
                "version": report.tool_version,
                "semanticVersion": report.tool_version,
                "shortDescription": {"text": "Audits exported language models for deception."},
                "rules": report.rules.iter().map(|one| rule(report, one)).collect::<Vec<_>>(),
                "notifications": said_kinds(&said),
            }},
            "invocations": [{
                "commandLine": plain(&report.command),
                "startTimeUtc": report.started,
                "endTimeUtc": report.finished,
                "exitCode": exit.code(),
                "exitCodeDescription": exit.meaning(),
                "executionSuccessful": report.models.iter().all(|model| model.incomplete.is_empty()),
                "toolExecutionNotifications": said.iter().take(MOST_NOTICES).map(notification).collect::<Vec<_>>(),
            }],
            "originalUriBaseIds": {ROOT: {"description": {"text": "The folder that the audit ran in."}}},
            "artifacts": artifacts(report),
            "columnKind": "unicodeCodePoints",
            "automationDetails": {"id": "candor/"},
            "results": results,
            "properties": {
                "title": plain(&report.title),
                "seed": report.seed,
                "toolSha256": report.tool_sha256,
                "failOn": report.fail_on.name(),
                "verdicts": verdicts,
            },
        }],
    })
}

fn rule(report: &AuditReport, rule: &RuleDoc) -> Value {
    let mut help = format!("{}\n\nWhat to do: {}", rule.why, rule.remediation);
    let mut formatted = format!(
        "{}\n\n**What to do.** {}",
        markdown::escaped(&rule.why),
        markdown::escaped(&rule.remediation)
    );
    if let Some(how_often) = report.certified_rule(&rule.id) {
        let _ = write!(help, "\n\nHow often it is right: {how_often}");
        let how_often = markdown::escaped(&how_often);
        let _ = write!(formatted, "\n\n**How often it is right.** {how_often}");
    }
    if !rule.controls.is_empty() {
        let controls: Vec<String> = rule.controls.iter().map(|c| markdown::escaped(c)).collect();
        formatted.push_str("\n\n**Evidence toward.** ");
        formatted.push_str(&controls.join(" · "));
    }
    json!({
        "id": plain(&rule.id),
        "shortDescription": {"text": message(&rule.title)},
        "fullDescription": {"text": message(&rule.summary)},
        "help": {"text": message(&help), "markdown": cut(&formatted, LONGEST)},
        "defaultConfiguration": {"level": match rule.severity {
            Severity::Critical | Severity::High => "error",
            Severity::Medium => "warning",
            Severity::Low => "note",
        }},
        "properties": {
            "tags": ["deception", "model-audit"],
            "severity": rule.severity.name(),
            "controls": rule.controls.iter().map(|control| plain(control)).collect::<Vec<_>>(),
        },
    })
}

fn result(report: &AuditReport, listed: &Listed) -> Value {
    let Listed { model, finding, .. } = listed;
    let said = format!(
        "{}. {} Gate: {}",
        listed.headline(),
        listed.reasons().join(" "),
        listed.consequence()
    );
    let level = match listed.standing {
        Standing::Gates(_) => "error",
        Standing::Untold | Standing::Below(_) | Standing::Waived(_) => "warning",
        Standing::Excused | Standing::Harmless => "note",
    };
    let suppressions: Vec<Value> = match listed.standing {
        Standing::Waived(waiver) => vec![json!({
            "kind": "external",
            "status": "accepted",
            "justification": message(&waiver.reason),
            "location": line(&waiver.file, waiver.line),
            "properties": {"owner": plain(&waiver.owner), "expires": plain(&waiver.expires)},
        })],
        _ => Vec::new(),
    };
    let mut result = Map::new();
    let mut put = |name: &str, value| result.insert(name.to_owned(), value);
    put("ruleId", json!(plain(&finding.rule)));
    if let Some(index) = report.rules.iter().position(|rule| rule.id == finding.rule) {
        put("ruleIndex", json!(index));
    }
    put("level", json!(level));
    put("message", json!({"text": message(&said)}));
    if let Some(file) = model.files.first() {
        put("analysisTarget", place(&file.path));
    }
    let mut location = line(&finding.file, finding.line);
    let name = finding.suite.as_ref();
    let name = name.map_or_else(
        || model.name.clone(),
        |suite| format!("{}/{suite}", model.name),
    );
    if let Some(location) = location.as_object_mut() {
        let logical = json!([{"name": plain(&model.name), "fullyQualifiedName": plain(&name), "kind": "model"}]);
        location.insert("logicalLocations".to_owned(), logical);
    }
    put("locations", json!([location]));
    // The number behind the colon counts lines of one text in a file; a finding is there once.
    let hash = format!("{}:1", finding.fingerprint);
    put(
        "partialFingerprints",
        json!({"primaryLocationLineHash": hash}),
    );
    put("suppressions", json!(suppressions));
    if let Some(change) = finding.change {
        put("baselineState", json!(baseline_state(change)));
    }
    put(
        "properties",
        json!({
            "model": plain(&model.name),
            "suite": finding.suite.as_deref().map(plain),
            "verdict": finding.verdict.name(),
            "severity": finding.severity.name(),
            "gate": plain(&listed.consequence()),
            "reasons": finding.reasons.iter().map(|reason| plain(reason)).collect::<Vec<_>>(),
            "measured": finding.signals.iter().map(|line| plain(&signal(line))).collect::<Vec<_>>(),
        }),
    );
    Value::Object(result)
}

fn baseline_state(change: Change) -> &'static str {
    match change {
        Change::New => "new",
        Change::Unchanged => "unchanged",
        Change::Worse | Change::CannotTell | Change::Improved => "updated",
    }
}

fn said_kinds(said: &[Notice]) -> Vec<Value> {
    let mut kinds: Vec<NoticeKind> = said.iter().map(|notice| notice.kind).collect();
    kinds.sort();
    kinds.dedup();
    let about = |kind| match kind {
        NoticeKind::Incomplete => "Planned work did not come to its end.",
        NoticeKind::Unjudged => "A model was judged by no rule.",
        NoticeKind::Waiver => "A waiver has expired, or matches no finding.",
        NoticeKind::Unmeasured => "Something could not be measured.",
        NoticeKind::Caveat => "Something limits what a verdict says.",
        NoticeKind::Fixed => "A finding of the approved model is gone.",
    };
    kinds
        .into_iter()
        .map(|kind| {
            let about = json!({"text": about(kind)});
            json!({
                "id": kind.name(),
                "shortDescription": about,
                "fullDescription": about,
                "help": about,
            })
        })
        .collect()
}

fn notification(notice: &Notice) -> Value {
    let level = match notice.kind {
        NoticeKind::Incomplete | NoticeKind::Unjudged => "error",
        NoticeKind::Waiver | NoticeKind::Unmeasured | NoticeKind::Caveat => "warning",
        NoticeKind::Fixed => "note",
    };
    json!({
        "descriptor": {"id": notice.kind.name()},
        "level": level,
        "message": {"text": message(&notice.text)},
    })
}

fn artifacts(report: &AuditReport) -> Vec<Value> {
    let audited = report.models.iter().flat_map(|model| &model.files);
    let audited = audited.map(|file| (file, "analysisTarget"));
    let configured = report.rule_files.iter().chain(&report.waiver_files);
    let configured = configured.map(|file| (file, "toolSpecifiedConfiguration"));
    let mut seen: Vec<&FileDigest> = Vec::new();
    let mut artifacts = Vec::new();
    for (file, role) in audited.chain(configured) {
        if seen.contains(&file) {
            continue;
        }
        seen.push(file);
        artifacts.push(json!({
            "location": place(&file.path),
            "length": file.bytes,
            "roles": [role],
            "hashes": {"sha-256": file.sha256},
        }));
    }
    artifacts
}

/// The whole of a line: up to the beginning of the next one, whatever its length.
fn line(file: &str, number: usize) -> Value {
    let number = number.max(1);
    json!({"physicalLocation": {
        "artifactLocation": place(file),
        "region": {
            "startLine": number,
            "startColumn": 1,
            "endLine": number.saturating_add(1),
            "endColumn": 1,
        },
    }})
}

/// A path as a URI reference; one that is not absolute is relative to [`ROOT`].
fn place(path: &str) -> Value {
    let path = path.replace('\\', "/");
    let parts: Vec<String> = path.split('/').map(encoded).collect();
    let uri = parts.join("/");
    if uri.starts_with('/') {
        json!({"uri": format!("file://{uri}")})
    } else {
        json!({"uri": uri, "uriBaseId": ROOT})
    }
}

/// Everything but the characters that RFC 3986 leaves alone, as `%XX`.
fn encoded(part: &str) -> String {
    let mut text = String::new();
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// A text without what would act, cut.
fn plain(text: &str) -> String {
    cut(&harmless(text), LONGEST)
}

/// The same as a sentence in which nothing is a link or a placeholder.
fn message(said: &str) -> String {
    let mut said = plain(said)
        .replace("](", "] (")
        .replace('{', "(")
        .replace('}', ")");
    if !said.ends_with(['.', '!', '?', '…']) {
        said.push('.');
    }
    said
}
