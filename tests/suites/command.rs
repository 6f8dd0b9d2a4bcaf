//! `candor suites`

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::{Value, json};

use super::write;

fn candor(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candor"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args);
    command.output().unwrap()
}

const TEXT: &[u8] = b"statement,label\nx is y,1\nx is z,0\nx is y,0\n,1\nw,Neither\nv,Neither\n";
const MAP: &str = r#"map: {prompt: "{statement}", label: "{label}"}"#;

#[test]
fn check_shows_what_became_of_every_row() {
    let folder = tempfile::tempdir().unwrap();
    write(
        &folder,
        &[("a.csv", TEXT), ("b.csv", b"statement,label\nx is z,0\n")],
        &[("a.csv", MAP), ("b.csv", MAP)],
    )
    .unwrap();
    let path = folder.path().to_str().unwrap();
    let shown = candor(&["suites", "check", path, "benchmarks/organisms/suites/facts"]);
    assert!(shown.status.success());
    let text = String::from_utf8(shown.stdout).unwrap();
    insta::assert_snapshot!(text);
    let warned = String::from_utf8(shown.stderr).unwrap();
    assert!(
        warned.contains("suite s: 3 of 7 rows left out; `candor suites check"),
        "{warned}"
    );
}

#[test]
fn check_writes_json() {
    let folder = tempfile::tempdir().unwrap();
    let suite = write(&folder, &[("a.csv", TEXT)], &[("a.csv", MAP)]).unwrap();
    let path = folder.path().to_str().unwrap();
    let shown = candor(&["suites", "check", path, "--format", "json"]);
    let read: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(read[0]["digest"], json!(suite.digest));
    let source = &read[0]["sources"][0];
    assert_eq!(source["rows"], 6);
    assert_eq!(source["labels"], json!({"one": 1, "zero": 2, "none": 0}));
    assert_eq!(
        source["repeated"],
        json!({"within": 1, "across": 0, "contradicting": 1})
    );
    assert_eq!(
        source["skipped"],
        json!([
            {"reason": "`statement` is empty", "rows": 1, "lines": [5]},
            {"reason": "label \"Neither\" is neither 0 nor 1", "rows": 2, "lines": [6, 7]}
        ])
    );
}

#[test]
fn the_published_schema_is_the_printed_one_and_fits_every_suite() {
    let printed = candor(&["suites", "schema"]).stdout;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/suite.schema.json");
    if std::env::var_os("CANDOR_BLESS").is_some() {
        std::fs::write(&file, &printed).unwrap();
    }
    assert_eq!(
        String::from_utf8(std::fs::read(&file).unwrap()).unwrap(),
        String::from_utf8(printed).unwrap(),
        "CANDOR_BLESS=1 rewrites it"
    );
    let schema: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let mut suites = 0;
    for folder in ["benchmarks/suites", "benchmarks/organisms/suites"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for suite in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(suite.unwrap().path().join("suite.yaml")).unwrap();
            let value: Value = serde_yaml::from_str(&text).unwrap();
            let errors: Vec<String> = schema
                .iter_errors(&value)
                .map(|error| error.to_string())
                .collect();
            assert!(errors.is_empty(), "{errors:?}");
            suites += 1;
        }
    }
    assert!(suites > 8);
    for wrong in ["prompts: x", "label: {form: x}", "each: x"] {
        let text = format!(
            "schema: candor/suite/v1\nid: s\npurpose: control\nsources: [{{file: a.csv, map: {{prompt: p, {wrong}}}}}]"
        );
        let value: Value = serde_yaml::from_str(&text).unwrap();
        assert!(!schema.is_valid(&value), "{wrong}");
    }
}
