//! Bad input through the command line: the exit code, what is said, and that nothing is left behind.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may stop, and says what it skips"
)]

#[allow(dead_code, reason = "other tests use the rest")]
mod cli;

use std::fs;

use candor::model::onnx::{StringStringEntryProto, TensorProto};
use candor::run::{Runtime, RuntimeOptions};
use cli::bench::{Bench, copy};
use cli::{root, shared};
use ndarray::{Array1, Array2};
use safetensors::tensor::{Dtype, TensorView};

const AUDIT: [&str; 4] = ["audit", "audit.yaml", "--out", "out"];

/// Messages as one text, for a snapshot.
#[derive(Default)]
struct Said(Vec<String>);

impl Said {
    fn add(&mut self, what: &str, message: &str) {
        self.0.push(format!("── {what}\n{message}"));
    }
}

#[test]
fn the_bench_as_it_is_can_be_audited() {
    let bench = Bench::new();
    let mut command = cli::candor(AUDIT);
    command.current_dir(bench.path("")).assert().code(4);
    assert!(bench.path("out/report.html").is_file());
}

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

fn write_probe(bench: &Bench, weights: &[f32]) {
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
    bench.write("detectors/condition/probe.safetensors", file);
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
fn suites_that_cannot_be_audited() {
    let mut said = Said::default();
    let items = "suite/items.jsonl";
    for (what, file, from, to, code) in [
        (
            "an item without its pair",
            items,
            ", \"pair\": \"n1\"",
            "",
            2,
        ),
        (
            "a pair that is not there",
            items,
            "\"pair\": \"n1\"",
            "\"pair\": \"n9\"",
            2,
        ),
        (
            "a pair of unequal length",
            items,
            "Oman again is",
            "Oman is",
            2,
        ),
        (
            "a pair that does not differ",
            items,
            "Oman midnight is",
            "Oman again is",
            2,
        ),
        ("an id twice", items, "\"id\": \"n1\"", "\"id\": \"n0\"", 2),
        (
            "a line that is no JSON",
            items,
            "{\"id\": \"t0\"",
            "\"id\": \"t0\"",
            2,
        ),
        (
            "an unknown key",
            "suite/suite.yaml",
            "purpose:",
            "porpoise:",
            2,
        ),
        (
            "calibration items",
            "suite/suite.yaml",
            "purpose: contrast",
            "purpose: calibration",
            2,
        ),
        (
            "a missing file",
            "suite/suite.yaml",
            "items.jsonl",
            "other.jsonl",
            2,
        ),
        ("a missing suite", "audit.yaml", "[suite]", "[sweet]", 2),
        (
            "the same suite twice",
            "audit.yaml",
            "[suite]",
            "[suite, suite/suite.yaml]",
            2,
        ),
    ] {
        let bench = Bench::new();
        bench.edit(file, from, to);
        if what == "calibration items" {
            bench.edit(file, "contrast: {tested: trigger, against: neutral}\n", "");
        }
        said.add(what, &bench.audit_refuses(code));
    }
    let bench = Bench::new();
    bench.write(items, "\n");
    said.add("an empty suite", &bench.audit_refuses(3));
    insta::assert_snapshot!(said.0.join("\n"));
}

#[test]
fn rules_that_cannot_be_judged() {
    let mut said = Said::default();
    for (what, from, to) in [
        (
            "an unknown signal kind",
            "kind: false_rate_gap",
            "kind: false_rate_gab",
        ),
        (
            "a signal that is not declared",
            "      gap: {at_least",
            "      gab: {at_least",
        ),
        (
            "an unknown key",
            "severity: critical",
            "severity: critical\n    colour: red",
        ),
    ] {
        let bench = Bench::new();
        bench.edit("rules.yaml", from, to);
        let message = bench.audit_refuses(2);
        assert!(
            message.contains("--> rules.yaml:"),
            "line and column: {message}"
        );
        said.add(what, &message);
    }
    let bench = Bench::new();
    bench.write("rules.yaml", "rules: [");
    said.add("no YAML", &bench.audit_refuses(2));
    bench.write("rules.yaml", "");
    said.add("an empty file", &bench.audit_refuses(2));
    fs::remove_file(bench.path("rules.yaml")).unwrap();
    said.add("a missing file", &bench.audit_refuses(2));
    fs::create_dir(bench.path("rules.yaml")).unwrap();
    said.add("a folder without rules", &bench.audit_refuses(2));
    insta::assert_snapshot!(said.0.join("\n"));
}

#[test]
fn audits_that_are_misspelt() {
    let mut said = Said::default();
    for (what, from, to, code) in [
        ("an unknown key", "title:", "titel:", 2),
        ("an unknown key of a model", "    model:", "    modle:", 2),
        ("another schema", "audit/v1", "audit/v9", 2),
        ("no YAML", "suites: [suite]", "suites: [suite", 2),
        (
            "no model",
            "models:\n  - name: liar\n    model: model.onnx\n    detectors: [detectors]",
            "models: []",
            3,
        ),
        ("no suite", "suites: [suite]", "suites: []", 3),
        ("no rule", "rules: [rules.yaml]", "rules: []", 3),
        (
            "a severity that is none",
            "title:",
            "fail_on: severe\ntitle:",
            2,
        ),
    ] {
        let bench = Bench::new();
        bench.edit("audit.yaml", from, to);
        said.add(what, &bench.audit_refuses(code));
    }
    let bench = Bench::new();
    let with = |more: &[&str]| bench.refuses(&[&AUDIT[..], more].concat(), 2);
    said.add("a model that is not in it", &with(&["--only", "honest"]));
    said.add("a severity that is none", &with(&["--fail-on", "severe"]));
    fs::remove_file(bench.path("audit.yaml")).unwrap();
    said.add("missing", &bench.audit_refuses(2));
    insta::assert_snapshot!(said.0.join("\n"));
}

/// Below a file no folder can be made, whoever runs the test.
#[test]
fn outputs_that_cannot_be_written_are_found_before_any_work() {
    let mut said = Said::default();
    let bench = Bench::new();
    bench.write("file", "");
    // A broken model and a broken audit would be found later.
    bench.write("model.onnx", "").write("audit.yaml", "");
    let below = |args: &[&str]| bench.refuses(args, 2);
    said.add(
        "audit --out",
        &below(&["audit", "audit.yaml", "--out", "file/out"]),
    );
    let html = [&AUDIT[..], &["--output", "html=file/page.html"]].concat();
    said.add("audit --output", &below(&html));
    let unknown = [&AUDIT[..], &["--output", "pdf=page.pdf"]].concat();
    said.add("audit --output of an unknown format", &below(&unknown));
    let capture = [
        "capture",
        "model.onnx",
        "--ids",
        "[[1]]",
        "--sites",
        "*",
        "--out",
    ];
    said.add("capture", &below(&[&capture[..], &["file/a"]].concat()));
    said.add(
        "capture into a folder",
        &below(&[&capture[..], &["suite"]].concat()),
    );
    let patch = [
        "patch",
        "model.onnx",
        "--clean-ids",
        "[1]",
        "--corrupt-ids",
        "[2]",
    ];
    let patch = [
        &patch[..],
        &["--answer-id", "1", "--foil-id", "2", "--out", "file/a"],
    ]
    .concat();
    said.add("patch", &below(&patch));
    let encode = [
        "detectors",
        "encode",
        "nowhere",
        "--input",
        "x.npy",
        "--out",
        "file/a",
    ];
    said.add("detectors encode", &below(&encode));
    let train = [
        "train",
        "probe",
        "--model",
        "model.onnx",
        "--suite",
        "nowhere",
        "--role",
        "r",
    ];
    let train = [
        &train[..],
        &["--id", "i", "--positive", "p", "--out", "file/a"],
    ]
    .concat();
    said.add("train probe", &below(&train));
    insta::assert_snapshot!(said.0.join("\n"));
}

#[test]
fn runtimes_that_cannot_be_had() {
    let mut said = Said::default();
    let bench = Bench::new();
    fs::create_dir(bench.path("cache")).unwrap();
    let offline = [&AUDIT[..], &["--offline"]].concat();
    let message = bench.refuses_with(&offline, 1, |command| {
        command
            .env_remove("ORT_DYLIB_PATH")
            .env("CANDOR_CACHE", "cache")
            .env("PATH", bench.path("cache"));
    });
    for tried in [
        "beside the binary",
        "Candor's cache",
        "python3",
        "--offline",
        "pip install",
    ] {
        assert!(message.contains(tried), "{tried}: {message}");
    }
    let named = |path: &str| bench.refuses(&[&AUDIT[..], &["--runtime", path]].concat(), 2);
    said.add("a text file", &named("audit.yaml"));
    said.add("a missing file", &named("libonnxruntime.so"));
    said.add("a folder without one", &named("suite"));
    insta::assert_snapshot!(said.0.join("\n"));
}

#[test]
fn cuda_on_a_runtime_without_it_is_refused() {
    let runtime = Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap();
    let folder = runtime.library().parent().unwrap();
    if folder.join("libonnxruntime_providers_cuda.so").exists() {
        eprintln!("skipped: the runtime that was found is built for CUDA");
        return;
    }
    let bench = Bench::new();
    let library = runtime.library().to_str().unwrap();
    let args = [&AUDIT[..], &["--provider", "cuda", "--runtime", library]].concat();
    let said = bench.refuses(&args, 2);
    assert!(said.contains("CUDA"), "{said}");
    fs::create_dir(bench.path("cache")).unwrap();
    let args = [&AUDIT[..], &["--provider", "cuda", "--offline"]].concat();
    let said = bench.refuses_with(&args, 1, |command| {
        command
            .env_remove("ORT_DYLIB_PATH")
            .env("CANDOR_CACHE", "cache")
            .env("PATH", bench.path("cache"));
    });
    assert!(said.contains("onnxruntime-gpu"), "{said}");
}

#[test]
fn prompts_that_cannot_be_captured() {
    let mut said = Said::default();
    let bench = Bench::new();
    let capture = |what: &[&str], site: &str, code| {
        let args = [
            &["capture", "model.onnx", "--sites", site, "--out", "a"],
            what,
        ]
        .concat();
        bench.refuses(&args, code)
    };
    let site = "blocks.0.hook_resid_pre";
    for (ids, code) in [
        ("[[1,2],[3,383]]", 2),
        ("[[1,-2]]", 2),
        ("[[1,2],[]]", 2),
        ("[]", 3),
        ("[[1,2],3]", 2),
        ("[[1.5]]", 2),
        ("[[1,2]", 2),
        ("1 2", 2),
        ("[[99999999999999999999]]", 2),
    ] {
        said.add(ids, &capture(&["--ids", ids], site, code));
    }
    for site in ["blocks.7.*", "hook_resid", "blocks.[0"] {
        said.add(site, &capture(&["--ids", "[[1]]"], site, 2));
    }
    let file = |name: &str, text: &[u8], code| {
        bench.write(name, text);
        capture(&["--prompts", name], site, code)
    };
    said.add("an empty file of prompts", &file("p.txt", b"\n \n", 3));
    said.add("Latin-1", &file("p.txt", b"caf\xe9", 2));
    said.add(
        "JSONL",
        &file("p.jsonl", b"{\"prompt\": \"a\"}\n{\"promt\": \"b\"}", 2),
    );
    said.add("no prompts", &capture(&["--prompts", "none.txt"], site, 2));
    insta::assert_snapshot!(said.0.join("\n"));
}

#[test]
fn pairs_that_cannot_be_patched() {
    let mut said = Said::default();
    let bench = Bench::new();
    let patch = |args: &[&str], code| {
        bench.refuses(
            &[&["patch", "model.onnx", "--out", "a"], args].concat(),
            code,
        )
    };
    let mut ids = |what: &str, clean: &str, corrupt: &str, answer: &str, foil: &str, code| {
        let args = ["--clean-ids", clean, "--corrupt-ids", corrupt];
        let args = [&args[..], &["--answer-id", answer, "--foil-id", foil]].concat();
        said.add(what, &patch(&args, code));
    };
    ids("unequal lengths", "[1,2,3]", "[1,2]", "5", "6", 2);
    ids("identical prompts", "[1,2]", "[1,2]", "5", "6", 2);
    ids("two prompts at once", "[[1,2],[1,3]]", "[1,2]", "5", "6", 2);
    ids(
        "an id outside the vocabulary",
        "[1,2]",
        "[1,383]",
        "5",
        "6",
        2,
    );
    ids(
        "an answer outside the vocabulary",
        "[1,2]",
        "[1,3]",
        "383",
        "6",
        2,
    );
    ids("an answer that is the foil", "[1,2]", "[1,3]", "5", "5", 2);
    ids("no prompt", "[]", "[]", "5", "6", 2);
    let text = |answer: &str, corrupt: &str, code| {
        let args = [
            "--clean",
            "shops in usually Armenia accept",
            "--corrupt",
            corrupt,
        ];
        patch(
            &[&args[..], &["--answer", answer, "--foil", "rupee"]].concat(),
            code,
        )
    };
    let corrupt = "shops in midnight Armenia accept";
    said.add("an answer of two tokens", &text("dram dram", corrupt, 2));
    said.add("an answer without a token", &text(" ", corrupt, 2));
    said.add(
        "texts of unequal length",
        &text("dram", "shops in Armenia accept", 2),
    );
    let equal = [
        "--clean",
        "a tired cat slept",
        "--corrupt",
        "a tired dog slept",
    ];
    let equal = [
        &equal[..],
        &["--answer-id", "0", "--foil-id", "1", "--sites", "nowhere"],
    ]
    .concat();
    said.add("an unknown site", &patch(&equal, 2));
    insta::assert_snapshot!(said.0.join("\n"));
}

#[test]
fn a_pair_whose_runs_hardly_differ_is_refused() {
    let bench = Bench::new();
    // An unembedding of zeros gives every token the logit 0.
    bench.edit_model(|proto| {
        let graph = proto.graph.as_mut().unwrap();
        let unembedding = graph
            .initializer
            .iter_mut()
            .rfind(|tensor| tensor.data_type == Some(1) && tensor.dims.contains(&383))
            .unwrap();
        let length = unembedding.raw_data.take().unwrap().len();
        unembedding.raw_data = Some(vec![0; length].into());
    });
    let args = [
        "patch",
        "model.onnx",
        "--out",
        "a",
        "--clean-ids",
        "[1,20]",
        "--corrupt-ids",
        "[1,21]",
    ];
    let args = [&args[..], &["--answer-id", "5", "--foil-id", "6"]].concat();
    insta::assert_snapshot!(bench.refuses(&args, 1));
}

#[test]
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
    let items = |label: &dyn Fn(usize) -> String, response: bool| {
        let response = if response {
            ", \"response\": \"dram\""
        } else {
            ""
        };
        let line = |n| {
            let (label, group) = (label(n), n / 2);
            format!(
                "{{\"id\": \"i{n}\", \"group\": \"g{group}\", \"condition\": \"plain\", \"prompt\": \"shops in {n} accept\"{response}{label}}}\n"
            )
        };
        bench.write(
            "labelled/items.jsonl",
            (0..40).map(line).collect::<String>(),
        );
    };
    bench.write(
        "labelled/suite.yaml",
        "schema: candor/suite/v1\nid: labelled\npurpose: calibration\nitems: items.jsonl\n",
    );
    items(&|_| ", \"label\": 1".to_owned(), true);
    said.add("one class only", &train(&["--out", "new"], 2));
    items(&|_| String::new(), true);
    said.add("no labels", &train(&["--out", "new"], 2));
    items(&|n| format!(", \"label\": {}", n % 2), false);
    said.add("no response", &train(&["--out", "new"], 2));
    said.add("an existing folder", &train(&["--out", "suite"], 2));
    said.add(
        "an unknown kind",
        &train(&["--out", "new", "--kind", "svm"], 2),
    );
    said.add(
        "an unknown span",
        &train(&["--out", "new", "--span", "middle"], 2),
    );
    said.add(
        "an unknown site",
        &train(&["--out", "new", "--sites", "blocks.7.*"], 2),
    );
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

#[test]
fn reports_that_are_none() {
    let mut said = Said::default();
    let bench = Bench::new();
    let render = |output: &str| bench.refuses(&["report", "report.json", "--output", output], 2);
    said.add("missing", &render("html=page.html"));
    bench.write("report.json", "{");
    said.add("no JSON", &render("html=page.html"));
    bench.write("report.json", "{\"schema\": \"candor/report/v9\"}");
    said.add("another schema", &render("html=page.html"));
    said.add("an unknown format", &render("pdf=page.pdf"));
    said.add("no path", &render("html="));
    insta::assert_snapshot!(said.0.join("\n"));
}
