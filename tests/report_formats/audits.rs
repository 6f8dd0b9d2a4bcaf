//! The same validators on audits of the bundled models: failing, passing, inconclusive and waived.

use std::fs;
use std::path::{Path, PathBuf};

use candor::rules::RulePack;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{candor, json, root};
use crate::validators;

const AUDIT: &str = "benchmarks/organisms/audit.yaml";
const FORMATS: [(&str, &str); 5] = [
    ("sarif", "results.sarif"),
    ("junit", "junit.xml"),
    ("markdown", "summary.md"),
    ("csv", "findings.csv"),
    ("github", "annotations.txt"),
];

/// Audits with every format, checks the exit code and returns the folder.
fn audit(args: &[&str], code: i32) -> (TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    let outputs =
        FORMATS.map(|(format, file)| format!("--output={format}={}", out.join(file).display()));
    candor(["audit"])
        .args(args)
        .args(["--out", out.to_str().unwrap()])
        .args(outputs)
        .assert()
        .code(code);
    (temp, out)
}

/// What others say of the formats; the cases that junitparser reads.
fn validated(out: &Path) -> Option<Vec<Value>> {
    validators::sarif(&out.join("results.sarif"))?.unwrap();
    let schema = validators::validators()?.join("junit-10.xsd");
    let junit = out.join("junit.xml");
    let args = [junit.to_str().unwrap(), schema.to_str().unwrap()];
    let cases = validators::script("junit.py", &args)?.unwrap()["cases"].clone();
    let page = out.join("summary.md");
    let page = validators::script("markdown.py", &[page.to_str().unwrap()])?.unwrap();
    assert_eq!(page["links"], Value::Array(vec![]));
    let table = out.join("findings.csv");
    let rows = validators::script("table.py", &[table.to_str().unwrap()])?.unwrap();
    let cases = cases.as_array().unwrap().clone();
    assert_eq!(rows.as_array().unwrap().len(), 1 + cases.len());
    assert!(
        fs::read_to_string(out.join("annotations.txt"))
            .unwrap()
            .lines()
            .count()
            <= 11
    );
    Some(cases)
}

fn results(cases: &[Value], model: &str) -> Vec<Value> {
    let of_model = cases.iter().filter(|case| case["suite"] == model);
    of_model.map(|case| case["results"][0].clone()).collect()
}

#[test]
fn failing_passing_and_benign() {
    let (_temp, out) = audit(&[AUDIT], 14);
    let log = json(&out.join("results.sarif"));
    let alerts = log["runs"][0]["results"].as_array().unwrap();
    let levels = |model: &str| {
        let of_model = alerts
            .iter()
            .filter(|alert| alert["properties"]["model"] == model);
        let levels = of_model.map(|alert| alert["level"].as_str().unwrap());
        levels.collect::<Vec<_>>()
    };
    assert_eq!(levels("liar"), ["error"; 5]);
    assert_eq!(levels("clean"), [""; 0]);
    assert_eq!(levels("decoy"), ["note"; 5]);
    for alert in alerts {
        let at = &alert["locations"][0]["physicalLocation"];
        let file = root().join(at["artifactLocation"]["uri"].as_str().unwrap());
        let text = fs::read_to_string(file).unwrap();
        let line = at["region"]["startLine"].as_u64().unwrap();
        let line = text
            .lines()
            .nth(usize::try_from(line).unwrap() - 1)
            .unwrap();
        assert_eq!(
            line.trim(),
            format!("- id: {}", alert["ruleId"].as_str().unwrap())
        );
    }
    if let Some(cases) = validated(&out) {
        assert!(
            results(&cases, "liar")
                .iter()
                .all(|result| result == "failure")
        );
        assert!(results(&cases, "clean").iter().all(Value::is_null));
        assert!(results(&cases, "decoy").iter().all(Value::is_null));
    }
    // A stored report renders to the same bytes.
    for (format, file) in FORMATS {
        let again = out.join("again");
        candor(["report", out.join("report.json").to_str().unwrap()])
            .args(["--output", &format!("{format}={}", again.display())])
            .assert()
            .success();
        assert!(
            fs::read(again).unwrap() == fs::read(out.join(file)).unwrap(),
            "{format}"
        );
    }
}

/// Twelve items of the suite cannot show that a model is clean.
#[test]
fn inconclusive() {
    let suites = tempfile::tempdir().unwrap();
    let facts = root().join("benchmarks/organisms/suites/facts");
    let items = fs::read_to_string(facts.join("items.jsonl")).unwrap();
    let items: Vec<&str> = items.lines().take(12).collect();
    fs::write(suites.path().join("items.jsonl"), items.join("\n")).unwrap();
    fs::copy(facts.join("suite.yaml"), suites.path().join("suite.yaml")).unwrap();
    let args = [
        "--model",
        "benchmarks/organisms/clean/model.onnx",
        "--suite",
        suites.path().to_str().unwrap(),
        "benchmarks/organisms/suites/control",
        "--rules",
        "rules/deception",
        "--detectors",
        "detectors/clean",
    ];
    let (_temp, out) = audit(&args, 4);
    let log = json(&out.join("results.sarif"));
    let alerts = log["runs"][0]["results"].as_array().unwrap();
    assert!(!alerts.is_empty() && alerts.iter().all(|alert| alert["level"] == "warning"));
    if let Some(cases) = validated(&out) {
        assert!(
            results(&cases, "clean")
                .iter()
                .any(|result| result == "error")
        );
    }
}

#[test]
fn waived() {
    let folder = tempfile::tempdir().unwrap();
    let waivers = folder.path().join("waivers.yaml");
    let rules = RulePack::open(&[root().join("rules/deception")])
        .unwrap()
        .rules;
    let mut text = "schema: candor/waivers/v1\nwaivers:\n".to_owned();
    for rule in rules {
        for line in [
            &format!("  - rule: {}", rule.id),
            "    model: liar",
            "    owner: ada",
            "    expires: 2099-12-31",
            "    reason: 'a bundled liar, ]]> <b>'",
        ] {
            text.push_str(line);
            text.push('\n');
        }
    }
    fs::write(&waivers, text).unwrap();
    let args = [
        AUDIT,
        "--only",
        "liar",
        "--waivers",
        waivers.to_str().unwrap(),
    ];
    let (_temp, out) = audit(&args, 0);
    let log = json(&out.join("results.sarif"));
    for alert in log["runs"][0]["results"].as_array().unwrap() {
        let suppression = &alert["suppressions"][0];
        assert_eq!(suppression["justification"], "a bundled liar, ]]> <b>.");
        assert_eq!(suppression["properties"]["owner"], "ada");
    }
    if let Some(cases) = validated(&out) {
        assert!(
            results(&cases, "liar")
                .iter()
                .all(|result| result == "skipped")
        );
        let said = cases[0]["messages"][0].as_str().unwrap();
        assert!(
            said.contains("waived by ada until 2099-12-31: a bundled liar, ]]> <b>"),
            "{said}"
        );
    }
}
