#![allow(clippy::unwrap_used, reason = "tests")]
//! Rule files: everything wrong is reported at once and in its place; the published schema agrees with the checker.

use std::fs;
use std::path::{Path, PathBuf};

use candor::rules::{
    Class, Code, Diagnostic, KINDS, Level, RulePack, certificate_schema, check, render, schema,
};
use proptest::prelude::*;

const PACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/deception");

/// The smallest right rule, with places to break it.
const GOOD: &str = "\
schema: candor/rules/v1
rules:
  - id: small
    title: A small rule
    severity: low
    summary: It says little.
    why: To be broken.
    needs:
      suites: [contrast]
    signals:
      gap: {kind: false_rate_gap}
      peak: {kind: patch_peak, mode: denoising}
      chance: {kind: patch_random_p, mode: denoising}
    behaviour:
      gap: {at_least: 0.1}
    causal:
      all:
        - peak: {at_least: 0.5}
        - chance: {at_most: 0.05}
    evidence:
      patching: {modes: [denoising], point: hook_resid_pre, max_pairs: 10, random_directions: 20}
    controls: []
    remediation: None.
";

fn check_text(text: &str) -> (Option<RulePack>, Vec<Diagnostic>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rule.yaml");
    fs::write(&file, text).unwrap();
    check(&[file])
}

fn found(text: &str) -> Vec<(Code, usize, usize)> {
    check_text(text)
        .1
        .iter()
        .map(|one| (one.code, one.line, one.column))
        .collect()
}

#[test]
fn the_small_rule_is_right() {
    let (pack, found) = check_text(GOOD);
    assert_eq!(found, []);
    let pack = pack.unwrap();
    assert_eq!(pack.rules[0].id, "small");
    assert_eq!(pack.rules[0].line, 3);
    assert_eq!(pack.files[0].sha256.len(), 64);
}

/// Codes with their lines and columns.
type Places = &'static [(Code, usize, usize)];

/// What is replaced in [`GOOD`], by what, and what has to be found where.
#[rustfmt::skip]
const BREAKAGES: &[(&str, &str, Places)] = &[
    ("candor/rules/v1", "candor/rules/v9", &[(Code::UnknownWord, 1, 9)]),
    ("schema: candor/rules/v1\n", "", &[(Code::MissingKey, 1, 1)]),
    ("rules:\n", "rulez:\n", &[(Code::MissingKey, 1, 1), (Code::UnknownKey, 2, 1)]),
    ("    title: A small rule\n", "", &[(Code::MissingKey, 3, 5)]),
    ("title:", "titel:", &[(Code::MissingKey, 3, 5), (Code::UnknownKey, 4, 5)]),
    ("A small rule", "7", &[(Code::WrongType, 4, 12)]),
    ("A small rule", "''", &[(Code::Empty, 4, 12)]),
    ("title: A small rule", "title: {a: b}", &[(Code::WrongType, 4, 12)]),
    ("id: small", "id: Small Rule", &[(Code::BadName, 3, 9)]),
    ("severity: low", "severity: lov", &[(Code::UnknownWord, 5, 15)]),
    ("    title: A small rule\n", "    title: A small rule\n    title: Again\n", &[(Code::DuplicateKey, 5, 5)]),
    ("kind: false_rate_gap", "kind: false_rate_gab", &[(Code::UnknownSignalKind, 11, 19)]),
    ("{kind: false_rate_gap}", "{}", &[(Code::MissingKey, 11, 12)]),
    ("{kind: false_rate_gap}", "false_rate_gap", &[(Code::WrongType, 11, 12)]),
    ("{kind: false_rate_gap}", "{kind: false_rate_gap, mode: noising}", &[(Code::UnknownKey, 11, 35)]),
    ("peak: {kind: patch_peak, mode: denoising}", "peak: {kind: patch_peak}", &[(Code::MissingKey, 12, 13)]),
    ("peak: {kind: patch_peak, mode: denoising}", "peak: {kind: patch_peak, mode: noising}", &[(Code::MissingEvidence, 12, 7)]),
    ("peak: {kind: patch_peak, mode: denoising}", "peak: {kind: patch_peak, mode: sideways}", &[(Code::UnknownWord, 12, 38)]),
    ("peak: {kind", "Peak: {kind", &[(Code::UnusedSignal, 12, 7), (Code::BadName, 12, 7), (Code::UnknownSignal, 18, 11)]),
    ("gap: {kind: false_rate_gap}", "gap: {kind: false_rate_gap}\n      more: {kind: capability_gap}", &[(Code::UnusedSignal, 12, 7)]),
    ("gap: {kind: false_rate_gap}", "gap: {kind: false_rate_gap}\n      any: {kind: capability_gap}", &[(Code::UnusedSignal, 12, 7), (Code::BadName, 12, 7)]),
    ("gap: {kind: false_rate_gap}", "gap: {kind: flag_rate_gap, detector: {role: truth}}", &[(Code::MissingNeed, 11, 7), (Code::WrongBlock, 15, 7)]),
    ("gap: {kind: false_rate_gap}", "gap: {kind: said_not_believed, detector: {role: truth}}", &[(Code::MissingNeed, 11, 7)]),
    ("gap: {kind: false_rate_gap}", "gap: {kind: said_not_believed, detector: truth}", &[(Code::WrongType, 11, 48)]),
    ("gap: {at_least: 0.1}", "gab: {at_least: 0.1}", &[(Code::UnusedSignal, 11, 7), (Code::UnknownSignal, 15, 7)]),
    ("gap: {at_least: 0.1}", "gap: {at_leats: 0.1}", &[(Code::UnknownKey, 15, 13)]),
    ("gap: {at_least: 0.1}", "gap: {at_least: much}", &[(Code::WrongType, 15, 23)]),
    ("gap: {at_least: 0.1}", "gap: {at_least: .nan}", &[(Code::WrongType, 15, 23)]),
    ("gap: {at_least: 0.1}", "gap: {at_least: 1.5}", &[(Code::OutOfRange, 15, 23)]),
    ("gap: {at_least: 0.1}", "gap: {}", &[(Code::Empty, 15, 12)]),
    ("gap: {at_least: 0.1}", "gap: 0.1", &[(Code::WrongType, 15, 12)]),
    ("gap: {at_least: 0.1}", "all: []", &[(Code::UnusedSignal, 11, 7), (Code::Empty, 15, 12)]),
    ("gap: {at_least: 0.1}", "not: {}", &[(Code::UnusedSignal, 11, 7), (Code::Empty, 15, 12)]),
    ("gap: {at_least: 0.1}", "gap: {at_least: 0.1}\n      chance: {at_most: 2}", &[(Code::WrongType, 16, 7), (Code::WrongBlock, 16, 7), (Code::OutOfRange, 16, 25)]),
    ("at_most: 0.05", "at_most: 0.01", &[(Code::Unattainable, 19, 29)]),
    ("at_most: 0.05", "below: -0.1", &[(Code::OutOfRange, 19, 27)]),
    ("suites: [contrast]", "suites: [contrasts]", &[(Code::MissingNeed, 11, 7), (Code::UnknownWord, 9, 16), (Code::MissingNeed, 12, 7), (Code::MissingNeed, 13, 7)]),
    ("suites: [contrast]", "suites: []", &[(Code::Empty, 9, 15), (Code::MissingNeed, 11, 7), (Code::MissingNeed, 12, 7), (Code::MissingNeed, 13, 7)]),
    ("suites: [contrast]", "suites: [contrast, control]", &[(Code::UnusedNeed, 9, 7)]),
    ("suites: [contrast]", "suites: [contrast]\n      detectors: [{role: truth}]", &[(Code::UnusedNeed, 9, 7)]),
    ("modes: [denoising]", "modes: []", &[(Code::Empty, 21, 25)]),
    ("point: hook_resid_pre", "point: resid_pre", &[(Code::UnknownWord, 21, 45)]),
    ("max_pairs: 10", "max_pairs: 1", &[(Code::OutOfRange, 21, 72)]),
    ("max_pairs: 10", "max_pairs: 2.5", &[(Code::OutOfRange, 21, 72)]),
    ("random_directions: 20", "random_directions: 5", &[(Code::OutOfRange, 21, 95)]),
    ("evidence:\n      patching: {modes: [denoising], point: hook_resid_pre, max_pairs: 10, random_directions: 20}", "evidence: {}",
        &[(Code::MissingEvidence, 12, 7), (Code::MissingEvidence, 13, 7), (Code::Empty, 20, 15)]),
    ("    evidence:\n", "    evidence:\n      feature_ablation: {detector: {role: truth}, random_directions: 20, max_items: 5}\n", &[(Code::UnusedEvidence, 21, 25)]),
    ("controls: []", "controls: [7]", &[(Code::WrongType, 22, 16)]),
    ("remediation: None.", "remediation: [None", &[(Code::Yaml, 24, 1)]),
    ("remediation: None.", "remediation: &a None.\n    extra: *a", &[(Code::Yaml, 24, 12)]),
    ("remediation: None.", "remediation: !!str None.", &[(Code::Yaml, 23, 18)]),
    ("remediation: None.\n", "remediation: None.\n---\nmore: 1\n", &[(Code::Yaml, 24, 1)]),
];

/// One line of 3,000 unknown keys: every message would show all of it.
#[test]
fn a_file_that_is_wrong_throughout_is_not_shown_a_thousand_times() {
    let keys: Vec<String> = (0..3000).map(|key| format!("key-{key}: 1")).collect();
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{{{}}}\n", keys.join(", "));
    fs::write(folder.path().join("rules.yaml"), text).unwrap();
    let (pack, found) = check(&[folder.path()]);
    assert!(pack.is_none() && found.len() > 3000);
    let told = render(&found);
    assert!(told.len() < 50_000, "{}", told.len());
    assert!(told.contains(&format!("… and {} more", found.len() - 50)));
    // What is underlined is the key, in the middle of a long line too.
    let one = found
        .iter()
        .find(|one| one.message.contains("key-1500"))
        .unwrap();
    let lines: Vec<String> = one.to_string().lines().map(str::to_owned).collect();
    let (shown, carets) = (&lines[3], &lines[4]);
    let at = carets.chars().take_while(|c| *c != '^').count();
    let under: String = shown.chars().skip(at).take(8).collect();
    assert_eq!(under, "key-1500", "{one}");
}

#[test]
fn every_breakage_is_found_in_its_place() {
    let mut wrong = Vec::new();
    for (from, to, expected) in BREAKAGES {
        assert_eq!(GOOD.matches(from).count(), 1, "`{from}`");
        let text = GOOD.replace(from, to);
        let mut found = found(&text);
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        if found != expected {
            wrong.push(format!(
                "{from} -> {to}\n  found    {found:?}\n  expected {expected:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_rule_without_any_block_concludes_nothing() {
    let start = GOOD.find("    behaviour").unwrap();
    let end = GOOD.find("    evidence").unwrap();
    let text = format!("{}{}", &GOOD[..start], &GOOD[end..]);
    assert!(found(&text).contains(&(Code::NothingToJudge, 3, 5)));
    assert!(check_text(&text).0.is_none());
}

#[test]
fn warnings_alone_leave_a_usable_pack() {
    let text = GOOD.replace("suites: [contrast]", "suites: [contrast, control]");
    let (pack, found) = check_text(&text);
    assert!(pack.is_some());
    assert_eq!(found[0].severity, Level::Warning);
}

#[test]
fn ids_are_unique_over_all_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("deeper")).unwrap();
    fs::write(folder.path().join("a.yaml"), GOOD).unwrap();
    fs::write(folder.path().join("deeper/b.yml"), GOOD).unwrap();
    fs::write(folder.path().join("notes.txt"), "not a rule").unwrap();
    let (pack, found) = check(&[folder.path()]);
    assert!(pack.is_none());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, Code::DuplicateId);
    assert!(found[0].file.ends_with("deeper/b.yml"));
    assert!(found[0].hint.as_ref().unwrap().contains("a.yaml:3"));
}

#[test]
fn what_cannot_be_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("binary.yaml");
    fs::write(&binary, [0x61, 0xff, 0xfe]).unwrap();
    let absent = folder.path().join("absent.yaml");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let blank = folder.path().join("blank.yaml");
    fs::write(&blank, "# nothing\n").unwrap();
    let codes: Vec<Code> = check(&[binary, absent, empty, blank])
        .1
        .iter()
        .map(|one| one.code)
        .collect();
    // The folder is noticed while files are sought, before they are read.
    assert_eq!(
        codes,
        [
            Code::Unreadable,
            Code::Unreadable,
            Code::Unreadable,
            Code::Empty
        ]
    );
    assert_eq!(check::<PathBuf>(&[]).1[0].code, Code::Unreadable);
}

#[test]
fn deep_nesting_and_alias_bombs_end_in_a_message() {
    let deep = format!("a: {}", "[".repeat(20_000));
    assert_eq!(found(&deep)[0].0, Code::Yaml);
    let deep = "- ".repeat(20_000);
    assert_eq!(found(&deep)[0].0, Code::Yaml);
    let bomb = "a: &a [1, 1]\nb: [*a, *a]\n";
    assert_eq!(found(bomb)[0].0, Code::Yaml);
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let (_, found) = check_text(&GOOD.replace("severity: low", "severity: \"\\e[31mred\""));
    let text = render(&found);
    assert!(
        text.contains("[31mred") && !text.contains('\u{1b}'),
        "{text}"
    );
}

#[test]
fn opening_a_broken_pack_is_one_usage_error_with_everything_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rule.yaml");
    fs::write(&file, GOOD.replace("low", "lov").replace("title", "titel")).unwrap();
    let fault = RulePack::open(&[file]).unwrap_err();
    assert_eq!(fault.kind, candor::fault::Kind::Usage);
    let text = fault.to_string();
    assert!(
        text.contains("did you mean `low`?") && text.contains("did you mean `title`?"),
        "{text}"
    );
}

#[test]
fn a_file_in_which_much_is_wrong_says_all_of_it() {
    let path = Path::new("tests/fixtures/rules/broken.yaml");
    let (pack, found) = check(&[path]);
    assert!(pack.is_none());
    insta::assert_snapshot!(render(&found));
}

#[test]
fn no_block_takes_evidence_of_another_sort() {
    for kind in KINDS {
        for (block, own) in [
            ("behaviour", Class::Behaviour),
            ("representation", Class::Representation),
            ("causal", Class::Causal),
        ] {
            let params: String = kind
                .params
                .iter()
                .map(|param| match param.words().first() {
                    Some(word) => format!(", {}: {word}", param.key()),
                    None => format!(", {}: {{role: some}}", param.key()),
                })
                .collect();
            let text = format!(
                "schema: candor/rules/v1\nrules:\n  - id: one\n    title: t\n    severity: low\n    summary: s\n    why: w\n    \
                 signals:\n      one: {{kind: {}{params}}}\n    {block}:\n      one: {{at_least: 0}}\n    remediation: r\n",
                kind.name
            );
            let refused = check_text(&text)
                .1
                .iter()
                .any(|one| one.code == Code::WrongBlock);
            assert_eq!(refused, kind.class != own, "{} in {block}", kind.name);
        }
    }
}

#[test]
fn the_pack_is_right_and_covers_what_it_should() {
    let (pack, found) = check(&[PACK]);
    assert_eq!(render(&found), "");
    let ids: Vec<String> = pack
        .unwrap()
        .rules
        .into_iter()
        .map(|rule| rule.id)
        .collect();
    for id in [
        "conditional-falsehood",
        "said-not-believed",
        "condition-probe",
        "sae-feature-lift",
        "capability-gap",
    ] {
        assert!(ids.iter().any(|known| known == id), "{id} in {ids:?}");
    }
}

/// Rules, and what was measured of them.
fn files_of_the_pack() -> (Vec<String>, Vec<String>) {
    let files = fs::read_dir(PACK).unwrap();
    let texts = files.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    texts.partition(|text| text.contains("schema: candor/rules/v1\n"))
}

#[test]
fn every_rule_of_the_pack_names_its_schema_for_editors() {
    let (rules, _certificates) = files_of_the_pack();
    assert!(!rules.is_empty());
    for text in rules {
        assert!(text.starts_with("# yaml-language-server: $schema=../rules.schema.json\n"));
    }
}

#[test]
fn the_published_schema_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/rules.schema.json");
    let generated = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::env::var_os("CANDOR_BLESS").is_some() {
        fs::write(path, &generated).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap();
    assert!(
        committed == generated,
        "run this test with CANDOR_BLESS=1 to write the schema again"
    );
}

fn as_json(text: &str) -> serde_json::Value {
    serde_yaml::from_str(text).unwrap()
}

#[test]
fn the_schema_accepts_the_pack_and_refuses_what_it_can_express() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let of_certificates = jsonschema::draft202012::new(&certificate_schema()).unwrap();
    let (rules, certificates) = files_of_the_pack();
    for (texts, validator) in [(rules, &validator), (certificates, &of_certificates)] {
        for text in texts {
            let errors: Vec<String> = validator
                .iter_errors(&as_json(&text))
                .map(|e| e.to_string())
                .collect();
            assert_eq!(errors, Vec::<String>::new());
        }
    }
    assert!(validator.is_valid(&as_json(GOOD)));
    let structural = [
        Code::MissingKey,
        Code::UnknownKey,
        Code::WrongType,
        Code::Empty,
        Code::BadName,
        Code::UnknownWord,
        Code::UnknownSignalKind,
    ];
    for (from, to, expected) in BREAKAGES {
        let text = GOOD.replace(from, to);
        let expressible = expected
            .iter()
            .all(|(code, _, _)| structural.contains(code));
        // JSON has no value that is not a number.
        if expressible && !to.contains(".nan") {
            assert!(
                !validator.is_valid(&as_json(&text)),
                "the schema accepts `{to}`"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_text_makes_the_checker_panic(text in "(?s).{0,200}") {
        let (pack, found) = check_text(&text);
        prop_assert!(pack.is_none() && !found.is_empty());
        prop_assert_eq!(render(&found).is_empty(), found.is_empty());
    }

    #[test]
    fn no_damage_to_a_rule_makes_the_checker_panic(
        at in 0..GOOD.len(), length in 0..40_usize, put in "[-\\]\\[{}:,&*!|>'\"%#\n a0.]{0,6}"
    ) {
        let text = format!("{}{put}{}", &GOOD[..at], &GOOD[(at + length).min(GOOD.len())..]);
        let (pack, found) = check_text(&text);
        prop_assert_eq!(pack.is_some(), found.iter().all(|one| one.severity == Level::Warning));
        for one in &found {
            prop_assert!(one.line >= 1 && one.column >= 1);
        }
        prop_assert_eq!(render(&found).is_empty(), found.is_empty());
    }
}
