//! Waiver files: what is read, and everything that can be wrong in one.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[allow(dead_code, reason = "other tests use the rest")]
mod cli;

use std::fs;
use std::path::{Path, PathBuf};

use candor::fault::Kind;
use candor::rules::{Day, Waivers, check_waivers, render, waivers_schema};
use cli::{candor, root};
use proptest::prelude::*;

const GOOD: &str = "schema: candor/waivers/v1
waivers:
  - rule: conditional-falsehood
    model: liar
    suite: facts
    reason: >-
      This test model lies on purpose;
      it never ships.
    owner: safety@example.org
    expires: 2030-12-31
  - rule: condition-probe
    reason: Known since spring.
    owner: Ada
    expires: '2028-02-29'
";

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waivers.yaml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// What is said of a file with `text`, as `waivers.yaml`.
fn said(text: &str) -> String {
    let (folder, path) = file(text);
    let (read, found) = check_waivers(&[path]);
    assert_eq!(read.is_none(), !found.is_empty());
    render(&found).replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_good_file_is_read_with_its_places() {
    let (_folder, path) = file(GOOD);
    let read = Waivers::open(&[&path, &path]).unwrap();
    assert_eq!(read.files, [path.as_path()]);
    assert_eq!(
        read.waivers.len(),
        2,
        "a file that is named twice is read once"
    );
    let waiver = &read.waivers[0];
    assert_eq!(waiver.rule, "conditional-falsehood");
    assert_eq!(waiver.model.as_deref(), Some("liar"));
    assert_eq!(waiver.suite.as_deref(), Some("facts"));
    assert_eq!(
        waiver.reason,
        "This test model lies on purpose; it never ships."
    );
    assert_eq!(waiver.owner, "safety@example.org");
    assert_eq!(waiver.expires, Day::parse("2030-12-31").unwrap());
    assert_eq!((waiver.file.as_path(), waiver.line), (path.as_path(), 3));
    assert_eq!(read.waivers[1].expires.to_string(), "2028-02-29");
    assert_eq!(
        (&read.waivers[1].model, &read.waivers[1].suite),
        (&None, &None)
    );
}

#[test]
fn no_path_and_no_waiver_are_fine() {
    assert_eq!(Waivers::open::<&Path>(&[]).unwrap(), Waivers::default());
    let (_folder, path) = file("schema: candor/waivers/v1\nwaivers: []\n");
    assert_eq!(Waivers::open(&[path]).unwrap().waivers, []);
}

#[test]
fn everything_wrong_is_said_at_once() {
    let text = "schema: candor/waivers/v2
waivers:
  - rule: conditional-falsehood
    reasn: a slip of the keyboard
    owner: '  '
    expires: 2026-02-31
  - model: liar
    reason: no rule
    owner: Ada
    expires: tomorrow
  - rule: Condition Probe
    reason: [a, list]
    owner: Ada
    expires: 20261231
  - rule: condition-probe
    reason: ''
    owner: Ada
    expires: 2026-13-01
    model: 7
  - just a text
";
    insta::assert_snapshot!("waivers_wrong", said(text));
}

#[test]
fn each_mistake_has_its_message() {
    let waiver = |lines: &str| {
        format!(
            "schema: candor/waivers/v1\nwaivers:\n  - {}\n",
            lines.replace('\n', "\n    ")
        )
    };
    let cases = [
        (
            "no owner",
            waiver("rule: r\nreason: x\nexpires: 2030-01-01"),
        ),
        (
            "no reason",
            waiver("rule: r\nowner: x\nexpires: 2030-01-01"),
        ),
        ("no day", waiver("rule: r\nowner: x\nreason: x")),
        (
            "no leap year",
            waiver("rule: r\nowner: x\nreason: x\nexpires: 2100-02-29"),
        ),
        (
            "a time",
            waiver("rule: r\nowner: x\nreason: x\nexpires: 2030-01-01T00:00:00Z"),
        ),
        (
            "a key twice",
            waiver("rule: r\nowner: x\nowner: y\nreason: x\nexpires: 2030-01-01"),
        ),
        (
            "a control character",
            waiver("rule: r\nowner: x\nreason: x\nexpires: \"2030\\e[2J\""),
        ),
        ("empty", String::new()),
        ("no waivers", "schema: candor/waivers/v1\n".to_owned()),
        ("a page", "<!doctype html><title>404</title>".to_owned()),
        (
            "an alias",
            "schema: &a candor/waivers/v1\nwaivers: *a\n".to_owned(),
        ),
        ("rules", "schema: candor/rules/v1\nrules: []\n".to_owned()),
    ];
    let said: Vec<String> = cases
        .iter()
        .map(|(what, text)| format!("# {what}\n\n{}", said(text)))
        .collect();
    let said = said.join("\n");
    assert!(!said.contains('\u{1b}'));
    insta::assert_snapshot!("waivers_mistakes", said);
}

#[test]
fn one_aim_is_waived_once_over_all_files() {
    let (folder, path) = file(GOOD);
    let second = folder.path().join("z.yml");
    fs::write(&second, GOOD.replace("model: liar", "model: decoy")).unwrap();
    let (read, found) = check_waivers(&[folder.path()]);
    assert!(read.is_none());
    let said = render(&found).replace(&format!("{}/", folder.path().display()), "");
    insta::assert_snapshot!("waivers_twice", said);
    drop(path);
}

#[test]
fn what_cannot_be_read_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.yaml");
    let fault = Waivers::open(&[&missing]).unwrap_err();
    assert_eq!(fault.kind, Kind::Usage);
    assert!(fault.to_string().contains("error[unreadable]"), "{fault}");
    fs::write(&missing, [0xff, 0xfe, 0x00]).unwrap();
    let fault = Waivers::open(&[&missing]).unwrap_err();
    assert!(fault.to_string().contains("not UTF-8"), "{fault}");
    let empty = tempfile::tempdir().unwrap();
    let fault = Waivers::open(&[empty.path()]).unwrap_err();
    assert!(fault.to_string().contains("no waiver files"), "{fault}");
}

#[test]
fn days_are_those_of_the_calendar() {
    for good in ["2024-02-29", "2000-02-29", "2026-12-31", "0001-01-01"] {
        assert_eq!(Day::parse(good).unwrap().to_string(), good);
    }
    for bad in [
        "2026-02-29",
        "2100-02-29",
        "2026-04-31",
        "2026-00-10",
        "2026-13-10",
        "2026-01-00",
        "2026-1-1",
        "26-01-01",
        "2026/01/01",
        "2026-01-01 ",
        "+026-01-01",
        "2026-01--1",
        "",
        "２０２６-01-01",
    ] {
        assert!(Day::parse(bad).is_err(), "{bad}");
    }
    let day = |text: &str| Day::parse(text).unwrap();
    assert!(day("2026-01-31") < day("2026-02-01"));
    assert_eq!(
        Day::of_time("2026-01-31T23:59:59Z"),
        Some(day("2026-01-31"))
    );
    assert_eq!(Day::of_time("yesterday"), None);
}

proptest! {
    /// The calendar of another crate: humantime, whose times are those of the audit.
    #[test]
    fn every_day_that_a_clock_can_show_is_read(days in 0_u64..2_900_000) {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(days * 86_400);
        let text = humantime::format_rfc3339_seconds(time).to_string();
        let day = Day::of_time(&text).unwrap();
        prop_assert_eq!(day.to_string(), &text[..10]);
        let next = time + std::time::Duration::from_hours(24);
        let next = Day::of_time(&humantime::format_rfc3339_seconds(next).to_string());
        prop_assert!(next.is_none_or(|next| day < next));
    }

    #[test]
    fn no_text_brings_the_reader_down(text in any::<String>(), tail in "[-: \n\\[\\]{}'\"a-z0-9]{0,80}") {
        let _ = said(&text);
        let _ = said(&format!("schema: candor/waivers/v1\nwaivers:\n  - {tail}"));
    }
}

#[test]
fn the_published_schema_is_the_generated_one_and_says_the_same() {
    let path = root().join("rules/waivers.schema.json");
    let schema = waivers_schema();
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if std::env::var_os("CANDOR_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        text,
        "run with CANDOR_BLESS=1"
    );
    let validator = jsonschema::validator_for(&schema).unwrap();
    let valid = |text: &str| {
        let value: serde_json::Value = serde_yaml::from_str(text).unwrap();
        validator.is_valid(&value)
    };
    assert!(valid(GOOD));
    for (from, to) in [
        ("    owner: Ada\n", ""),
        ("owner: Ada", "owner: ' '"),
        ("reason: Known", "reasons: Known"),
        ("'2028-02-29'", "tomorrow"),
        ("waivers/v1", "waivers/v2"),
    ] {
        let broken = GOOD.replace(from, to);
        assert_ne!(broken, GOOD);
        assert!(!valid(&broken), "{broken}");
        assert!(!said(&broken).is_empty(), "{broken}");
    }
}

#[test]
fn the_command_checks_and_prints_the_schema() {
    let (_folder, path) = file(GOOD);
    candor(["waivers", "check", path.to_str().unwrap()])
        .assert()
        .success()
        .stdout("2 waivers, no error\n")
        .stderr("");
    let over = GOOD.replace("2030-12-31", "2020-12-31");
    fs::write(&path, over).unwrap();
    let ran = candor(["waivers", "check", path.to_str().unwrap()])
        .assert()
        .success();
    let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    assert!(
        said.contains(
            "waivers.yaml:3: the waiver of `conditional-falsehood` expired on 2020-12-31"
        ),
        "{said}"
    );
    fs::write(&path, GOOD.replace("owner: Ada", "owner: ''")).unwrap();
    let ran = candor(["waivers", "check", path.to_str().unwrap()])
        .assert()
        .code(2);
    let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    assert!(said.contains("error[empty]: `owner` is empty"), "{said}");
    let ran = candor(["waivers", "schema"]).assert().success();
    let printed: serde_json::Value = serde_json::from_slice(&ran.get_output().stdout).unwrap();
    assert_eq!(printed, waivers_schema());
}
