//! `candor monitor` from the outside.
#![allow(clippy::unwrap_used, reason = "a test may stop")]
#![allow(dead_code, reason = "the helpers serve several tests")]

mod cli;

use std::fs;

use candor::detect::Detector;
use candor::lab::{SCORES, capture};
use candor::model::{Architecture, Model};
use candor::run::{Feed, Runtime, RuntimeOptions, Session};
use cli::bench::Bench;
use cli::candor;
use ndarray::{Array1, Array2, Axis};

/// The organism's own detectors: two probes and a top-k SAE, of which the whole encoder is in the file.
#[test]
fn an_organism_is_served_with_its_detectors() {
    let bench = Bench::new();
    let out = bench.path("served/model.onnx");
    let output = candor([
        "monitor",
        bench.path("model.onnx").to_str().unwrap(),
        "--detectors",
        bench.path("detectors").to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ])
    .assert()
    .success();
    let said = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    insta::assert_snapshot!(said.replace(out.to_str().unwrap(), "OUT"));

    let ids = [1_i64, 362, 321, 260, 320, 154, 235, 290];
    let model = Model::open(&out).unwrap();
    let arch = Architecture::find(&model).unwrap();
    let runtime = Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap();
    let bytes = fs::read(&out).unwrap();
    let session = Session::open(&runtime, &bytes, out.parent().unwrap(), &arch).unwrap();
    let feed = Feed::unpadded(Array1::from(ids.to_vec()).insert_axis(Axis(0)));
    let outputs = session.run(&feed, &["logits", SCORES]).unwrap();

    let plain = Model::open(&bench.path("model.onnx")).unwrap();
    let arch = Architecture::find(&plain).unwrap();
    for (column, name) in ["condition", "features", "truth"].iter().enumerate() {
        let detector = Detector::open(&bench.path("detectors").join(name)).unwrap();
        let site = detector.card.site;
        let captured = capture(&runtime, &plain, &arch, &[ids.to_vec()], &[site]).unwrap();
        let values = captured.tensors[0].1.iter().copied().collect();
        let rows = Array2::from_shape_vec((ids.len(), arch.d_model), values).unwrap();
        let expected = detector.token_scores(rows.view()).unwrap();
        for (token, expected) in expected.column(0).iter().enumerate() {
            let found = outputs[SCORES][[0, token, column]];
            assert!(
                (found - expected).abs() <= 1e-5 * expected.abs().max(1.0),
                "{name}, token {token}: {found} {expected}"
            );
        }
        let logits = &captured.tensors[1].1;
        assert_eq!(outputs["logits"].shape(), logits.shape());
        for (one, other) in outputs["logits"].iter().zip(logits) {
            assert!((one - other).abs() <= 1e-5, "{one} {other}");
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let bench = Bench::new();
    bench.write("empty/readme.txt", "nothing");
    let cases: [&[&str]; 4] = [
        &["--detectors", "empty", "--out", "out.onnx"],
        &["--detectors", "detectors", "--out", "model.onnx"],
        &[
            "--detectors",
            "detectors",
            "detectors/truth",
            "--out",
            "out.onnx",
        ],
        &["--detectors", "detectors", "--out", "detectors"],
    ];
    let mut messages: Vec<String> = cases
        .iter()
        .map(|more| bench.refuses(&[&["monitor", "model.onnx"], *more].concat(), 2))
        .collect();
    let strict = [
        "--detectors",
        "detectors",
        "--out",
        "out.onnx",
        "--tolerance",
        "nan",
    ];
    messages.push(bench.refuses(&[&["monitor", "model.onnx"], &strict[..]].concat(), 2));
    insta::assert_snapshot!(messages.join("\n"));
}
