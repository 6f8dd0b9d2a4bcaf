//! `candor circuit` from a file of pairs to circuit.json and circuit.html.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

#[test]
fn a_circuit_is_found_written_and_drawn() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/circuit/models");
    let told = std::fs::read(fixtures.join("movers.json")).unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> = told["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    std::fs::write(folder.path().join("pairs.jsonl"), lines.join("\n")).unwrap();
    let run = |out: &str| {
        let mut command = Command::cargo_bin("candor").unwrap();
        command
            .current_dir(folder.path())
            .arg("circuit")
            .arg(fixtures.join("movers.onnx"));
        command.args([
            "--pairs",
            "pairs.jsonl",
            "--ablation",
            "zero",
            "--samples",
            "3",
            "--out",
            out,
        ]);
        command.assert().success().get_output().stdout.clone()
    };
    let said = String::from_utf8(run("a")).unwrap();
    insta::assert_snapshot!(said);
    run("b");
    let read = |file: &str| std::fs::read(folder.path().join(file)).unwrap();
    assert_eq!(
        read("a/circuit.json"),
        read("b/circuit.json"),
        "the same for the same seed"
    );
    assert_eq!(read("a/circuit.html"), read("b/circuit.html"));

    let file: Value = serde_json::from_slice(&read("a/circuit.json")).unwrap();
    let edges = file["edges"].as_array().unwrap().iter();
    let name = |end: &Value| end.as_str().unwrap().to_owned();
    let mut found: Vec<String> = edges
        .map(|edge| format!("{}>{}", name(&edge["sender"]), name(&edge["receiver"])))
        .collect();
    let known = told["edges"].as_array().unwrap().iter();
    let mut known: Vec<String> = known.map(name).collect();
    found.sort();
    known.sort();
    assert_eq!(found, known);
    let against = file["edges"]
        .as_array()
        .unwrap()
        .iter()
        .find(|edge| edge["sender"] == "L2.H1");
    assert!(against.unwrap()["cost"]["point"].as_f64().unwrap() < -0.5);

    let page = String::from_utf8(read("a/circuit.html")).unwrap();
    assert_eq!(page.matches("<path ").count(), found.len());
    assert_eq!(
        page.matches("<rect ").count(),
        file["nodes"].as_array().unwrap().len() + 1
    );
    assert_eq!(
        page.matches("class=\"against\"").count(),
        5 + 1,
        "the negative mover, and the legend"
    );
    assert!(
        !page.contains("http:") && !page.contains("https:"),
        "nothing is loaded from elsewhere"
    );
}
