//! `candor path` from a file of pairs to the shares that paths carry, against what PyTorch's hooks gave.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::fmt::Write as _;
use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

/// The recorded model, the pairs that patches were recorded on (every second one), and everything that was recorded. The sides of the
/// difference are two of the tokens whose logits were.
fn told() -> (std::path::PathBuf, Vec<Value>, Value) {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/circuit/models");
    let told = std::fs::read(models.join("random_gpt.json")).unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    let pairs = told["pairs"].as_array().unwrap().iter().step_by(2);
    let pairs = pairs.cloned().map(|mut pair| {
        pair["answer"] = json!(3);
        pair["foil"] = json!(7);
        pair
    });
    let pairs = pairs.collect();
    (models.join("random_gpt.onnx"), pairs, told)
}

fn run(folder: &Path, model: &Path, args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("candor").unwrap();
    command.current_dir(folder).arg("path").arg(model);
    command
        .args(["--pairs", "pairs.jsonl", "--out", "paths.json"])
        .args(args);
    command
}

fn written(folder: &Path, pairs: &[Value]) {
    // Intervals are made from at least five groups: each pair stands there twice, and each line is a group of its own.
    let lines = pairs.iter().chain(pairs).map(|pair| {
        let mut pair = pair.clone();
        pair.as_object_mut().unwrap().remove("group");
        pair.to_string()
    });
    let lines: Vec<String> = lines.collect();
    std::fs::write(folder.join("pairs.jsonl"), lines.join("\n")).unwrap();
}

#[test]
fn shares_are_those_of_pytorch() {
    let (model, pairs, told) = told();
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), &pairs);
    let difference = |logits: &Value, pair: &Value| {
        let at = |side: &str| {
            logits[usize::try_from(pair[side].as_u64().unwrap()).unwrap()]
                .as_f64()
                .unwrap()
        };
        at("answer") - at("foil")
    };
    let mut compared = 0;
    for patch in told["patches"].as_array().unwrap() {
        let receivers: Vec<&str> = patch["receivers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        let mut args = vec!["--from", patch["sender"].as_str().unwrap(), "--to"];
        args.extend(&receivers);
        if patch["through_mlps"] == json!(false) {
            args.push("--direct");
        }
        run(folder.path(), &model, &args).assert().success();
        let file: Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("paths.json")).unwrap())
                .unwrap();
        let told = &file["senders"][0];
        assert_eq!(told["sender"], patch["sender"]);
        assert_eq!(file["refused"], json!([]));
        // (clean − patched)/(clean − corrupt), pair by pair: three unknowns of the plain runs are the same for every patch.
        let after: Vec<f64> = pairs
            .iter()
            .enumerate()
            .map(|(row, pair)| difference(&patch["logits"][row], pair))
            .collect();
        let ends = plain(folder.path(), &model, &pairs);
        for (pair, after) in after.iter().enumerate() {
            let (clean, corrupt) = ends[pair];
            let expected = (clean - after) / (clean - corrupt);
            let found = told["by_pair"][pair].as_f64().unwrap();
            let allowed = 2e-5 / (clean - corrupt).abs();
            assert!(
                (found - expected).abs() <= allowed,
                "{args:?} pair {pair}: {found} against {expected}"
            );
            compared += 1;
        }
        let shares: Vec<f64> = (0..after.len())
            .map(|pair| told["by_pair"][pair].as_f64().unwrap())
            .collect();
        let mean = candor::stats::mean(&shares).unwrap();
        assert!((told["share"].as_f64().unwrap() - mean).abs() < 1e-9);
    }
    assert!(compared >= 100, "{compared}");
}

/// The logit differences of the plain runs of every pair, read with another command.
fn plain(folder: &Path, model: &Path, pairs: &[Value]) -> Vec<(f64, f64)> {
    let cache = folder.join("plain.json");
    if let Ok(known) = std::fs::read(&cache) {
        return serde_json::from_slice(&known).unwrap();
    }
    let ends: Vec<(f64, f64)> = pairs
        .iter()
        .map(|pair| {
            let mut command = Command::cargo_bin("candor").unwrap();
            command.current_dir(folder).arg("patch").arg(model);
            for side in ["clean", "corrupt"] {
                command
                    .arg(format!("--{side}-ids"))
                    .arg(pair[side].to_string());
            }
            for side in ["answer", "foil"] {
                command
                    .arg(format!("--{side}-id"))
                    .arg(pair[side].to_string());
            }
            command
                .args(["--sites", "blocks.0.hook_resid_pre", "--out", "map.json"])
                .assert()
                .success();
            let map: Value =
                serde_json::from_slice(&std::fs::read(folder.join("map.json")).unwrap()).unwrap();
            (
                map["clean"].as_f64().unwrap(),
                map["corrupt"].as_f64().unwrap(),
            )
        })
        .collect();
    std::fs::write(cache, serde_json::to_vec(&ends).unwrap()).unwrap();
    ends
}

#[test]
fn every_sender_is_listed_the_strongest_first() {
    let (model, pairs, _) = told();
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), &pairs);
    let said = run(folder.path(), &model, &[])
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    insta::assert_snapshot!(String::from_utf8(said).unwrap());
    let file: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("paths.json")).unwrap()).unwrap();
    let shares: Vec<f64> = file["senders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|told| told["share"].as_f64().unwrap().abs())
        .collect();
    assert!(shares.windows(2).all(|two| two[0] >= two[1]), "{shares:?}");
}

#[test]
fn paths_that_lead_nowhere_are_refused() {
    let (model, pairs, _) = told();
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), &pairs);
    let mut said = String::new();
    for args in [
        &["--from", "L9.H0"][..],
        &["--from", "head 3"],
        &["--to", "L0.H0"],
        &["--to", "L0.H9.q"],
        &["--from", "L2.mlp", "--to", "L0.H0.q"],
    ] {
        let output = run(folder.path(), &model, args)
            .assert()
            .code(2)
            .get_output()
            .stderr
            .clone();
        writeln!(
            said,
            "── {}\n{}",
            args.join(" "),
            String::from_utf8(output).unwrap()
        )
        .unwrap();
    }
    written(folder.path(), &pairs[..1]);
    let output = run(folder.path(), &model, &[])
        .assert()
        .code(2)
        .get_output()
        .stderr
        .clone();
    write!(said, "── two pairs\n{}", String::from_utf8(output).unwrap()).unwrap();
    assert!(!folder.path().join("paths.json").exists());
    insta::assert_snapshot!(said);
}
