//! Control mappings: the bundled ones name what they should, and what is wrong in one is said in its place.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(dead_code, reason = "the helpers serve several tests")]

mod cli;

use std::fs;
use std::path::Path;

use candor::fault::Kind;
use candor::rules::{Code, Controls, Diagnostic, Level, RulePack, check, controls_schema, render};
use cli::candor;

const BUNDLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/controls");
const DECEPTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/deception");

/// What a deception finding bears on, framework by framework.
const IDS: [(&str, &[&str]); 5] = [
    (
        "NIST AI RMF",
        &[
            "MEASURE 1.1",
            "MEASURE 2.1",
            "MEASURE 2.3",
            "MEASURE 2.5",
            "MEASURE 2.6",
            "MEASURE 2.8",
            "MEASURE 2.9",
            "MEASURE 2.13",
            "MEASURE 3.1",
            "MEASURE 3.2",
        ],
    ),
    (
        "NIST AI 600-1",
        &["MS-2.6-007", "MS-2.9-001", "MS-2.13-001"],
    ),
    (
        "EU AI Act",
        &[
            "Art. 53(1)(a)",
            "Art. 55(1)(a)",
            "Annex XI §2(1)",
            "Annex XI §2(2)",
            "Art. 9(8)",
            "Art. 11",
            "Annex IV(2)(g)",
        ],
    ),
    (
        "GPAI Code of Practice, Safety & Security",
        &[
            "App. 1.3.1",
            "App. 1.4(2)",
            "App. 1.4(4)",
            "App. 2.2(2)",
            "App. 3.1",
            "App. 3.2(2)",
            "App. 3.4(1)",
            "Measure 3.2",
            "Measure 7.3(1)(e)",
            "Measure 7.3(1)(f)",
            "Measure 7.6",
            "Measure 10.1",
        ],
    ),
    (
        "ISO/IEC 42001",
        &[
            "A.6.2.4", "A.6.2.5", "A.6.2.7", "A.6.2.8", "A.8.3", "A.8.4", "A.10.3", "8.2", "8.3",
            "9.1", "10.2",
        ],
    ),
];

/// The smallest right mapping, with places to break it.
const GOOD: &str = "\
schema: candor/controls/v1
framework:
  name: House Rules
  title: House Rules, 2026
  source: the drawer
controls:
  - id: R1
    title: Say what is so.
    bearing: Evidence toward it.
";

const RULE: &str = "\
schema: candor/rules/v1
rules:
  - id: small
    title: t
    severity: low
    summary: s
    why: w
    needs: {suites: [contrast]}
    signals:
      gap: {kind: false_rate_gap}
    behaviour:
      gap: {at_least: 0.1}
    controls:
      - House Rules R1
    remediation: r
";

/// Checks files of these texts, in this order.
fn check_texts(texts: &[&str]) -> (Option<RulePack>, Vec<Diagnostic>) {
    let folder = tempfile::tempdir().unwrap();
    for (index, text) in texts.iter().enumerate() {
        fs::write(folder.path().join(format!("{index}.yaml")), text).unwrap();
    }
    check(&[folder.path()])
}

fn found(texts: &[&str]) -> Vec<(Code, usize, usize)> {
    let found = check_texts(texts).1;
    found
        .iter()
        .map(|one| (one.code, one.line, one.column))
        .collect()
}

fn bundled() -> Controls {
    let (pack, found) = check(&[BUNDLED]);
    assert_eq!(render(&found), "");
    pack.unwrap().controls
}

#[test]
fn the_bundled_mappings_hold_what_a_deception_finding_bears_on() {
    let controls = bundled();
    let expected: Vec<String> = IDS
        .iter()
        .flat_map(|(framework, ids)| ids.iter().map(move |id| format!("{framework} {id}")))
        .collect();
    let mut ids = controls.ids();
    ids.sort_unstable();
    let mut sorted: Vec<&str> = expected.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    assert_eq!(ids, sorted);
    for id in ids {
        let control = controls.get(id).unwrap();
        assert!(control.bearing.starts_with("Evidence toward"), "{id}");
        let words = format!("{} {}", control.title, control.bearing).to_lowercase();
        for claim in ["complian", "complies", "fulfil", "guarantee", "certif"] {
            assert!(!words.contains(claim), "{id}: {claim}");
        }
    }
}

/// Without any mapping among the paths the binary's own ones are known.
#[test]
fn rules_alone_find_the_bundled_controls() {
    let (pack, found) = check(&[DECEPTION]);
    assert_eq!(render(&found), "");
    let pack = pack.unwrap();
    let named: Vec<&str> = pack
        .named_controls()
        .map(|control| control.id.as_str())
        .collect();
    assert!(
        named.contains(&"GPAI Code of Practice, Safety & Security App. 3.2(2)"),
        "{named:?}"
    );
    let mut once = named.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), named.len());
    for rule in &pack.rules {
        for id in &rule.controls {
            assert!(named.contains(&id.as_str()), "{id}");
        }
    }
}

/// What is replaced in [`GOOD`], by what, and what has to be found where.
#[rustfmt::skip]
const BREAKAGES: &[(&str, &str, &[(Code, usize, usize)])] = &[
    ("controls/v1", "control/v1", &[(Code::UnknownWord, 1, 9), (Code::UnknownKey, 2, 1), (Code::UnknownKey, 6, 1), (Code::MissingKey, 1, 1)]),
    ("framework:\n  name: House Rules\n  title: House Rules, 2026\n  source: the drawer\n", "", &[(Code::MissingKey, 1, 1)]),
    ("  source: the drawer\n", "", &[(Code::MissingKey, 3, 3)]),
    ("source:", "sauce:", &[(Code::MissingKey, 3, 3), (Code::UnknownKey, 5, 3)]),
    ("the drawer", "[the drawer]", &[(Code::WrongType, 5, 11)]),
    ("name: House Rules", "name: ''", &[(Code::Empty, 3, 9)]),
    ("    bearing: Evidence toward it.\n", "", &[(Code::MissingKey, 7, 5)]),
    ("id: R1", "id: 8.2", &[(Code::WrongType, 7, 9)]),
    ("    title: Say what is so.\n", "    title: Say what is so.\n    title: Again.\n", &[(Code::DuplicateKey, 9, 5)]),
    ("    bearing: Evidence toward it.\n", "    bearing: b\n  - {id: R1, title: t, bearing: b}\n", &[(Code::DuplicateId, 10, 10)]),
    ("    bearing: Evidence toward it.\n", "    bearing: b\n  - R2\n", &[(Code::WrongType, 10, 5)]),
    ("controls:\n  - id: R1\n    title: Say what is so.\n    bearing: Evidence toward it.\n", "controls: []\n", &[(Code::Empty, 6, 11)]),
    ("the drawer", "*drawer", &[(Code::Yaml, 5, 11)]),
];

#[test]
fn every_breakage_is_found_in_its_place() {
    assert_eq!(found(&[GOOD]), []);
    for (from, to, expected) in BREAKAGES {
        assert_eq!(GOOD.matches(from).count(), 1, "`{from}`");
        let mut found = found(&[&GOOD.replace(from, to)]);
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "`{to}`");
    }
}

#[test]
fn a_control_that_no_mapping_knows_is_a_warning() {
    let (pack, alone) = check_texts(&[RULE]);
    let pack = pack.unwrap();
    assert_eq!(pack.named_controls().count(), 0);
    assert_eq!(pack.rules[0].controls, ["House Rules R1"]);
    assert_eq!(alone[0].severity, Level::Warning);
    assert_eq!(found(&[RULE]), [(Code::UnknownControl, 14, 9)]);
    let near = RULE.replace("House Rules R1", "NIST AI RMF MEASURE 2.14");
    let said = [RULE, near.as_str()].map(|text| {
        let (_, found) = check_texts(&[text]);
        let file = found[0].file.display().to_string();
        render(&found).replace(&file, "rule.yaml")
    });
    insta::assert_snapshot!(said.join("\n"));
}

/// A mapping is found wherever it lies among the paths, and wins over a bundled one.
#[test]
fn a_given_mapping_makes_its_controls_known() {
    for texts in [[GOOD, RULE], [RULE, GOOD]] {
        let (pack, found) = check_texts(&texts);
        assert_eq!(render(&found), "");
        let pack = pack.unwrap();
        let control = pack.named_controls().next().unwrap();
        assert_eq!(control.framework.source, "the drawer");
        assert_eq!(pack.files.len(), 2);
    }
    let own = GOOD
        .replace("name: House Rules", "name: ISO/IEC 42001")
        .replace("R1", "A.8.4");
    let (pack, found) = check_texts(&[&own]);
    assert_eq!(render(&found), "");
    let controls = pack.unwrap().controls;
    assert_eq!(
        controls.get("ISO/IEC 42001 A.8.4").unwrap().title,
        "Say what is so."
    );
    assert_eq!(found_twice(&own), [Code::DuplicateId]);
}

fn found_twice(text: &str) -> Vec<Code> {
    found(&[text, text])
        .into_iter()
        .map(|(code, _, _)| code)
        .collect()
}

#[test]
fn mappings_alone_are_nothing_to_audit_by() {
    let fault = RulePack::open(&[BUNDLED]).unwrap_err();
    assert_eq!(fault.kind, Kind::NoInputs);
}

#[test]
fn the_published_schema_is_the_generated_one_and_agrees_with_the_reader() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/controls.schema.json");
    let schema = controls_schema();
    let generated = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    if std::env::var_os("CANDOR_BLESS").is_some() {
        fs::write(path, &generated).unwrap();
    }
    assert!(
        fs::read_to_string(path).unwrap() == generated,
        "run this test with CANDOR_BLESS=1 to write the schema again"
    );
    let printed = candor(["rules", "schema", "--of", "controls"])
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
    for entry in fs::read_dir(BUNDLED).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(text.starts_with("# yaml-language-server: $schema=../controls.schema.json\n"));
        assert!(accepts(&text));
    }
    for (from, to, expected) in BREAKAGES {
        let seen =
            |code: &Code| !matches!(code, Code::DuplicateKey | Code::DuplicateId | Code::Yaml);
        if expected.iter().all(|(code, _, _)| seen(code)) {
            assert!(
                !accepts(&GOOD.replace(from, to)),
                "the schema accepts `{to}`"
            );
        }
    }
}

/// The table of `docs/controls.md`, behind its mark.
#[test]
fn the_documentation_lists_every_control() {
    const MARK: &str = "<!-- table: CANDOR_BLESS=1 cargo test --test rules_controls -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/controls.md");
    let text = fs::read_to_string(&path).unwrap();
    let head = &text[..text.find(MARK).unwrap() + MARK.len()];
    let controls = bundled();
    let mut table = String::new();
    for (framework, ids) in IDS {
        let first = controls.get(&format!("{framework} {}", ids[0])).unwrap();
        table += &format!(
            "\n### {framework}\n\n{}. <{}>\n\n| Control | Asks for | A finding is |\n|---|---|---|\n",
            first.framework.title, first.framework.source
        );
        for id in ids {
            let control = controls.get(&format!("{framework} {id}")).unwrap();
            let bearing = control.bearing.replacen('E', "e", 1);
            table += &format!("| `{id}` | {} | {bearing} |\n", control.title);
        }
    }
    let generated = format!("{head}{table}");
    if std::env::var_os("CANDOR_BLESS").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == generated,
        "run this test with CANDOR_BLESS=1 to write the table again"
    );
}
