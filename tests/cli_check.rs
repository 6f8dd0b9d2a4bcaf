//! `candor detectors check` on the bundled organisms: what it says, what it writes and what it exits with; and an audit with foreign
//! detectors.
#![allow(clippy::unwrap_used, reason = "a test may stop")]
#![allow(clippy::type_complexity, reason = "a table of cases")]

#[allow(dead_code, reason = "other tests use the rest")]
mod cli;

use std::fs;

use cli::bench::{Bench, copy};
use cli::{candor, json, root};
use safetensors::tensor::{Dtype, TensorView};

const SUITES: &str = "benchmarks/organisms/suites";

/// What the command says, with the code that it exits with.
fn said(args: &[&str]) -> (String, i32) {
    let output = candor(["detectors", "check"]).args(args).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (said + &error, output.status.code().unwrap())
}

#[test]
fn detectors_fit_the_model_that_they_were_made_on() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("check.json");
    let control = format!("{SUITES}/control");
    let labelled = format!("{SUITES}/calibration-truth");
    let args = [
        "detectors/liar",
        "--model",
        "benchmarks/organisms/liar/model.onnx",
        "--suite",
        &control,
        &labelled,
        "--out",
        out.to_str().unwrap(),
    ];
    let (said, code) = said(&args);
    assert_eq!(code, 0, "{said}");
    insta::assert_snapshot!(said);
    let file = json(&out);
    assert_eq!(file["schema"], "candor/detector-check/v1");
    assert_eq!(file["conclusion"], "fits");
    let features = &file["detectors"][1];
    assert_eq!(features["id"], "liar-features");
    assert_eq!(features["sae"]["d_sae"], 256);
    assert!(features["sae"]["loss"]["recovered"].as_f64().unwrap() > 0.9);
    let truth = &file["detectors"][2];
    assert_eq!(
        truth["suites"][0]["unread"], 128,
        "control text has no response"
    );
    assert_eq!(truth["suites"][1]["false_alarms"]["n"], 200);
}

#[test]
fn a_dictionary_of_another_model_does_not_fit() {
    let control = format!("{SUITES}/control");
    let args = [
        "detectors/liar/features",
        "--model",
        "benchmarks/organisms/clean/model.onnx",
        "--suite",
        &control,
    ];
    let (said, code) = said(&args);
    assert_eq!(code, 4, "{said}");
    assert!(
        said.contains("explained variance") && said.contains("does not fit"),
        "{said}"
    );
    assert!(said.contains("made on another model, liar"), "{said}");
}

#[test]
fn a_reference_of_the_model_itself_is_met() {
    let bench = Bench::new();
    let capture = [
        "capture",
        "model.onnx",
        "--prompts",
        "suite/items.jsonl",
        "--sites",
        "blocks.1.hook_resid_pre",
        "blocks.0.hook_resid_post",
        "--out",
        "reference.safetensors",
    ];
    candor(capture)
        .current_dir(bench.path(""))
        .assert()
        .success();
    let output = candor(["detectors", "check", "detectors", "--model", "model.onnx"])
        .args(["--reference", "reference.safetensors"])
        .current_dir(bench.path(""))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

#[test]
fn what_cannot_be_checked_is_refused() {
    let bench = Bench::new();
    let check = |more: &[&str], code| {
        bench.refuses(&[&["detectors", "check", "detectors"], more].concat(), code)
    };
    let with =
        |reference: &str, code| check(&["--model", "model.onnx", "--reference", reference], code);
    let mut all = vec![
        check(&["--format", "json"], 2),
        check(&["--model", "model.onnx", "--suite", "nowhere"], 2),
        check(&["--model", "nowhere.onnx", "--suite", "suite"], 2),
        with("nowhere.safetensors", 2),
    ];
    bench.write("bad.safetensors", "nothing of the kind");
    all.push(with("bad.safetensors", 2));
    let floats =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let ids = |values: &[i64]| -> Vec<u8> { values.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let file = |tensors: &[(&str, Dtype, &[usize], Vec<u8>)]| {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            (
                *name,
                TensorView::new(*dtype, shape.to_vec(), bytes).unwrap(),
            )
        });
        safetensors::serialize(views, None).unwrap()
    };
    let site = "blocks.1.hook_resid_pre";
    let right = ("input_ids", Dtype::I64, &[1, 2][..], ids(&[3, 4]));
    let row = |value: f32| floats(&[value; 128]);
    let cases: [&[(&str, Dtype, &[usize], Vec<u8>)]; 7] = [
        &[(site, Dtype::F32, &[1, 2, 64], row(0.5))],
        &[("input_ids", Dtype::F32, &[1, 2], floats(&[1.0, 2.0]))],
        &[("input_ids", Dtype::I64, &[1, 2], ids(&[3, 999_999]))],
        &[
            right.clone(),
            ("attention_mask", Dtype::I64, &[2, 1], ids(&[1, 1])),
        ],
        std::slice::from_ref(&right),
        &[
            right.clone(),
            (site, Dtype::F32, &[1, 2, 32], floats(&[0.5; 64])),
        ],
        &[
            right.clone(),
            (site, Dtype::F32, &[1, 2, 64], row(f32::NAN)),
        ],
    ];
    for case in cases {
        bench.write("bad.safetensors", file(case));
        let found = bench.refuses(
            &[
                "detectors",
                "check",
                "detectors/condition",
                "--model",
                "model.onnx",
                "--reference",
                "bad.safetensors",
            ],
            2,
        );
        all.push(found);
    }
    fs::create_dir(bench.path("empty")).unwrap();
    let raw = |path: &str| bench.refuses(&["detectors", "check", path], 2);
    all.push(raw("empty"));
    all.push(raw("suite"));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn foreign_detectors_are_let_into_an_audit_with_a_caveat() {
    let bench = Bench::new();
    fs::remove_dir_all(bench.path("detectors")).unwrap();
    copy(
        &root().join("detectors/clean/condition"),
        &bench.path("detectors/condition"),
    );
    let said = bench.audit_refuses(2);
    assert!(said.contains("--allow-foreign-detector"), "{said}");
    let audit = |args: &[&str], out: &str| {
        let output = candor(["audit", "audit.yaml", "--out", out])
            .args(args)
            .current_dir(bench.path(""))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(4));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = audit(&["--allow-foreign-detector"], "out");
    assert!(
        said.contains("caveat: clean-condition was made on another model, clean"),
        "{said}"
    );
    let caveat = json(&bench.path("out/report.json"))["models"][0]["caveats"][0].clone();
    assert!(
        caveat
            .as_str()
            .unwrap()
            .contains("was made on another model")
    );
    let page = fs::read_to_string(bench.path("out/report.html")).unwrap();
    assert!(page.contains("Caveats") && page.contains("was made on another model"));
    bench.write(
        "audit.yaml",
        fs::read_to_string(bench.path("audit.yaml")).unwrap() + "allow_foreign_detector: true\n",
    );
    assert!(audit(&[], "again").contains("caveat: clean-condition"));
    // Weights that are not those of the card are never let in.
    let theirs = root().join("detectors/liar/condition/probe.safetensors");
    fs::copy(theirs, bench.path("detectors/condition/probe.safetensors")).unwrap();
    let said = bench.audit_refuses(2);
    assert!(said.contains("as on the card"), "{said}");
}
