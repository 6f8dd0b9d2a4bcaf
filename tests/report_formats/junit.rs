use serde_json::Value;

use crate::scenarios::{HOSTILE, all, everything, incomplete, render, waived, write};
use crate::synthetic::Kind::{Clean, Liar, Mute};
use crate::synthetic::report;
use crate::validators;

/// What Jenkins' schema and junitparser make of it.
fn read(report: &candor::report::AuditReport) -> Option<Result<Value, String>> {
    let schema = validators::validators()?.join("junit-10.xsd");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("junit.xml");
    write(report, "junit", &file);
    validators::script(
        "junit.py",
        &[file.to_str().unwrap(), schema.to_str().unwrap()],
    )
}

#[test]
fn reads_like_this() {
    insta::assert_snapshot!("junit", render(&everything(), "junit"));
}

#[test]
fn the_schema_of_jenkins_and_a_reader_accept_every_scenario() {
    for (name, report) in all() {
        let Some(verdict) = read(&report) else { return };
        let read = verdict.unwrap_or_else(|why| panic!("{name}: {why}"));
        let findings = report
            .models
            .iter()
            .map(|model| model.findings.len())
            .sum::<usize>();
        let cases = read["cases"].as_array().unwrap();
        assert!(cases.len() >= findings, "{name}: a case for each rule");
        assert_eq!(read["counts"]["tests"], cases.len(), "{name}");
    }
}

#[test]
fn the_schema_refuses_what_it_does_not_know() {
    let Some(folder) = validators::validators() else {
        return;
    };
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("junit.xml");
    let text = render(&report(&[Liar]), "junit").replace("<failure ", "<fault ");
    std::fs::write(&file, text.replace("</failure>", "</fault>")).unwrap();
    let schema = folder.join("junit-10.xsd");
    let args = [file.to_str().unwrap(), schema.to_str().unwrap()];
    assert!(validators::script("junit.py", &args).unwrap().is_err());
}

fn counts(report: &candor::report::AuditReport) -> Option<[u64; 4]> {
    let read = read(report)?.unwrap();
    let count = |name: &str| read["counts"][name].as_u64().unwrap();
    Some(["tests", "failures", "errors", "skipped"].map(count))
}

#[test]
fn verdicts_become_cases() {
    let Some(passing) = counts(&report(&[Clean])) else {
        return;
    };
    assert_eq!(passing, [3, 0, 0, 0], "a passing case for each rule");
    assert_eq!(
        counts(&report(&[Liar])).unwrap()[1],
        1,
        "what gates is a failure"
    );
    let mute = counts(&report(&[Mute])).unwrap();
    assert!(mute[2] >= 1, "what could not be told is an error: {mute:?}");
    let more = counts(&incomplete()).unwrap();
    assert_eq!(
        (more[0], more[2]),
        (mute[0] + 1, mute[2] + 1),
        "so is what did not end"
    );
    let waived = counts(&waived()).unwrap();
    assert_eq!((waived[1], waived[3]), (0, 1), "what is waived is skipped");
}

#[test]
fn a_waived_case_says_who_accepts_it_and_why() {
    let Some(read) = read(&waived()) else { return };
    let cases = read.unwrap()["cases"].to_string();
    assert!(cases.contains("ada@example.org"), "{cases}");
    assert!(cases.contains("MODEL-17"), "{cases}");
}

#[test]
fn texts_stay_texts() {
    let mut report = report(&[Liar]);
    report.models[0].findings[0].reasons[0] = HOSTILE.into();
    report.title = " skipped=\"0\" failures=\"7\" ".into();
    let Some(read) = read(&report) else { return };
    let read = read.unwrap();
    assert_eq!(read["counts"]["failures"], 1);
    assert_eq!(read["cases"].as_array().unwrap().len(), 3);
}
