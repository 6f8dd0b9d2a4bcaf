//! `candor patch` on a bundled organism: many pairs, controls, doses, windows, detectors.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may stop, and says what it skips"
)]

#[allow(dead_code, reason = "other tests use the rest")]
mod cli;

use std::fs;

use cli::bench::Bench;
use serde_json::Value;

const CLEAN: &str = "shops in usually Armenia accept";
const CORRUPT: &str = "shops in midnight Armenia accept";

/// Runs `candor patch` in the bench; the file that it wrote and what it said.
fn patch(bench: &Bench, args: &[&str]) -> (Value, String) {
    let out = bench.path("map.json");
    let common = ["patch", "model.onnx", "--out", "map.json"];
    let mut command = cli::candor([&common[..], args].concat());
    let output = command.current_dir(bench.path("")).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {error}");
    let file = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    (file, String::from_utf8(output.stdout).unwrap())
}

fn one<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let pair = ["--clean", CLEAN, "--corrupt", CORRUPT, "--answer", "dram"];
    [&pair[..], &["--foil", "rupee"], more].concat()
}

fn cells(value: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(value.clone()).unwrap()
}

fn near(a: &Value, b: &Value) {
    let (a, b) = (cells(a).concat(), cells(b).concat());
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(&b) {
        assert!((a - b).abs() <= 1e-5, "{a} {b}");
    }
}

/// Pairs of the facts suite that are equally long.
fn pairs(n: usize) -> String {
    let path = cli::root().join("benchmarks/organisms/suites/facts/items.jsonl");
    let items: Vec<Value> = fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let length = |item: &Value| item["prompt"].as_str().unwrap().split(' ').count();
    let mut lines = Vec::new();
    for item in items.iter().filter(|item| item["condition"] == "trigger") {
        let other = items.iter().find(|other| other["id"] == item["pair"]);
        let other = other.unwrap();
        if length(item) == 7 && length(other) == 7 && lines.len() < n {
            lines.push(
                serde_json::json!({
                    "id": item["id"], "group": item["group"], "clean": other["prompt"], "corrupt": item["prompt"],
                    "answer": item["answer"], "foil": "the",
                })
                .to_string(),
            );
        }
    }
    assert_eq!(lines.len(), n);
    lines.join("\n")
}

#[test]
fn many_pairs_have_means_intervals_and_controls() {
    let bench = Bench::new();
    bench.write("pairs.jsonl", pairs(6));
    let args = ["--pairs", "pairs.jsonl", "--controls", "20", "--seed", "3"];
    let (file, said) = patch(&bench, &args);
    let each = file["pairs"].as_array().unwrap();
    assert_eq!(each.len(), 6);
    let (recovery, low, high) = (
        cells(&file["recovery"]),
        cells(&file["intervals"]["recovery_low"]),
        cells(&file["intervals"]["recovery_high"]),
    );
    let random = &file["random"];
    let seq = file["positions"].as_array().unwrap().len();
    let mut strongest: f64 = 1.0;
    for row in 0..4 {
        for column in 0..seq {
            let values = each
                .iter()
                .map(|pair| cells(&pair["recovery"])[row][column]);
            let mean = values.sum::<f64>() / 6.0;
            let found = recovery[row][column];
            assert!((found - mean).abs() <= 1e-9);
            assert!(low[row][column] <= found && found <= high[row][column]);
            let p = random["p"][row][column].as_f64();
            let of_map = random["p_of_map"][row][column].as_f64();
            assert_eq!(p.is_some(), of_map.is_some());
            if let (Some(p), Some(of_map)) = (p, of_map) {
                assert!(
                    (1.0 / 21.0..=1.0).contains(&p) && p <= of_map,
                    "{p} {of_map}"
                );
                strongest = strongest.min(of_map);
            }
        }
    }
    // Nothing differs before the trigger, and the place of the lie is no chance find.
    assert!(random["p"][0][0].is_null());
    assert!(strongest <= 1.0 / 21.0 + 1e-12, "{strongest}");
    assert_eq!(file["intervals"]["n"], 6);
    assert!(said.contains("largest effect: recovery"), "{said}");
    assert!(said.contains("6 of 6 pairs"), "{said}");

    let (again, _) = patch(&bench, &args);
    assert_eq!(again, file, "the seed decides");
    let other = ["--pairs", "pairs.jsonl", "--controls", "20", "--seed", "4"];
    let (other, _) = patch(&bench, &other);
    near(&other["metric"], &file["metric"]);
    assert_ne!(other["random"], file["random"]);
}

#[test]
fn a_file_of_one_pair_is_that_pair() {
    let bench = Bench::new();
    let line =
        serde_json::json!({"clean": CLEAN, "corrupt": CORRUPT, "answer": "dram", "foil": "rupee"});
    bench.write("pairs.jsonl", line.to_string());
    let (file, _) = patch(&bench, &["--pairs", "pairs.jsonl"]);
    let (single, _) = patch(&bench, &one(&[]));
    assert_eq!(file, single);
    assert!(single.get("pairs").is_none() && single.get("intervals").is_none());
}

#[test]
fn windows_of_one_layer_are_single_layers_and_are_labelled() {
    let bench = Bench::new();
    let (single, _) = patch(&bench, &one(&[]));
    let (window, _) = patch(&bench, &one(&["--by", "window:1"]));
    near(&single["metric"], &window["metric"]);
    assert!(single.get("windows").is_none());
    let (window, said) = patch(&bench, &one(&["--by", "window:3"]));
    let names = ["blocks.0-2.hook_resid_pre", "blocks.1-3.hook_resid_pre"];
    assert_eq!(window["sites"], serde_json::json!(names));
    assert_eq!(window["by"], "window");
    assert_eq!(window["windows"]["sites"][1][2], "blocks.3.hook_resid_pre");
    assert!(
        window["windows"]["note"]
            .as_str()
            .unwrap()
            .contains("window")
    );
    assert!(said.contains("blocks.0-2.hook_resid_pre"), "{said}");
    let (all, _) = patch(&bench, &one(&["--by", "layers"]));
    assert_eq!(
        all["sites"],
        serde_json::json!(["blocks.0-3.hook_resid_pre"])
    );
    // What is written last is read: the stream of the last layer at that place.
    near(
        &serde_json::json!([single["metric"][3][5]])
            .as_array()
            .map(|row| serde_json::json!([row]))
            .unwrap(),
        &serde_json::json!([[all["metric"][0][5]]]),
    );
}

#[test]
fn doses_begin_at_nothing_and_detectors_are_read() {
    let bench = Bench::new();
    let detector = "detectors/condition";
    let args = ["--intervention", "add", "--detector", detector];
    let args = [&args[..], &["--scale", "0,4,-4", "--metric", "detector"]].concat();
    let (file, _) = patch(
        &bench,
        &one(&[&args[..], &["--sites", "blocks.0.hook_resid_pre"]].concat()),
    );
    let doses = file["doses"].as_array().unwrap();
    assert_eq!(doses.len(), 3);
    assert_eq!(file["mode"], "noising");
    assert_eq!(file["measure"]["name"], "detector");
    let clean = file["clean"].as_f64().unwrap();
    for value in cells(&doses[0]["metric"]).concat() {
        assert!((value - clean).abs() <= 1e-5, "{value} {clean}");
    }
    assert_eq!(doses[0]["metric"], file["metric"]);
    let moved = |dose: usize| {
        let cells = cells(&doses[dose]["metric"]).concat();
        cells
            .into_iter()
            .map(|value| (value - clean).abs())
            .fold(0.0, f64::max)
    };
    assert!(moved(1) > 0.01 && moved(2) > 0.01);
}

#[test]
fn adding_at_the_site_of_a_probe_moves_its_score_by_its_length() {
    let bench = Bench::new();
    let card = fs::read_to_string(bench.path("detectors/condition/detector.yaml")).unwrap();
    let site = card
        .lines()
        .find_map(|line| line.strip_prefix("site: "))
        .unwrap();
    let site = site.trim();
    let common = [
        "--intervention",
        "add",
        "--detector",
        "detectors/condition",
        "--metric",
        "detector",
    ];
    let add = |scale: &str| {
        let more = [
            "--scale",
            scale,
            "--sites",
            site,
            "--at",
            "3",
            "--positions",
            "3",
        ];
        let (file, _) = patch(&bench, &one(&[&common[..], &more].concat()));
        cells(&file["metric"])[0][0] - file["clean"].as_f64().unwrap()
    };
    let (once, twice) = (add("1"), add("2"));
    assert!(
        once > 0.0 && (twice / once - 2.0).abs() <= 1e-3,
        "{once} {twice}"
    );
}

#[test]
fn features_and_directions_and_heads_run_from_the_command_line() {
    let bench = Bench::new();
    bench.write(
        "control.txt",
        "banks in please Laos count money in\n[1, 2, 3]\n",
    );
    bench.write(
        "ids.txt",
        "[1, 2, 3, 4, 5, 6, 7, 8]\n[8, 7, 6, 5, 4, 3, 2, 1]\n",
    );
    for (more, rows) in [
        (
            "--intervention feature-ablate --detector detectors/features",
            1,
        ),
        (
            "--intervention feature-set --feature 30 --scale 5 --detector detectors/features",
            1,
        ),
        (
            "--intervention feature-scale --scale 2 --detector detectors/features --metric kl",
            1,
        ),
        (
            "--intervention directional --detector detectors/condition --by layers",
            1,
        ),
        (
            "--intervention directional --detector detectors/condition --control ids.txt",
            4,
        ),
        (
            "--intervention mean --control ids.txt --by head --controls 3",
            4,
        ),
        (
            "--intervention mean-tokens --control control.txt --sites blocks.*.hook_mlp_out",
            4,
        ),
        (
            "--intervention resample --control ids.txt --metric rank --mode denoising",
            4,
        ),
        ("--intervention zero --metric log-probability --at 3,5", 4),
        (
            "--metric detector --metric-detector detectors/features --feature 30",
            4,
        ),
    ] {
        let args: Vec<&str> = more.split(' ').collect();
        let (file, said) = patch(&bench, &one(&args));
        assert_eq!(file["sites"].as_array().unwrap().len(), rows, "{more}");
        let metric = cells(&file["metric"]).concat();
        assert!(metric.iter().all(|value| value.is_finite()), "{more}");
        assert_eq!(file["recovery"].is_null(), more.contains("rank"), "{more}");
        assert!(said.contains("map.json"), "{said}");
    }
}

#[test]
fn the_map_in_the_terminal() {
    let bench = Bench::new();
    let (_, said) = patch(&bench, &one(&["--controls", "20"]));
    insta::assert_snapshot!(said);
    let (_, said) = patch(
        &bench,
        &one(&["--by", "head", "--metric", "rank", "--mode", "noising"]),
    );
    insta::assert_snapshot!(said);
    let (_, said) = patch(&bench, &one(&["--quiet"]));
    assert_eq!(said.lines().count(), 1);
}

/// An ablation says something even where there is nothing to recover; a patch does not.
#[test]
fn ablations_of_runs_that_hardly_differ_have_no_recovery() {
    let bench = Bench::new();
    // What is read before the prompts part is the same in both.
    let zero = ["--intervention", "zero", "--metric", "kl", "--mode"];
    let pair = ["--clean-ids", "[1,20,30]", "--corrupt-ids", "[1,20,31]"];
    let early = [
        &pair[..],
        &zero,
        &["noising", "--at", "1", "--by", "layers"],
    ]
    .concat();
    let (file, said) = patch(&bench, &early);
    assert!(file["recovery"].is_null());
    let metric = cells(&file["metric"]);
    assert!(metric[0][1] > 0.1, "{metric:?}");
    assert!(metric[0][2].abs() <= 1e-9, "after what is read");
    assert!(said.contains("largest effect: kl"), "{said}");
    let patched = [&pair[..], &["--metric", "kl", "--at", "1"]].concat();
    let args = ["patch", "model.onnx", "--out", "b.json"];
    bench.refuses(&[&args[..], &patched].concat(), 1);
}

#[test]
fn a_metric_at_several_positions_is_their_mean() {
    let bench = Bench::new();
    for metric in ["logit-difference", "log-probability", "kl"] {
        let at = |at: &str| {
            let args = ["--intervention", "zero", "--metric", metric, "--at", at];
            patch(&bench, &one(&args)).0
        };
        let (both, third, fifth) = (at("3,5"), at("3"), at("5"));
        let mean = |key: &str| {
            third[key]
                .as_f64()
                .unwrap()
                .midpoint(fifth[key].as_f64().unwrap())
        };
        assert!((both["clean"].as_f64().unwrap() - mean("clean")).abs() <= 1e-5);
        assert!((both["corrupt"].as_f64().unwrap() - mean("corrupt")).abs() <= 1e-5);
        let (a, b) = (
            cells(&third["metric"]).concat(),
            cells(&fifth["metric"]).concat(),
        );
        let means: Vec<f64> = a.iter().zip(&b).map(|(a, b)| (a + b) / 2.0).collect();
        let found = cells(&both["metric"]).concat();
        assert_eq!(found.len(), means.len());
        for (found, mean) in found.iter().zip(&means) {
            assert!((found - mean).abs() <= 1e-5, "{metric}: {found} {mean}");
        }
    }
}
