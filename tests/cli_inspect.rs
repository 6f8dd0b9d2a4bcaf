//! The page of `candor inspect` and its JSON, for small models of many kinds.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use assert_cmd::Command;
use unicode_width::UnicodeWidthStr as _;

const MODELS: &str = "tests/fixtures/export/models";

fn inspect(model: &str, columns: usize, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candor"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("COLUMNS", columns.to_string())
        .arg("inspect")
        .arg(format!("{MODELS}/{model}/model.onnx"))
        .args(args);
    command
}

fn page(model: &str, columns: usize, args: &[&str]) -> String {
    let output = inspect(model, columns, args).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn snapshot(name: &str, text: &str) {
    // Sizes change when the reference models are made again.
    insta::with_settings!({filters => vec![(r"pytorch \S+", "pytorch VERSION"), (r"onnxruntime-genai \S+", "onnxruntime-genai VERSION"), (r"onnxruntime.transformers \S+", "onnxruntime.transformers VERSION")]}, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn pages_of_many_kinds() {
    let pages = [
        ("sandwich_with_windows", "gemma2_wide.genai-fp32", 100),
        ("parallel_with_one_norm", "phi.dynamo-18", 80),
        ("parallel_with_two_norms", "neox.ids", 80),
        ("int4", "mistral_wide.genai-int4", 120),
        ("post_norm_and_fused", "bert.fused-bert", 80),
        ("experts", "qwen3moe.dynamo-18", 60),
        ("attention_alone", "attn_only.dynamo-18", 80),
        ("with_caches", "gpt2.cache-in", 80),
        ("quantised_and_dequantised", "gpt2.qdq", 80),
    ];
    for (name, model, columns) in pages {
        snapshot(name, &page(model, columns, &[]));
    }
}

#[test]
fn every_site_and_digests_when_asked() {
    snapshot(
        "every_site",
        &page("gpt2.external-offsets", 80, &["--sites"]),
    );
    let plain = page("gpt2.external-offsets", 80, &[]);
    let digested = page("gpt2.external-offsets", 80, &["--digest"]);
    let digests = |text: &str| {
        let words = text.split_whitespace();
        words
            .filter(|word| word.len() == 64 && word.chars().all(|c| c.is_ascii_hexdigit()))
            .count()
    };
    assert_eq!(digests(&plain), 0);
    assert!(digests(&digested) >= 2, "{digested}");
}

#[test]
fn a_refused_model_is_shown_with_the_place() {
    let output = inspect("conv.refused", 80, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    snapshot("refused", &String::from_utf8(output.stdout).unwrap());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("error: finding the residual stream"),
        "{said}"
    );
    let output = inspect("conv.refused", 80, &["--format", "json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let page: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        page["refused"]["found"]
            .as_str()
            .unwrap()
            .contains("convolution")
    );
    assert!(page["architecture"].is_null());
}

#[test]
fn json_for_programs() {
    for (name, model) in [
        ("json_int4", "mistral_wide.genai-int4"),
        ("json_caches", "gpt2.cache-in"),
    ] {
        snapshot(name, &page(model, 80, &["--format", "json"]));
    }
}

#[test]
fn json_beside_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("page.json");
    let text = page(
        "phi.dynamo-18",
        80,
        &["--digest", "--out", out.to_str().unwrap()],
    );
    assert!(text.contains("stream\n"));
    let page: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(page["files"][0]["sha256"].as_str().unwrap().len(), 64);
    // These keys and their names are promised.
    for key in [
        "n_layers",
        "d_model",
        "n_heads",
        "vocab_size",
        "family_hint",
    ] {
        assert!(!page["architecture"][key].is_null(), "{key}");
    }
    for site in page["sites"].as_array().unwrap() {
        let keys: Vec<&String> = site.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["name", "tensor", "shape"]);
    }
}

/// However narrow the terminal, no line is wider, and no escape sequences go into a file.
#[test]
fn no_line_is_wider_than_the_terminal() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(MODELS);
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "references" {
            continue;
        }
        for (columns, args) in [
            (60, &[][..]),
            (60, &["--sites", "--digest"]),
            (83, &["--digest"]),
        ] {
            for line in page(&name, columns, args).lines() {
                assert!(line.width() <= columns, "{name}, {columns} columns: {line}");
                assert!(!line.contains('\u{1b}'), "{name}: {line}");
            }
        }
    }
}
