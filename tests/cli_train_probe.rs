//! `candor train probe` from the outside.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may stop, and says what it skips"
)]
#![allow(dead_code, reason = "the helpers serve several tests")]

mod cli;

use std::fs;
use std::path::Path;

use candor::detect::{Aggregation, Detector};
use candor::lab::{SCORES, capture};
use candor::model::{Architecture, Model};
use candor::run::{Feed, Runtime, RuntimeOptions, Session};
use cli::{candor, json, organism, root, shared};
use ndarray::{Array1, Array2, Axis, s};

fn suite(name: &str) -> String {
    let suites = root().join("benchmarks/organisms/suites");
    suites.join(name).display().to_string()
}

fn train(model: &Path, suites: &[String], more: &[&str], out: &Path) -> String {
    let model = model.display().to_string();
    let out = out.display().to_string();
    let mut args = vec![
        "train", "probe", "--model", &model, "--out", &out, "--suite",
    ];
    args.extend(suites.iter().map(String::as_str));
    args.extend([
        "--role",
        "truth",
        "--id",
        "t",
        "--positive",
        "the answer is true",
    ]);
    args.extend(more);
    let output = candor(args).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

/// The organism holds what is true where the answer stands; its suite is read in two kinds at two layers.
#[test]
fn a_sweep_reports_what_it_chose_and_what_it_is_worth() {
    let folder = tempfile::tempdir().unwrap();
    let model = organism("liar").join("model.onnx");
    let more = [
        "--kind",
        "difference_of_means,lda,ttpd",
        "--layers",
        "0-1",
        "--permutations",
        "3",
        "--flags",
        "below",
    ];
    let suites = [suite("calibration-truth")];
    let said = train(&model, &suites, &more, &folder.path().join("one"));
    train(&model, &suites, &more, &folder.path().join("two"));
    for file in [
        "detector.yaml",
        "probe.safetensors",
        "report.json",
        "report.html",
    ] {
        let read = |at: &str| fs::read_to_string(folder.path().join(at).join(file));
        if let (Ok(one), Ok(two)) = (read("one"), read("two")) {
            let two = two.replace("/two", "/one");
            assert!(one == two, "{file} differs");
        }
    }
    let weights = |at: &str| fs::read(folder.path().join(at).join("probe.safetensors")).unwrap();
    assert_eq!(weights("one"), weights("two"));
    insta::assert_snapshot!(said.replace(&folder.path().display().to_string(), "OUT"));

    let report = json(&folder.path().join("one/report.json"));
    assert_eq!(report["schema"], "candor/probe-report/v1");
    assert_eq!(report["sweep"].as_array().unwrap().len(), 4);
    assert_eq!(report["left_out"][0]["kind"], "ttpd");
    assert_eq!(report["reads"], true);
    assert!(report["transfer"].is_null());
    let page = fs::read_to_string(folder.path().join("one/report.html")).unwrap();
    for part in [
        "Beside simpler means",
        "Calibration",
        "Sweep",
        "bag of words",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("://"), "nothing is fetched");
    let card = Detector::open(&folder.path().join("one")).unwrap().card;
    let declared = card.declares.unwrap().auroc.unwrap();
    assert!((declared - report["auroc"]["point"].as_f64().unwrap()).abs() < 1e-12);
}

/// Two data sets: a matrix of both, all but one, and all.
#[test]
fn data_sets_are_transferred_between() {
    let folder = tempfile::tempdir().unwrap();
    let items = fs::read_to_string(
        root().join("benchmarks/organisms/suites/calibration-truth/items.jsonl"),
    );
    let split: Vec<String> = items
        .unwrap()
        .lines()
        .map(|line| {
            let mut item: serde_json::Value = serde_json::from_str(line).unwrap();
            let currency = item["group"].as_str().unwrap().starts_with("currency");
            item["dataset"] = if currency { "currencies" } else { "others" }.into();
            item.to_string()
        })
        .collect();
    let own = folder.path().join("suite");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("items.jsonl"), split.join("\n")).unwrap();
    let yaml = "schema: candor/suite/v1\nid: s\npurpose: calibration\nitems: items.jsonl\n";
    fs::write(own.join("suite.yaml"), yaml).unwrap();
    let more = [
        "--kind",
        "difference_of_means",
        "--layers",
        "last",
        "--permutations",
        "0",
    ];
    let model = organism("liar").join("model.onnx");
    let out = folder.path().join("out");
    train(&model, &[own.display().to_string()], &more, &out);
    let report = json(&out.join("report.json"));
    let transfer = &report["transfer"];
    assert_eq!(transfer["datasets"].as_array().unwrap().len(), 2);
    assert_eq!(transfer["alone"].as_array().unwrap().len(), 2);
    // What is trained on all but one of two is trained on the other alone.
    assert_eq!(transfer["all_but_one"][0], transfer["alone"][1][0]);
    assert_eq!(transfer["all_but_one"][1], transfer["alone"][0][1]);
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("currencies"));
}

/// The columns of a probe that pools ride in the graph, and what reads them pools as the card says.
#[test]
fn a_probe_that_pools_is_served_and_has_no_direction() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("probe");
    let more = [
        "--kind",
        "attention",
        "--layers",
        "1",
        "--permutations",
        "0",
    ];
    let model = organism("liar").join("model.onnx");
    train(&model, &[suite("calibration-truth")], &more, &out);
    let detector = Detector::open(&out).unwrap();
    assert_eq!(detector.card.aggregation, Aggregation::Attention);

    let served = folder.path().join("served.onnx");
    candor([
        "monitor",
        model.to_str().unwrap(),
        "--detectors",
        out.to_str().unwrap(),
        "--out",
        served.to_str().unwrap(),
    ])
    .assert()
    .success();
    let ids = [1_i64, 362, 321, 260, 320, 154, 235, 290];
    let opened = Model::open(&served).unwrap();
    let arch = Architecture::find(&opened).unwrap();
    let runtime = Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap();
    let session =
        Session::open(&runtime, &fs::read(&served).unwrap(), folder.path(), &arch).unwrap();
    let feed = Feed::unpadded(Array1::from(ids.to_vec()).insert_axis(Axis(0)));
    let outputs = session.run(&feed, &[SCORES]).unwrap();
    let columns = outputs[SCORES]
        .view()
        .into_dimensionality::<ndarray::Ix3>()
        .unwrap();
    let plain = Model::open(&model).unwrap();
    let arch = Architecture::find(&plain).unwrap();
    let captured = capture(
        &runtime,
        &plain,
        &arch,
        &[ids.to_vec()],
        &[detector.card.site],
    )
    .unwrap();
    let values = captured.tensors[0].1.iter().copied().collect();
    let rows = Array2::from_shape_vec((ids.len(), arch.d_model), values).unwrap();
    let span: Vec<usize> = (1..ids.len()).collect();
    let of = |scores: ndarray::ArrayView2<f32>| detector.item_scores(scores, &span).unwrap();
    let expected = of(detector.token_scores(rows.view()).unwrap().view());
    let found = of(columns.slice(s![0, .., ..]));
    assert!((found[0].value - expected[0].value).abs() < 1e-4);

    let steer = candor([
        "steer",
        model.to_str().unwrap(),
        "--detector",
        out.to_str().unwrap(),
        "--scale",
        "1",
        "--prompt",
        "banks in Laos",
    ])
    .assert()
    .failure();
    let said = String::from_utf8(steer.get_output().stderr.clone()).unwrap();
    assert!(
        said.contains("a probe of 8 columns that `attention` pools"),
        "{said}"
    );
}

/// A model of children's stories knows nothing of cities, and what simpler means reach must say so.
#[test]
fn a_model_that_knows_little_is_told_from_one_that_does() {
    let Some(shared) = shared() else {
        return;
    };
    let data = shared.join("data");
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("suite");
    fs::create_dir(&own).unwrap();
    let yaml = format!(
        "schema: candor/suite/v1\nid: s\npurpose: calibration\nroot: {}\nsources:\n  - file: truth_is_universal/animal_class.csv\n    map: {{prompt: \"{{statement}}\", label: \"{{label}}\", group: \"{{#}}\", polarity: affirmative}}\n  - file: truth_is_universal/neg_animal_class.csv\n    map: {{prompt: \"{{statement}}\", label: \"{{label}}\", group: \"{{#}}\", polarity: negated}}\n",
        data.canonicalize().unwrap().join("").display()
    );
    fs::write(own.join("suite.yaml"), yaml).unwrap();
    let out = folder.path().join("out");
    let more = [
        "--kind",
        "difference_of_means,ttpd",
        "--layers",
        "2",
        "--span",
        "prompt_last",
        "--aggregation",
        "last",
        "--permutations",
        "3",
    ];
    let model = data.join("stories260k/model.onnx");
    train(&model, &[own.display().to_string()], &more, &out);
    let report = json(&out.join("report.json"));
    assert_eq!(report["reads"], false, "{}", report["verdict"]);
}
