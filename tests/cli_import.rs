//! `candor detectors import`: any format becomes a detector's folder in SAELens's, or nothing is written.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test may stop and compare exactly"
)]

#[allow(dead_code, reason = "other tests use the rest")]
mod cli;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "sae/mod.rs"]
mod sae;

use std::fs;
use std::path::Path;

use candor::detect::{Aggregation, Detector, Sae, Span};
use candor::lab::{Import, import};
use cli::bench::Bench;
use cli::candor;
use ndarray_npy::NpzWriter;
use sae::cases;

/// Every fixture, through the folder that is written of it and opened again.
#[test]
fn what_is_imported_computes_what_was_opened() {
    let out = tempfile::tempdir().unwrap();
    for case in cases() {
        let detector = import(&Import {
            source: &case.folder,
            asked: case.asked,
            id: "imported".to_owned(),
            role: "features".to_owned(),
            span: Span::PromptLast,
            aggregation: Aggregation::Max,
            positive: "more active".to_owned(),
            model: None,
        })
        .unwrap_or_else(|fault| panic!("{}: {fault}", case.name));
        let folder = out.path().join(case.name.replace('/', "_"));
        detector.write(&folder).unwrap();
        let opened = Detector::open(&folder).unwrap();
        let source = opened.card.source.as_ref().unwrap();
        assert_eq!(source.format, case.format);
        assert!(!source.files.is_empty());
        let (was, is) = (case.open().sae, opened.sae().unwrap());
        assert_eq!(was.transcodes(), is.transcodes(), "{}", case.name);
        let x = case.recorded("input");
        let (was, is) = (
            was.forward(x.view()).unwrap(),
            is.forward(x.view()).unwrap(),
        );
        assert_eq!(was, is, "{}", case.name);
    }
}

/// Gemma Scope's file at the width of the bundled model.
fn params(path: &Path, width: usize) {
    let features = 16;
    let mut npz = NpzWriter::new(fs::File::create(path).unwrap());
    let matrix = |rows, columns| {
        ndarray::Array2::from_shape_fn((rows, columns), |(i, j)| if i == j { 1.0_f32 } else { 0.0 })
    };
    let vector = |n| ndarray::Array1::from_elem(n, 0.25_f32);
    npz.add_array("W_enc", &matrix(width, features)).unwrap();
    npz.add_array("W_dec", &matrix(features, width)).unwrap();
    npz.add_array("b_enc", &vector(features)).unwrap();
    npz.add_array("b_dec", &vector(width)).unwrap();
    npz.add_array("threshold", &vector(features)).unwrap();
    npz.finish().unwrap();
}

#[test]
fn an_archive_becomes_a_detector_of_the_model() {
    let bench = Bench::new();
    params(&bench.path("params.npz"), 64);
    let output = candor([
        "detectors",
        "import",
        "params.npz",
        "--out",
        "detectors/scope",
        "--site",
        "blocks.1.hook_resid_post",
        "--model",
        "model.onnx",
    ])
    .current_dir(bench.path(""))
    .output()
    .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        said.contains("jumprelu from gemma_scope, 16 features of width 64"),
        "{said}"
    );
    let card = fs::read_to_string(bench.path("detectors/scope/detector.yaml")).unwrap();
    insta::with_settings!({filters => vec![("[0-9a-f]{64}", "DIGEST")]}, {
        insta::assert_snapshot!(card);
    });
    let sae = Sae::open(&bench.path("detectors/scope")).unwrap();
    let x = ndarray::Array2::from_elem((1, 64), 0.5);
    assert_eq!(sae.encode(x.view()).unwrap()[[0, 3]], 0.75);
}

/// Nothing is left behind: `refuses` looks.
#[test]
fn imports_that_cannot_be_done() {
    let bench = Bench::new();
    params(&bench.path("params.npz"), 12);
    let site = ["--site", "blocks.1.hook_resid_post"];
    let model = ["--model", "model.onnx"];
    let mut said = Vec::new();
    let mut add = |case: &str, source: &str, more: &[&str]| {
        let args = ["detectors", "import", source];
        let out = if more.contains(&"--out") {
            &[][..]
        } else {
            &["--out", "new"]
        };
        let message = bench.refuses(&[&args, out, more].concat(), 2);
        said.push(format!("## {case}\n{message}"));
    };
    add("no site", "params.npz", &model);
    add(
        "a site that is none",
        "params.npz",
        &["--site", "blocks.1.mlp.hook_in"],
    );
    add("another width", "params.npz", &[&site[..], &model].concat());
    add(
        "a site that the model lacks",
        "params.npz",
        &[&["--site", "blocks.9.hook_resid_post"], &model[..]].concat(),
    );
    add(
        "an existing folder",
        "params.npz",
        &[&site[..], &["--out", "suite"]].concat(),
    );
    add("not there", "none.npz", &site);
    add(
        "an unknown span",
        "params.npz",
        &[&site[..], &["--span", "middle"]].concat(),
    );
    bench.write("ae.pt", b"\x80\x02}q\x00.");
    add("a pickle", "ae.pt", &site);
    insta::assert_snapshot!(said.join("\n"));
}
