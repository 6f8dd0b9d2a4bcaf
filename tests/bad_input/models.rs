//! Models and tokenizers that cannot be used.

use std::fs;

use candor::model::onnx::{StringStringEntryProto, TensorProto};

use crate::Said;
use crate::cli::bench::Bench;
use crate::cli::shared;
use crate::detectors::write_probe;

/// Every command that opens a model says the same of a bad one.
fn model_is_refused(bench: &Bench) -> String {
    let said = bench.audit_refuses(2);
    let capture = [
        "capture",
        "model.onnx",
        "--ids",
        "[[1,2]]",
        "--sites",
        "*",
        "--out",
        "a",
    ];
    let patch = [
        "patch",
        "model.onnx",
        "--clean-ids",
        "[1,2]",
        "--corrupt-ids",
        "[1,3]",
    ];
    let patch = [
        &patch[..],
        &["--answer-id", "1", "--foil-id", "2", "--out", "a"],
    ]
    .concat();
    for args in [&["inspect", "model.onnx"][..], &capture, &patch] {
        assert_eq!(bench.refuses(args, 2), said);
    }
    said
}

#[test]
fn files_that_are_no_models() {
    let mut said = Said::default();
    let bench = Bench::new();
    let whole = fs::read(bench.path("model.onnx")).unwrap();
    let noise: Vec<u8> = (0_u32..5000)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for (what, bytes) in [
        ("truncated", &whole[..whole.len() / 2]),
        ("cut by one byte", &whole[..whole.len() - 1]),
        ("random bytes", &noise),
        ("empty", &[]),
        (
            "text",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 957691\n",
        ),
    ] {
        bench.write("model.onnx", bytes);
        said.add(what, &model_is_refused(&bench));
    }
    fs::remove_file(bench.path("model.onnx")).unwrap();
    said.add("missing", &model_is_refused(&bench));
    fs::create_dir(bench.path("model.onnx")).unwrap();
    said.add("a folder", &model_is_refused(&bench));
    insta::assert_snapshot!(said.0.join("\n"));
}

fn is_large(tensor: &TensorProto) -> bool {
    tensor.data_type == Some(1) && tensor.raw_data.as_ref().is_some_and(|raw| raw.len() > 1024)
}

#[test]
fn external_data_that_is_not_there() {
    let mut said = Said::default();
    for (what, location, offset) in [
        ("missing", "weights.data", "0"),
        ("outside", "../weights.data", "0"),
        ("absolute", "/etc/hostname", "0"),
        ("too short", "tokenizer.json", "99999999"),
    ] {
        let bench = Bench::new();
        bench.edit_model(|proto| {
            let initializers = &mut proto.graph.as_mut().unwrap().initializer;
            let tensor = initializers
                .iter_mut()
                .find(|tensor| is_large(tensor))
                .unwrap();
            let length = tensor.raw_data.take().unwrap().len().to_string();
            tensor.data_location = Some(1);
            tensor.external_data = [
                ("location", location),
                ("offset", offset),
                ("length", &length),
            ]
            .map(|(key, value)| StringStringEntryProto {
                key: Some(key.to_owned()),
                value: Some(value.to_owned()),
            })
            .into();
        });
        said.add(what, &model_is_refused(&bench));
    }
    insta::assert_snapshot!(said.0.join("\n"));
}

#[test]
fn a_real_export_without_its_data_is_refused() {
    let Some(shared) = shared() else { return };
    let bench = Bench::new();
    let model = fs::read(shared.join("zoo/llama_ext/model.onnx")).unwrap();
    bench.write("model.onnx", model);
    let said = model_is_refused(&bench);
    assert!(said.contains("model.onnx.data"), "{said}");
}

/// Gives every value of the weights of that shape the same value.
fn poison(bench: &Bench, shape: [i64; 2], value: f32) {
    bench.edit_model(|proto| {
        let initializers = &mut proto.graph.as_mut().unwrap().initializer;
        let mut hit = 0;
        for tensor in initializers
            .iter_mut()
            .filter(|tensor| tensor.dims == shape)
        {
            let mut raw = tensor.raw_data.take().unwrap().to_vec();
            for four in raw.chunks_exact_mut(4) {
                four.copy_from_slice(&value.to_le_bytes());
            }
            tensor.raw_data = Some(raw.into());
            hit += 1;
        }
        assert!(hit > 0);
    });
}

#[test]
fn numbers_that_are_none() {
    let mut said = Said::default();
    let bench = Bench::new();
    poison(&bench, [64, 64], f32::NAN);
    said.add("NaN in the model's weights", &bench.audit_refuses(2));

    let bench = Bench::new();
    poison(&bench, [64, 80], 1e30);
    fs::remove_dir_all(bench.path("detectors")).unwrap();
    bench.edit("audit.yaml", "    detectors: [detectors]\n", "");
    said.add("weights that overflow", &bench.audit_refuses(1));
    let capture = [
        "capture",
        "model.onnx",
        "--ids",
        "[[1,2]]",
        "--sites",
        "*",
        "--out",
        "a",
    ];
    said.add("the same, captured", &bench.refuses(&capture, 1));

    let bench = Bench::new();
    let weights = [vec![1.0; 63], vec![f32::NAN]].concat();
    write_probe(&bench, &weights);
    said.add("NaN in a detector's weights", &bench.audit_refuses(2));
    insta::assert_snapshot!(said.0.join("\n"));
}

#[test]
fn tokenizers_that_do_not_fit() {
    let mut said = Said::default();
    let bench = Bench::new();
    bench.edit(
        "tokenizer.json",
        "\"vocab\": {",
        "\"vocab\": {\"surplus\": 5000,",
    );
    said.add("a larger vocabulary", &bench.audit_refuses(2));
    bench.write("tokenizer.json", "{\"version\": \"1.0\", \"model\": {");
    said.add("broken", &bench.audit_refuses(2));
    bench.write("tokenizer.json", "[]");
    said.add("another JSON", &bench.audit_refuses(2));
    fs::remove_file(bench.path("tokenizer.json")).unwrap();
    said.add("missing", &bench.audit_refuses(2));
    let flags = [
        "--clean",
        "a b",
        "--corrupt",
        "a c",
        "--answer",
        "x",
        "--foil",
        "y",
        "--out",
        "a",
    ];
    let patch = [&["patch", "model.onnx"][..], &flags].concat();
    assert!(bench.refuses(&patch, 2).contains("--tokenizer"));
    insta::assert_snapshot!(said.0.join("\n"));
}
