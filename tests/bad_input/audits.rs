//! Audits, suites, rules, reports and runtimes that cannot be used.

use std::fs;

use candor::run::{Runtime, RuntimeOptions};

use crate::cli::bench::Bench;
use crate::{AUDIT, Said};

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
        (
            "an answer that the suite states",
            items,
            "\"id\": \"t0\"",
            "\"response\": \"Muscat\", \"id\": \"t0\"",
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
        ("a model without a name", "name: liar", "name: ''", 2),
        // A mark of the encoding is read over, so that what is wrong is what is said.
        (
            "a mark of the encoding",
            "schema: candor/audit/v1",
            "\u{feff}schema: candor/audit/v8",
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
