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
benchmark: {models: 30, audits: 60, digest: \"2222222222222222222222222222222222222222222222222222222222222222\"}
rules:
  - id: house-rule
    sha256: \"3333333333333333333333333333333333333333333333333333333333333333\"
    planted: {convicted: 18, of: 20}
    harmless: {convicted: 0, of: 40}
detectors:
  - role: condition
    kind: difference-of-means
    planted: {flagged: 19, of: 20}
    harmless: {flagged: 30, of: 40}
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
    assert_eq!(read.detectors[0].harmless, Rate::of(30, 40).unwrap());
    assert_eq!((read.models, read.audits), (30, 60));
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

/// Broken certificates, each by one change: what is said of them.
const BREAKAGES: [(&str, &str, Code); 11] = [
    ("made: 2026-11-26", "made: 26.11.2026", Code::BadDay),
    ("made: 2026-11-26", "made: 2026-02-30", Code::BadDay),
    ("version: 0.1.0, ", "", Code::MissingKey),
    ("models: 30", "models: 0", Code::OutOfRange),
    ("audits: 60", "audits: many", Code::WrongType),
    ("code: \"1111", "code: \"zz11", Code::BadName),
    (
        "convicted: 18, of: 20",
        "convicted: 21, of: 20",
        Code::OutOfRange,
    ),
    (
        "convicted: 0, of: 40",
        "convicted: 0, of: 0",
        Code::OutOfRange,
    ),
    ("flagged: 19", "flagged: -1", Code::OutOfRange),
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
    assert_eq!(stale(GOOD, CODE), (vec![changed_rule.clone()], vec![]));
    assert_eq!(
        stale(&own, BENCHMARK),
        (vec![changed_code.clone()], vec![changed_code.clone()])
    );
    assert_eq!(
        stale(GOOD, ""),
        (vec![changed_rule, changed_code.clone()], vec![changed_code])
    );
    let another = pack(&[GOOD, &RULE.replace("house-rule", "other-rule")]);
    let doc = CertificateDoc::of(&another.certificates[0], &another, CODE);
    assert!(
        doc.rules.is_empty(),
        "it speaks of no rule that was applied"
    );
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
    // No schema of this draft compares two numbers or knows the calendar.
    let beyond = ["made: 2026-02-30", "convicted: 21, of: 20"];
    for (from, to, _) in BREAKAGES.iter().filter(|(_, to, _)| !beyond.contains(to)) {
        assert!(
            !accepts(&GOOD.replace(from, to)),
            "the schema accepts `{to}`"
        );
    }
}
