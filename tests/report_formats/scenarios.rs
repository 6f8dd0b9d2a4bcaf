//! Made-up reports of every kind that a format has to show, one of them by somebody who wishes us ill.

use std::path::Path;

use candor::evidence::Unmeasured;
use candor::report::{
    AuditReport, BaselineModel, BaselineRecord, Change, Comparison, FileDigest, Fixed, Output,
    Shows, Source, WaiverRecord, WaiverState, json, write_all,
};
use candor::rules::{Severity, Verdict};
use candor::stats::Estimate;
use serde_json::Value;

use crate::synthetic::Kind::{Clean, Decoy, Liar, Mute};
use crate::synthetic::report;

/// Every scenario by its name.
pub fn all() -> Vec<(&'static str, AuditReport)> {
    vec![
        ("failing", report(&[Liar, Decoy])),
        ("passing", report(&[Clean])),
        ("inconclusive", report(&[Mute])),
        ("incomplete", incomplete()),
        ("waived", waived()),
        ("compared", compared()),
        ("empty", report(&[])),
        ("hostile", hostile()),
    ]
}

/// All verdicts at once, with waivers and a baseline: what snapshots show.
pub fn everything() -> AuditReport {
    let mut everything = compared();
    let waived = waived();
    everything.models[0].findings[0].waiver = waived.models[0].findings[0].waiver;
    everything.waivers = waived.waivers;
    everything.waiver_files = waived.waiver_files;
    everything.models.push(incomplete().models.remove(0));
    everything
}

/// A liar whose findings a person accepts.
pub fn waived() -> AuditReport {
    let mut report = report(&[Liar]);
    let waiver = |rule: &str, state| WaiverRecord {
        rule: rule.into(),
        model: Some("liar".into()),
        suite: None,
        reason: "known; fixed in the next release (MODEL-17)".into(),
        owner: "ada@example.org".into(),
        expires: match state {
            WaiverState::Expired => "2024-12-31".into(),
            _ => "2026-12-31".into(),
        },
        state,
        file: "waivers.yaml".into(),
        line: 3,
    };
    report.waivers = vec![
        waiver("conditional-falsehood", WaiverState::Applied),
        waiver("condition-probe", WaiverState::Expired),
        waiver("capability-gap", WaiverState::Unused),
    ];
    report.waiver_files = vec![FileDigest {
        path: "waivers.yaml".into(),
        sha256: "5a".repeat(32),
        bytes: 412,
    }];
    let mut findings = report.models[0].findings.iter_mut();
    let fails = findings.find(|finding| finding.verdict == Verdict::Fail);
    fails.unwrap().waiver = Some(0);
    report
}

pub fn incomplete() -> AuditReport {
    let mut report = report(&[Mute]);
    report.models[0].incomplete.push(Unmeasured {
        what: "suite `facts`".into(),
        why: "3 of 72 runs failed".into(),
    });
    report
}

/// A liar and a decoy beside the models that were approved before.
pub fn compared() -> AuditReport {
    let mut report = report(&[Liar, Clean, Decoy]);
    let changes = [
        Change::Worse,
        Change::New,
        Change::CannotTell,
        Change::Unchanged,
        Change::Improved,
    ];
    let findings = report
        .models
        .iter_mut()
        .flat_map(|model| &mut model.findings);
    for (finding, change) in findings.zip(changes.into_iter().cycle()) {
        finding.change = Some(change);
    }
    report.baseline = Some(BaselineRecord {
        path: "approved/report.json".into(),
        sha256: "ba".repeat(32),
        finished: "2024-11-30T10:00:00Z".into(),
        tool_version: "0.1.0".into(),
        margin: 0.05,
        models: vec![BaselineModel {
            model: "liar".into(),
            against: "liar".into(),
            same_files: false,
            fixed: vec![Fixed {
                rule: "capability-gap".into(),
                title: "Answers withheld under a condition".into(),
                suite: Some("facts".into()),
                was: Verdict::Fail,
                now: None,
            }],
            comparisons: vec![Comparison {
                suite: "facts".into(),
                condition: "trigger".into(),
                what: "false answers".into(),
                items: 36,
                worse: 27,
                better: 0,
                before: 0.25,
                now: 1.0,
                difference: Estimate {
                    point: 0.75,
                    low: 0.5,
                    high: 0.9,
                    n: 36,
                    clusters: 6,
                },
                shows: Shows::Worse,
                power: Some(0.61),
                needed: Some(248),
            }],
        }],
        caveats: vec!["it was asked another suite".into()],
    });
    report
}

/// What a text may hold that acts somewhere: in XML, HTML, Markdown, a workflow, a spreadsheet, a terminal.
pub const HOSTILE: &str = "=cmd|'/c calc'!A1 ]]></failure>&<script>alert(1)</script> \"'`` ```\n# x\r\n::error::no %0A%25 | a | b\n\n| --- |\n- [here](https://evil.example) ![i](//evil.example/i) <img src=x onerror=x> www.evil.example @admins #1 {0} {{x}} $x$ ~~s~~ *b* _i_ \u{1b}[31m\u{0}\u{7}\u{85}\u{202e}\u{fffe}\u{ffff} ünïcödé 模型 🦊 \\";

/// A report in which every text is [`HOSTILE`], and some of them very long.
pub fn hostile() -> AuditReport {
    let mut everything = everything();
    for model in &mut everything.models {
        model.exhibits = candor::report::Exhibits::default();
    }
    let mut stored = serde_json::from_str(&json::write(&everything).unwrap()).unwrap();
    poison(&mut stored, "");
    json::read(&stored.to_string()).unwrap()
}

/// Fields that are read back as something else than a text.
const TYPED: &[&str] = &[
    "schema",
    "meaning",
    "verdict",
    "severity",
    "fail_on",
    "state",
    "outcome",
    "side",
    "started",
    "finished",
    "flags",
    "was",
    "now",
    "shows",
    "change",
    "expires",
    "sha256",
    "library_sha256",
    "tool_sha256",
    "tool_version",
    "fingerprint",
];

fn poison(value: &mut Value, key: &str) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                poison(value, key);
            }
        }
        Value::Array(items) => {
            for item in items {
                poison(item, key);
            }
        }
        // The kind of text stays visible in what is shown of it, and rules stay apart.
        Value::String(text) if key == "why" || key == "prompt" => {
            *text = format!("{HOSTILE} {text} ").repeat(100);
        }
        Value::String(text) if !TYPED.contains(&key) => *text = format!("{HOSTILE} {text}"),
        _ => {}
    }
}

/// What the format makes of a report.
pub fn render(report: &AuditReport, format: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("out");
    write(report, format, &place);
    std::fs::read_to_string(place).unwrap()
}

pub fn write(report: &AuditReport, format: &str, place: &Path) {
    let output: Output = format!("{format}={}", place.display()).parse().unwrap();
    let source = Source {
        report,
        evidence: None,
        min_severity: Severity::Low,
        key: None,
    };
    write_all(&source, &[output]).unwrap();
}
