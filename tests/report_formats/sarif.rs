use serde_json::Value;

use crate::scenarios::{all, compared, everything, render, waived, write};
use crate::synthetic::Kind::{Clean, Liar, Mute};
use crate::synthetic::report;
use crate::validators;

fn sarif(report: &candor::report::AuditReport) -> Value {
    serde_json::from_str(&render(report, "sarif")).unwrap()
}

fn results(log: &Value) -> &Vec<Value> {
    log["runs"][0]["results"].as_array().unwrap()
}

#[test]
fn reads_like_this() {
    insta::assert_snapshot!("sarif", render(&everything(), "sarif"));
}

#[test]
fn the_validator_of_others_accepts_every_scenario() {
    let folder = tempfile::tempdir().unwrap();
    for (name, report) in all() {
        let file = folder.path().join(format!("{name}.sarif"));
        write(&report, "sarif", &file);
        let Some(verdict) = validators::sarif(&file) else {
            return;
        };
        assert!(verdict.is_ok(), "{name}: {}", verdict.unwrap_err());
    }
}

#[test]
fn the_validator_refuses_what_github_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = sarif(&report(&[Liar]));
    log["runs"][0]["results"][0]["locations"] = Value::Array(vec![]);
    let file = folder.path().join("broken.sarif");
    std::fs::write(&file, log.to_string()).unwrap();
    if let Some(verdict) = validators::sarif(&file) {
        assert!(verdict.is_err(), "a result without a place");
    }
}

#[test]
fn every_result_lies_at_the_line_of_its_rule() {
    for (name, report) in all() {
        let log = sarif(&report);
        for result in results(&log) {
            let location = &result["locations"][0]["physicalLocation"];
            let region = &location["region"];
            assert!(location["artifactLocation"]["uri"].is_string(), "{name}");
            for end in ["startLine", "startColumn", "endLine", "endColumn"] {
                assert!(region[end].as_u64().unwrap() > 0, "{name}");
            }
            let hash = &result["partialFingerprints"]["primaryLocationLineHash"];
            assert!(hash.as_str().unwrap().ends_with(":1"), "{name}");
            let at = result["ruleIndex"].as_u64().unwrap() as usize;
            let rule = &log["runs"][0]["tool"]["driver"]["rules"][at];
            assert_eq!(rule["id"], result["ruleId"], "{name}");
            for text in ["shortDescription", "fullDescription", "help"] {
                assert!(!rule[text]["text"].as_str().unwrap().is_empty(), "{name}");
            }
        }
    }
}

#[test]
fn what_passed_is_no_alert_and_what_could_not_be_told_is_one() {
    let passing = sarif(&report(&[Clean]));
    assert!(results(&passing).is_empty());
    let verdicts = passing["runs"][0]["properties"]["verdicts"].as_array();
    assert_eq!(verdicts.unwrap().len(), 3, "they are listed all the same");
    let untold = sarif(&report(&[Mute]));
    assert_eq!(results(&untold)[0]["level"], "warning");
    assert_eq!(results(&untold)[0]["properties"]["verdict"], "inconclusive");
}

#[test]
fn a_waived_finding_is_there_and_suppressed() {
    let log = sarif(&waived());
    let waived: Vec<_> = results(&log)
        .iter()
        .filter(|result| result["suppressions"][0]["status"] == "accepted")
        .collect();
    assert_eq!(waived.len(), 1);
    assert_eq!(waived[0]["level"], "warning");
    let justification = &waived[0]["suppressions"][0]["justification"];
    assert!(justification.as_str().unwrap().contains("MODEL-17"));
}

#[test]
fn a_comparison_gives_baseline_states() {
    let log = sarif(&compared());
    let states: Vec<_> = results(&log)
        .iter()
        .map(|result| result["baselineState"].as_str().unwrap())
        .collect();
    assert!(
        states.contains(&"new") && states.contains(&"updated"),
        "{states:?}"
    );
}

#[test]
fn more_results_than_github_takes_are_cut_and_that_is_said() {
    let mut report = report(&[Liar]);
    let finding = report.models[0].findings[0].clone();
    report.models[0].findings = vec![finding; 25_003];
    let log = sarif(&report);
    assert_eq!(results(&log).len(), 25_000);
    let said = &log["runs"][0]["invocations"][0]["toolExecutionNotifications"][0];
    let said = said["message"]["text"].as_str().unwrap();
    assert!(said.starts_with("3 findings"), "{said}");
}

#[test]
fn paths_become_uris() {
    let mut report = report(&[Liar]);
    let uri = |report: &candor::report::AuditReport| {
        let log = sarif(report);
        let at = &results(&log)[0]["locations"][0]["physicalLocation"]["artifactLocation"];
        (at["uri"].clone(), at["uriBaseId"].clone())
    };
    let mut of = |path: &str| {
        report.models[0].findings[0].file = path.into();
        uri(&report)
    };
    let root = Value::from("%SRCROOT%");
    assert_eq!(
        of("a b/ü#?.yaml"),
        ("a%20b/%C3%BC%23%3F.yaml".into(), root.clone())
    );
    assert_eq!(of("rules\\c:d.yaml"), ("rules/c%3Ad.yaml".into(), root));
    assert_eq!(
        of("/etc/r.yaml"),
        ("file:///etc/r.yaml".into(), Value::Null)
    );
}
