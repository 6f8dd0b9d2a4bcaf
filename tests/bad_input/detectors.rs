//! Detectors that do not fit, and what detectors cannot be made of.

use std::fs;

use ndarray::{Array1, Array2};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

use crate::Said;
use crate::cli::bench::{Bench, copy};
use crate::cli::root;

pub fn write_probe(bench: &Bench, weights: &[f32]) {
    let bytes = |values: &[f32]| {
        values
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let (weight, bias) = (bytes(weights), bytes(&[0.0]));
    let view = |bytes, n| TensorView::new(Dtype::F32, vec![n], bytes).unwrap();
    let tensors = [
        ("weight", view(&weight, weights.len())),
        ("bias", view(&bias, 1)),
    ];
    let file = safetensors::serialize(tensors, None).unwrap();
    bench.write_weights("detectors/condition", file);
}

#[test]
fn detectors_that_do_not_fit() {
    let mut said = Said::default();
    let card = "detectors/condition/detector.yaml";
    let bench = Bench::new();
    write_probe(&bench, &[1.0; 32]);
    said.add(
        "weights of another width than the card",
        &bench.audit_refuses(2),
    );
    bench.edit(card, "d_in: 64", "d_in: 32");
    said.add("another width than the model", &bench.audit_refuses(2));

    let bench = Bench::new();
    let theirs = root().join("detectors/clean/condition/probe.safetensors");
    bench.write(
        "detectors/condition/probe.safetensors",
        fs::read(theirs).unwrap(),
    );
    said.add("weights of another detector", &bench.audit_refuses(2));
    bench.edit(card, "weights_sha256:\n  probe.safetensors: ", "positive: ");
    bench.edit(card, "positive: the prompt holds the tested word\n", "");
    said.add(
        "a card without a digest of its weights",
        &bench.audit_refuses(2),
    );

    let bench = Bench::new();
    copy(&root().join("detectors/clean"), &bench.path("detectors"));
    said.add("made on another model", &bench.audit_refuses(2));
    let check = ["detectors", "check", "detectors", "--model", "model.onnx"];
    bench.refuses(&check, 2);

    let bench = Bench::new();
    bench.edit(card, "blocks.1.hook_resid_pre", "blocks.9.hook_resid_pre");
    said.add("a site that the model lacks", &bench.audit_refuses(2));

    let bench = Bench::new();
    copy(
        &bench.path("detectors/condition"),
        &bench.path("detectors/twin"),
    );
    said.add("an id twice", &bench.audit_refuses(2));

    let bench = Bench::new();
    bench.write("detectors/condition/probe.safetensors", "no safetensors");
    said.add("weights that are none", &bench.audit_refuses(2));
    fs::remove_file(bench.path("detectors/condition/probe.safetensors")).unwrap();
    said.add("weights that are missing", &bench.audit_refuses(2));
    bench.edit(card, "role: condition", "roll: condition");
    said.add("an unknown key in the card", &bench.audit_refuses(2));

    let bench = Bench::new();
    fs::remove_dir_all(bench.path("detectors")).unwrap();
    said.add("no such folder", &bench.audit_refuses(2));
    fs::create_dir(bench.path("detectors")).unwrap();
    said.add("an empty folder", &bench.audit_refuses(2));
    insta::assert_snapshot!(said.0.join("\n"));
}

#[test]
#[allow(
    clippy::too_many_lines,
    clippy::format_push_string,
    reason = "a list of cases"
)]
fn trainings_that_cannot_be_done() {
    let mut said = Said::default();
    let bench = Bench::new();
    let train = |more: &[&str], code| {
        let args = [
            "train",
            "probe",
            "--model",
            "model.onnx",
            "--suite",
            "labelled",
        ];
        let args = [
            &args[..],
            &["--role", "truth", "--id", "t", "--positive", "p"],
        ]
        .concat();
        bench.refuses(&[&args[..], more].concat(), code)
    };
    // Forty statements of the organism's own suite, changed one by one.
    let own = root().join("benchmarks/organisms/suites/calibration-truth/items.jsonl");
    let own: Vec<Value> = fs::read_to_string(own)
        .unwrap()
        .lines()
        .take(40)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let items = |change: &dyn Fn(usize, &mut Value)| {
        let mut lines = String::new();
        for (n, item) in own.iter().enumerate() {
            let mut item = item.clone();
            change(n, &mut item);
            lines += &format!("{item}\n");
        }
        bench.write("labelled/items.jsonl", lines);
    };
    bench.write(
        "labelled/suite.yaml",
        "schema: candor/suite/v1\nid: labelled\npurpose: calibration\nitems: items.jsonl\n",
    );
    items(&|_, item| item["label"] = 1.into());
    said.add("one class only", &train(&["--out", "new"], 2));
    items(&|n, item| {
        item["label"] = if n == 3 {
            Value::Null
        } else {
            item["label"].clone()
        };
    });
    said.add("an item without a label", &train(&["--out", "new"], 2));
    items(&|n, item| {
        item["response"] = if n == 3 {
            Value::Null
        } else {
            item["response"].clone()
        };
    });
    said.add("a span without tokens", &train(&["--out", "new"], 2));
    items(&|_, item| item["group"] = "one".into());
    said.add("one group", &train(&["--out", "new"], 2));
    items(&|n, item| item["group"] = if n < 20 { "one" } else { "other" }.into());
    said.add("fewer groups than parts", &train(&["--out", "new"], 2));
    let alone = |n: usize, item: &mut Value| item["group"] = format!("g{n}").into();
    items(&|n, item| {
        alone(n, item);
        if n % 2 == 1 {
            for part in ["prompt", "response"] {
                item[part] = own[n - 1][part].clone();
            }
        }
    });
    said.add("copies in two groups", &train(&["--out", "new"], 2));
    items(&|n, item| {
        alone(n, item);
        if n % 2 == 1 {
            let prompt = own[n - 1]["prompt"].as_str().unwrap();
            item["prompt"] = format!("{prompt} ").into();
            item["response"] = own[n - 1]["response"].clone();
        }
    });
    said.add(
        "the same tokens in two groups",
        &train(&["--out", "new"], 2),
    );
    items(&|n, item| {
        alone(n, item);
        if n % 2 == 1 {
            let prompt = own[n - 1]["prompt"].as_str().unwrap();
            item["prompt"] = prompt.replacen(' ', " not ", 1).into();
            item["response"] = own[n - 1]["response"].clone();
        }
    });
    said.add("negations in two groups", &train(&["--out", "new"], 2));
    items(&|n, item| {
        alone(n, item);
        item["pair"] = own[n ^ 1]["id"].clone();
    });
    said.add("pairs in two groups", &train(&["--out", "new"], 2));
    items(&|_, _| ());
    said.add("an existing folder", &train(&["--out", "suite"], 2));
    for (name, args) in [
        ("an unknown kind", ["--kind", "lda,svm"]),
        ("a kind without polarities", ["--kind", "ttpd"]),
        ("kinds without pairs", ["--kind", "lat,ccs"]),
        ("an unknown span", ["--span", "middle"]),
        ("an unknown aggregation", ["--aggregation", "ema:2"]),
        ("an unknown site", ["--sites", "blocks.7.*"]),
        ("a layer beyond the last", ["--layers", "0-4"]),
        (
            "no site in the layers",
            ["--layers=0", "--sites=hook_embed"],
        ),
        ("an impossible prevalence", ["--prevalence", "1"]),
    ] {
        said.add(name, &train(&[&args[..], &["--out", "new"]].concat(), 2));
    }
    bench.write("labelled/items.jsonl", "");
    said.add("an empty suite", &train(&["--out", "new"], 3));
    assert!(!bench.path("new").exists());
    insta::assert_snapshot!(said.0.join("\n"));
}

#[test]
fn activations_that_cannot_be_encoded() {
    let mut said = Said::default();
    let bench = Bench::new();
    let encode = |folder: &str, input: &str, code| {
        bench.refuses(
            &[
                "detectors",
                "encode",
                folder,
                "--input",
                input,
                "--out",
                "a",
            ],
            code,
        )
    };
    let sae = "detectors/features";
    let path = |name: &str| bench.path(name);
    ndarray_npy::write_npy(path("narrow.npy"), &Array2::<f32>::ones((3, 32))).unwrap();
    said.add("another width", &encode(sae, "narrow.npy", 2));
    ndarray_npy::write_npy(path("double.npy"), &Array2::<f64>::ones((3, 64))).unwrap();
    said.add("float64", &encode(sae, "double.npy", 2));
    ndarray_npy::write_npy(path("flat.npy"), &Array1::<f32>::ones(64)).unwrap();
    said.add("one dimension", &encode(sae, "flat.npy", 2));
    let mut nan = Array2::<f32>::ones((3, 64));
    nan[[1, 5]] = f32::NAN;
    ndarray_npy::write_npy(path("nan.npy"), &nan).unwrap();
    said.add("NaN", &encode(sae, "nan.npy", 1));
    bench.write("x.npy", b"PK\x03\x04archive/data.pkl");
    said.add("a PyTorch pickle", &encode(sae, "x.npy", 2));
    said.add("missing", &encode(sae, "none.npy", 2));
    ndarray_npy::write_npy(path("good.npy"), &Array2::<f32>::ones((3, 64))).unwrap();
    said.add("a probe", &encode("detectors/truth", "good.npy", 2));
    let weights = "detectors/features/sae_weights.safetensors";
    bench.write(weights, b"PK\x03\x04archive/data.pkl");
    said.add("an SAE as a pickle", &encode(sae, "good.npy", 2));
    fs::remove_file(path(weights)).unwrap();
    said.add("an SAE without weights", &encode(sae, "good.npy", 2));
    insta::assert_snapshot!(said.0.join("\n"));
}
