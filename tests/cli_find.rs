//! `candor detectors find`: the whole ranking, held against activations that `candor capture` writes.
#![allow(clippy::unwrap_used, reason = "a test may stop")]
#![allow(dead_code, reason = "the helpers serve several tests")]

mod cli;

use std::fs;
use std::path::{Path, PathBuf};

use candor::detect::{Sae, SplitItem, hold_out};
use candor::stats::auroc;
use candor::tokens::{Item, Suite};
use cli::{candor, floats, json, organism, root};
use ndarray::{Axis, Ix3};
use serde_json::Value;
use tempfile::TempDir;

const SUITES: &str = "benchmarks/organisms/suites";

/// A copy of an organism's SAE without its card.
fn features(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("features");
    fs::create_dir(&copy).unwrap();
    for file in ["cfg.json", "sae_weights.safetensors"] {
        fs::copy(
            root()
                .join("detectors")
                .join(name)
                .join("features")
                .join(file),
            copy.join(file),
        )
        .unwrap();
    }
    (folder, copy)
}

fn find(dir: &Path, name: &str, more: &[&str]) -> String {
    let (dir, model) = (dir.to_str().unwrap(), organism(name).join("model.onnx"));
    let suite = format!("{SUITES}/calibration-condition");
    let mut args = vec![
        "detectors",
        "find",
        dir,
        "--id",
        "features",
        "--model",
        model.to_str().unwrap(),
        "--labels",
        &suite,
    ];
    args.extend(more);
    let output = candor(args).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn the_ranking_is_what_activations_say() {
    let (folder, dir) = features("liar");
    let out = folder.path().join("ranking.json");
    find(
        &dir,
        "liar",
        &[
            "--out",
            out.to_str().unwrap(),
            "--control",
            &format!("{SUITES}/control"),
        ],
    );
    let ranking = json(&out);
    assert_eq!(ranking["schema"], "candor/feature-ranking/v1");
    assert_eq!(ranking["adjustment"], "benjamini_hochberg");

    let suite = Suite::open(&root().join(SUITES).join("calibration-condition")).unwrap();
    let site = ranking["site"].as_str().unwrap();
    let acts = folder.path().join("acts.safetensors");
    let prompts = format!("{SUITES}/calibration-condition/items.jsonl");
    let model = organism("liar").join("model.onnx");
    candor([
        "capture",
        model.to_str().unwrap(),
        "--prompts",
        &prompts,
        "--sites",
        site,
        "--out",
        acts.to_str().unwrap(),
    ])
    .assert()
    .success();
    let stream = floats(&acts)
        .remove(site)
        .unwrap()
        .into_dimensionality::<Ix3>()
        .unwrap();
    let lengths = cli::integers(&acts, "attention_mask").sum_axis(Axis(1));
    let sae = Sae::open(&dir).unwrap();
    let encoded: Vec<Vec<f32>> = stream
        .outer_iter()
        .zip(&lengths)
        .map(|(rows, length)| {
            let last = usize::try_from(*length).unwrap() - 1;
            let row = rows.select(Axis(0), &[last]);
            sae.encode(row.view()).unwrap().row(0).to_vec()
        })
        .collect();
    let texts: Vec<String> = suite
        .items
        .iter()
        .map(|item| item.prompt.to_string())
        .collect();
    let items: Vec<SplitItem<'_>> = suite
        .items
        .iter()
        .zip(&texts)
        .map(|(item, content)| SplitItem {
            group: &item.group,
            content,
            ..SplitItem::default()
        })
        .collect();
    let split = hold_out(&items, 0.3, 0).unwrap();
    assert_eq!(ranking["train"]["items"], split.train.len());
    let label = |item: &usize| suite.items.get(*item).and_then(|item: &Item| item.label) == Some(1);
    let mut seen = 0;
    for feature in ranking["features"].as_array().unwrap() {
        let index = usize::try_from(feature["index"].as_u64().unwrap()).unwrap();
        let sign = number(&feature["sign"]);
        let of = |items: &[usize]| {
            let side = |wanted: bool| -> Vec<f64> {
                let of_label = items.iter().filter(|item| label(item) == wanted);
                of_label
                    .map(|item| sign * f64::from(encoded[*item][index]))
                    .collect()
            };
            auroc(&side(true), &side(false)).unwrap()
        };
        // Activations of another batch differ in the last bits, which may part what was tied.
        assert!(
            (number(&feature["auroc"]["point"]) - of(&split.train)).abs() < 2e-3,
            "{index}"
        );
        assert!(
            (number(&feature["held_out"]["point"]) - of(&split.held_out)).abs() < 5e-3,
            "{index}"
        );
        seen += 1;
    }
    let varies = |index: usize| {
        split
            .train
            .iter()
            .any(|item| encoded[*item][index].to_bits() != encoded[split.train[0]][index].to_bits())
    };
    let live = (0..sae.d_sae()).filter(|index| varies(*index)).count();
    assert_eq!(
        (seen, ranking["live"].as_u64().unwrap()),
        (live, live as u64)
    );
}

#[test]
fn combinations_and_probes_stand_beside_it() {
    let (folder, dir) = features("clean");
    let out = folder.path().join("ranking.json");
    let said = find(
        &dir,
        "clean",
        &[
            "--out",
            out.to_str().unwrap(),
            "--bonferroni",
            "--show",
            "3",
        ],
    );
    let ranking = json(&out);
    assert_eq!(ranking["adjustment"], "bonferroni");
    let features = ranking["features"].as_array().unwrap();
    let sparse = ranking["sparse"].as_array().unwrap();
    let names: Vec<&str> = sparse
        .iter()
        .map(|reader| reader["name"].as_str().unwrap())
        .collect();
    // As many as there are live features.
    let sizes = [1, 2, 4, 8, 16]
        .into_iter()
        .filter(|k| *k <= features.len());
    let sizes: Vec<usize> = sizes.collect();
    let expected: Vec<String> = sizes.iter().map(|k| format!("k = {k}")).collect();
    assert!(sizes.len() > 2 && names == expected, "{names:?}");
    for (reader, k) in sparse.iter().zip(sizes) {
        let best: Vec<&Value> = features
            .iter()
            .take(k)
            .map(|feature| &feature["index"])
            .collect();
        assert_eq!(
            reader["features"]
                .as_array()
                .unwrap()
                .iter()
                .collect::<Vec<_>>(),
            best
        );
    }
    // A regression on one feature orders items as the feature does.
    assert_eq!(sparse[0]["held_out"], features[0]["held_out"]);
    let verdict = &ranking["verdict"];
    let probe = verdict["probe"].as_str().unwrap();
    let probes = ranking["probes"].as_array().unwrap();
    let of = |readers: &[Value], name: &str| {
        number(
            &readers
                .iter()
                .find(|reader| reader["name"] == name)
                .unwrap()["held_out"]["point"],
        )
    };
    let k = format!("k = {}", verdict["k"]);
    let difference = of(sparse, &k) - of(probes, probe);
    assert!((number(&verdict["difference"]["point"]) - difference).abs() < 1e-12);
    assert!(said.contains(verdict["text"].as_str().unwrap()), "{said}");
    let live = format!("{} live features of 256", features.len());
    assert!(said.contains(&live), "{said}");
    // A model that does not know the condition has no feature of it: nothing but the best one is kept, with its numbers.
    let card = fs::read_to_string(dir.join("detector.yaml")).unwrap();
    assert_eq!(card.matches("- index:").count(), 1);
}

#[test]
fn the_same_command_writes_the_same_bytes() {
    let bytes = |threads: &str| {
        let (folder, dir) = features("decoy");
        let out = folder.path().join("ranking.json");
        find(
            &dir,
            "decoy",
            &["--out", out.to_str().unwrap(), "--threads", threads],
        );
        fs::read(out).unwrap()
    };
    assert_eq!(bytes("1"), bytes("2"));
}

#[test]
fn what_cannot_be_ranked_is_refused_and_nothing_is_written() {
    let (folder, dir) = features("liar");
    let items = fs::read_to_string(
        root()
            .join(SUITES)
            .join("calibration-condition/items.jsonl"),
    )
    .unwrap();
    let model = organism("liar").join("model.onnx");
    let cases = [
        (
            "labels of one class only",
            items.replace("\"label\": 1", "\"label\": 0"),
        ),
        ("no labels", items.replace(", \"label\": 1", "")),
        ("one group", {
            let mut lines: Vec<Value> = items
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            for line in &mut lines {
                line["group"] = "one".into();
            }
            lines
                .iter()
                .map(Value::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        }),
    ];
    let mut said = Vec::new();
    for (what, items) in cases {
        let suite = folder.path().join("suite");
        fs::create_dir_all(&suite).unwrap();
        fs::write(suite.join("items.jsonl"), items).unwrap();
        fs::write(
            suite.join("suite.yaml"),
            "schema: candor/suite/v1\nid: s\npurpose: calibration\nitems: items.jsonl\n",
        )
        .unwrap();
        let out = folder.path().join("ranking.json");
        let output = candor([
            "detectors",
            "find",
            dir.to_str().unwrap(),
            "--id",
            "f",
            "--model",
            model.to_str().unwrap(),
            "--suite",
            suite.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ])
        .output()
        .unwrap();
        assert_eq!(output.status.code(), Some(2), "{what}");
        assert!(
            !out.exists() && !dir.join("detector.yaml").exists(),
            "{what}"
        );
        said.push(format!(
            "── {what}\n{}",
            String::from_utf8(output.stderr).unwrap()
        ));
    }
    insta::assert_snapshot!(said.join("\n"));
}
