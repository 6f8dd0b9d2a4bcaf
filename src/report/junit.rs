//! JUnit XML: a suite for each model, a case for each rule, passed ones too, so that a clean audit is seen to have tested something.
//!
//! | Finding | Case |
//! |---|---|
//! | closes the gate | `failure` |
//! | could not be told: inconclusive, not measurable, or not comparable with the approved model | `error`: readers of JUnit count skipped cases as passed |
//! | planned work failed | a case of its own with an `error` |
//! | waived | `skipped`, with the reason and the owner |
//! | below `--fail-on`, or excused by the approved model | `skipped`, with the reason |
//! | harmless | passed; what is more than a pass is said in `system-out` |

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::listing::{Listed, change, cut, harmless};
use super::{AuditReport, ModelAudit, Source, Standing};
use crate::fault::{Fault, Result};
use crate::rules::Verdict;

/// Characters of a text.
const LONGEST: usize = 10_000;

pub(super) fn text(source: &Source) -> Result<String> {
    let report = source.report;
    let title = if report.title.is_empty() {
        "Candor"
    } else {
        &report.title
    };
    let mut document = Report::new(safe(title));
    if let Some(time) = duration(report) {
        document.set_time(time);
    }
    for model in &report.models {
        document.add_test_suite(suite(report, model));
    }
    let text = document
        .to_string()
        .map_err(|error| Fault::failed("writing JUnit XML", error.to_string()))?;
    // The schema of Jenkins knows this count on suites alone. The first of its name is the root's: a title's quotes are escaped.
    Ok(text.replacen(&format!(" skipped=\"{}\"", document.skipped), "", 1))
}

fn suite(report: &AuditReport, model: &ModelAudit) -> TestSuite {
    let mut suite = TestSuite::new(safe(&model.name));
    suite
        .extra
        .insert("timestamp".into(), safe(&report.started).into());
    for (name, value) in properties(report, model) {
        suite.add_property((safe(&name), safe(&value)));
    }
    for finding in &model.findings {
        let standing = Standing::of(report, finding);
        suite.add_test_case(case(&Listed {
            model,
            finding,
            standing,
        }));
    }
    for gap in &model.incomplete {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type("incomplete").set_message(safe(&gap.why));
        let mut case = TestCase::new(safe(&gap.what), status);
        case.set_classname(safe(&model.name));
        suite.add_test_case(case);
    }
    if model.findings.is_empty() {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status
            .set_type("not-judged")
            .set_message("no rule was applied");
        let mut case = TestCase::new("rules", status);
        case.set_classname(safe(&model.name));
        suite.add_test_case(case);
    }
    suite
}

fn case(listed: &Listed) -> TestCase {
    let finding = listed.finding;
    let mut status = match listed.standing {
        Standing::Gates(_) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Standing::Untold => TestCaseStatus::non_success(NonSuccessKind::Error),
        Standing::Waived(_) | Standing::Excused | Standing::Below(_) => TestCaseStatus::skipped(),
        Standing::Harmless => TestCaseStatus::success(),
    };
    let message = format!("{}: {}", listed.verdict(), listed.consequence());
    let details = details(listed);
    status
        .set_type(finding.verdict.name())
        .set_message(safe(&message))
        .set_description(safe(&details));
    let suite = finding.suite.as_ref();
    let name = suite.map_or_else(
        || finding.rule.clone(),
        |suite| format!("{} on {suite}", finding.rule),
    );
    let mut case = TestCase::new(safe(&name), status);
    case.set_classname(safe(&listed.model.name));
    if listed.standing == Standing::Harmless && finding.verdict != Verdict::Pass {
        case.set_system_out(safe(&format!("{message}\n{details}")));
    }
    case
}

fn details(listed: &Listed) -> String {
    let finding = listed.finding;
    let mut lines = vec![finding.title.clone()];
    lines.extend(finding.reasons.iter().cloned());
    if let Some(compared) = finding.change {
        lines.push(format!("Against the approved model: {}.", change(compared)));
    }
    lines.push(format!("Rule: {}:{}", finding.file, finding.line));
    lines.push(format!("Fingerprint: {}", finding.fingerprint));
    lines.join("\n")
}

/// What binds the suite to what was audited.
fn properties(report: &AuditReport, model: &ModelAudit) -> Vec<(String, String)> {
    let mut properties = vec![
        ("candor.version".to_owned(), report.tool_version.clone()),
        ("seed".to_owned(), report.seed.to_string()),
        ("fail-on".to_owned(), report.fail_on.name().to_owned()),
        ("verdict".to_owned(), model.verdict.name().to_owned()),
        ("command".to_owned(), report.command.clone()),
    ];
    let tool = report.tool_sha256.iter();
    properties.extend(tool.map(|digest| ("sha256:candor".to_owned(), digest.clone())));
    let files = model.files.iter().chain(&report.rule_files);
    let files = files.chain(&report.waiver_files);
    properties.extend(files.map(|file| (format!("sha256:{}", file.path), file.sha256.clone())));
    let suites = model.suites.iter();
    properties.extend(suites.map(|s| (format!("sha256:suite {}", s.id), s.digest.clone())));
    let detectors = model.detectors.iter();
    properties.extend(detectors.map(|d| (format!("sha256:detector {}", d.id), d.digest.clone())));
    let baseline = report.baseline.iter();
    properties.extend(baseline.map(|b| (format!("sha256:{}", b.path), b.sha256.clone())));
    let gaps = model.unmeasured.iter();
    properties.extend(gaps.map(|gap| (format!("not measured: {}", gap.what), gap.why.clone())));
    properties
}

fn duration(report: &AuditReport) -> Option<Duration> {
    let [started, finished] =
        [&report.started, &report.finished].map(|time| humantime::parse_rfc3339(time).ok());
    finished?.duration_since(started?).ok()
}

fn safe(text: &str) -> String {
    cut(&harmless(text), LONGEST)
}
