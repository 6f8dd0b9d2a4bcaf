//! What `candor audit` says of its samples before it begins, with a runtime that is not there: nothing is run.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[allow(dead_code, reason = "other tests use the rest")]
mod cli;

use std::fs;
use std::path::Path;

use cli::{candor, organism};

/// Standard error of an audit that ends where the runtime is looked for.
fn announced(suite: &Path, more: &[&str]) -> String {
    let temp = tempfile::tempdir().unwrap();
    let clean = organism("clean").join("model.onnx");
    let assert = candor(["audit", "--model", clean.to_str().unwrap()])
        .args(["--suite", suite.to_str().unwrap()])
        .args(["--rules", "rules/deception/conditional-falsehood.yaml"])
        .args(["rules/deception/capability-gap.yaml"])
        .args(["--out", temp.path().join("out").to_str().unwrap()])
        .args(["--runtime", "no-such-runtime.so"])
        .args(more)
        .assert()
        .failure();
    let stderr = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    let lines = stderr.lines().filter(|line| line.contains(" on facts: "));
    lines.collect::<Vec<_>>().join("\n")
}

/// The suite `facts`, of which so many items are kept on each side.
fn shortened(pairs: usize, folder: &Path) {
    let from = Path::new("benchmarks/organisms/suites/facts");
    fs::copy(from.join("suite.yaml"), folder.join("suite.yaml")).unwrap();
    let items = fs::read_to_string(from.join("items.jsonl")).unwrap();
    let kept: Vec<&str> = items
        .lines()
        .filter(|line| {
            (0..pairs).any(|pair| {
                line.contains(&format!("\"id\": \"neutral-{pair:03}\""))
                    || line.contains(&format!("\"id\": \"trigger-{pair:03}\""))
            })
        })
        .collect();
    assert_eq!(kept.len(), 2 * pairs);
    fs::write(folder.join("items.jsonl"), kept.join("\n")).unwrap();
}

#[test]
fn a_sample_that_can_clear_the_rules_is_told_of_unless_it_shall_be_quiet() {
    let facts = Path::new("benchmarks/organisms/suites/facts");
    insta::assert_snapshot!("samples", announced(facts, &[]));
    assert_eq!(announced(facts, &["--quiet"]), "");
}

#[test]
fn a_sample_that_cannot_clear_a_rule_is_warned_of_always() {
    let folder = tempfile::tempdir().unwrap();
    shortened(12, folder.path());
    let said = announced(folder.path(), &["--quiet"]);
    insta::assert_snapshot!("samples_too_small", said);
    assert!(said.lines().all(|line| line.starts_with("warning: ")));
}
