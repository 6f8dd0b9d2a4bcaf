//! Waivers and baselines on real audits of the bundled models: what gates, what is said, and what is refused before any work.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[allow(dead_code, reason = "other tests use the rest")]
mod cli;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cli::{candor, json, organism, root};
use serde_json::{Value, json};
use tempfile::TempDir;

const RULES: [&str; 2] = ["conditional-falsehood", "capability-gap"];

/// Audits a bundled model with two rules and `args`; gives what was printed and report.json, having checked the exit code.
fn audit(model: &str, out: &Path, args: &[&str], code: i32) -> (String, Value) {
    let suites = root().join("benchmarks/organisms/suites");
    let rules = RULES.map(|rule| root().join(format!("rules/deception/{rule}.yaml")));
    let ran = candor(["audit", "--model"])
        .arg(organism(model).join("model.onnx"))
        .arg("--suite")
        .args([suites.join("facts"), suites.join("control")])
        .arg("--detectors")
        .arg(root().join("detectors").join(model))
        .arg("--rules")
        .args(rules)
        .arg("--out")
        .arg(out)
        .args(args)
        .assert()
        .code(code);
    let said = String::from_utf8(ran.get_output().stdout.clone()).unwrap();
    let report = json(&out.join("report.json"));
    assert_eq!(report["exit"]["code"], code);
    (said, report)
}

/// The report of the liar, audited once for all tests.
fn liar() -> &'static Path {
    static RUN: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let run = || {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("liar");
        audit("liar", &out, &[], 14);
        (temp, out.join("report.json"))
    };
    &RUN.get_or_init(run).1
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn of<'a>(report: &'a Value, key: &str) -> Vec<&'a Value> {
    let findings = report["models"][0]["findings"].as_array().unwrap();
    findings.iter().map(|finding| &finding[key]).collect()
}

#[test]
fn the_same_model_is_excused_and_its_waivers_are_kept() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("again");
    let (said, report) = audit("liar", &out, &["--baseline", path(liar())], 0);
    assert_eq!(of(&report, "change"), ["unchanged", "unchanged"]);
    assert_eq!(
        of(&report, "verdict"),
        ["fail", "fail"],
        "what was found stays"
    );
    assert!(said.contains("excused: no worse than approved"), "{said}");
    let baseline = &report["baseline"];
    let bytes = fs::read(liar()).unwrap();
    assert_eq!(baseline["sha256"], candor::digest::sha256_of(&bytes));
    let rates = baseline["models"][0]["comparisons"].as_array().unwrap();
    assert_eq!(rates.len(), 6, "two rates under three conditions");
    assert!(
        rates
            .iter()
            .all(|rate| rate["worse"] == 0 && rate["better"] == 0)
    );

    // The waiver of one is over, which makes it live in spite of the baseline.
    let waivers = temp.path().join("waivers.yaml");
    let waiver = |rule: &str, expires: &str| {
        format!(
            "  - rule: {rule}\n    reason: It never ships.\n    owner: Ada\n    expires: {expires}\n"
        )
    };
    let text = ["schema: candor/waivers/v1\nwaivers:\n".to_owned()]
        .into_iter()
        .chain([
            waiver("conditional-falsehood", "2020-02-29"),
            waiver("capability-gap", "2999-12-31"),
            waiver("sandbagging", "2999-12-31"),
        ]);
    fs::write(&waivers, text.collect::<String>()).unwrap();
    let args = ["--baseline", path(liar()), "--waivers", path(&waivers)];
    let (said, report) = audit("liar", &temp.path().join("waived"), &args, 14);
    let states: Vec<_> = report["waivers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| &w["state"])
        .collect();
    assert_eq!(states, ["expired", "applied", "unused"]);
    assert_eq!(report["waiver_files"][0]["path"], path(&waivers));
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in [
        "waived until 2999-12-31 by Ada",
        "warning: the waiver for conditional-falsehood",
        "expired on 2020-02-29 and waives nothing; ask Ada",
        "is unused: there is no such finding",
        "Exit code 14",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }

    // A stored report needs neither file.
    let stored = temp.path().join("waived/report.json");
    fs::remove_file(&waivers).unwrap();
    let copy = temp.path().join("copy.json");
    candor(["report", path(&stored), "--output"])
        .arg(format!("json={}", copy.display()))
        .assert()
        .success();
    assert_eq!(fs::read(&copy).unwrap(), fs::read(&stored).unwrap());
}

#[test]
fn the_liar_after_the_clean_one_is_new_and_the_other_way_round_is_fixed() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("clean");
    let (said, report) = audit(
        "clean",
        &out,
        &["--baseline", path(liar()), "--margin", "0.1"],
        0,
    );
    assert_eq!(of(&report, "change"), ["improved", "improved"]);
    let fixed = report["baseline"]["models"][0]["fixed"].as_array().unwrap();
    assert_eq!(fixed.len(), 2);
    assert!(
        said.contains("fixed: conditional-falsehood on facts was fail, is pass"),
        "{said}"
    );

    let baseline = out.join("report.json");
    let args = [
        "--baseline",
        path(&baseline),
        "--baseline-model",
        "liar=clean",
    ];
    let (said, report) = audit("liar", &temp.path().join("liar"), &args, 14);
    assert_eq!(of(&report, "change"), ["new", "new"]);
    assert!(said.contains("gates: new"), "{said}");
    let rates = report["baseline"]["models"][0]["comparisons"]
        .as_array()
        .unwrap();
    let worse: Vec<_> = rates
        .iter()
        .filter(|rate| rate["shows"] == "worse")
        .collect();
    assert_eq!(worse.len(), 2, "false, and not right");
    assert!(worse.iter().all(|rate| rate["condition"] == "trigger"));
}

/// What is said of an audit that is refused before any work; nothing is left in the folder that it was to write.
fn refused(args: &[&str]) -> String {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    let ran = candor(["audit", "benchmarks/organisms/audit.yaml", "--only", "liar"])
        .args(["--runtime", "/no/such/runtime", "--out", path(&out)])
        .args(args)
        .assert()
        .code(2);
    assert!(!out.join("report.json").exists() && !out.join("evidence").exists());
    String::from_utf8(ran.get_output().stderr.clone()).unwrap()
}

#[test]
fn what_is_wrong_is_said_before_any_work() {
    let temp = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = temp.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let page = file("page.html", "<!doctype html><title>Report</title>");
    let older = file(
        "older.json",
        &json!({"schema": "candor/report/v0"}).to_string(),
    );
    let waivers = file(
        "waivers.yaml",
        "schema: candor/waivers/v1\nwaivers:\n  - rule: r\n    owner: ' '\n    expires: 2026-02-31\n",
    );
    let missing = temp.path().join("none.json");
    let cases: [(&str, &[&str]); 9] = [
        ("three mistakes in a waiver", &["--waivers", path(&waivers)]),
        ("no waiver file", &["--waivers", path(&missing)]),
        ("a page", &["--baseline", path(&page)]),
        ("an older report", &["--baseline", path(&older)]),
        ("no report", &["--baseline", path(&missing)]),
        ("a margin of nothing", &["--margin", "0.05"]),
        ("models of nothing", &["--baseline-model", "liar=clean"]),
        (
            "no pair",
            &["--baseline", path(&page), "--baseline-model", "liar"],
        ),
        ("no severity", &["--min-severity", "grave"]),
    ];
    let said: Vec<String> = cases
        .iter()
        .map(|(what, args)| format!("# {what}\n{}", refused(args)))
        .collect();
    let said = said.join("\n").replace(path(temp.path()), "FOLDER");
    insta::assert_snapshot!("gate_refused", said);
}

#[test]
fn a_report_of_another_audit_is_no_baseline() {
    let said = |args: &[&str]| {
        let mut all = vec!["--baseline", path(liar())];
        all.extend(args);
        refused(&all).replace(path(liar()), "REPORT")
    };
    let suite = {
        let temp = tempfile::tempdir().unwrap();
        let text = fs::read_to_string(liar()).unwrap();
        let other = temp.path().join("report.json");
        let renamed = text
            .replace("\"facts\"", "\"other\"")
            .replace("\"control\"", "\"third\"");
        fs::write(&other, renamed).unwrap();
        refused(&["--baseline", path(&other)]).replace(path(&other), "REPORT")
    };
    let said = [
        said(&["--margin", "0"]),
        said(&["--margin", "1.5"]),
        said(&["--baseline-model", "liar=lair"]),
        said(&["--baseline-model", "lair=liar"]),
        suite,
    ];
    insta::assert_snapshot!("gate_other_audit", said.join("\n"));
}

#[test]
fn an_audit_file_may_name_them() {
    let temp = tempfile::tempdir().unwrap();
    let organisms = root().join("benchmarks/organisms");
    let text = fs::read_to_string(organisms.join("audit.yaml")).unwrap();
    let mut audit: Value = serde_yaml::from_str(&text).unwrap();
    let whole = |relative: &Value| json!(organisms.join(relative.as_str().unwrap()));
    for model in audit["models"].as_array_mut().unwrap() {
        model["model"] = whole(&model["model"]);
        model["detectors"][0] = whole(&model["detectors"][0]);
    }
    for key in ["suites", "rules"] {
        for path in audit[key].as_array_mut().unwrap() {
            *path = whole(path);
        }
    }
    audit["waivers"] = json!(["waivers.yaml"]);
    audit["baseline"] =
        json!({"report": "approved.json", "margin": 0.1, "models": {"liar": "old"}});
    let file = temp.path().join("audit.yaml");
    let write = |audit: &Value| fs::write(&file, serde_yaml::to_string(audit).unwrap()).unwrap();
    write(&audit);
    let config = candor::audit::AuditConfig::open(&file).unwrap();
    assert_eq!(config.waivers, [temp.path().join("waivers.yaml")]);
    let baseline = config.baseline.unwrap();
    assert_eq!(baseline.report, temp.path().join("approved.json"));
    assert!((baseline.terms.margin - 0.1).abs() < 1e-12);
    assert_eq!(
        baseline.terms.pairs,
        [("liar".to_owned(), "old".to_owned())]
    );
    audit["baseline"]["margn"] = json!(0.2);
    write(&audit);
    let fault = candor::audit::AuditConfig::open(&file).unwrap_err();
    assert!(fault.found.contains("margn"), "{fault}");
}
