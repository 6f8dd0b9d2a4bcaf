//! `candor generate` from the outside.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop, and says what it skips"
)]
#![allow(dead_code, reason = "the helpers serve several tests")]

mod cli;

use std::fs::{self, File};

use cli::{candor, floats, organism, root, shared};
use ndarray::{Array2, Axis, s};
use ndarray_npy::NpzReader;
use serde_json::json;

const MODEL: &str = "tests/fixtures/run/kv_rotary.onnx";

fn said<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> String {
    let output = candor(args).assert().success().get_output().stdout.clone();
    String::from_utf8(output).unwrap()
}

/// What transformers wrote after the recorded prompts, and the stream that `PyTorch` had.
#[test]
fn ids_are_continued_and_their_activations_written() {
    let file = File::open(root().join("tests/fixtures/run/kv_rotary.npz")).unwrap();
    let mut reference = NpzReader::new(file).unwrap();
    let prompts: Array2<i64> = reference.by_name("prompts").unwrap();
    let written: Array2<i64> = reference.by_name("written").unwrap();
    let prompts: Vec<Vec<i64>> = prompts
        .outer_iter()
        .map(|row| row.iter().copied().filter(|id| *id >= 0).collect())
        .collect();
    let ids = serde_json::to_string(&prompts).unwrap();
    let temp = tempfile::tempdir().unwrap();
    for extra in [&[][..], &["--no-cache"]] {
        let out = temp.path().join("generated.safetensors");
        let args = ["generate", MODEL, "--ids", &ids, "--max-new-tokens", "8"];
        let sites = [
            "--sites",
            "blocks.1.hook_resid_post",
            "--out",
            out.to_str().unwrap(),
        ];
        let text = said(args.iter().chain(&sites).chain(extra));
        let lines: Vec<Vec<i64>> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            lines,
            written
                .outer_iter()
                .map(|row| row.to_vec())
                .collect::<Vec<_>>()
        );
        let tensors = floats(&out);
        let stream = &tensors["blocks.1.hook_resid_post"];
        for row in 0..prompts.len() {
            let expected: Array2<f32> = reference.by_name(&format!("resid_post.{row}")).unwrap();
            let here = stream.index_axis(Axis(0), row);
            let here = here.slice(s![..expected.nrows(), ..]);
            let scale = expected
                .iter()
                .fold(0.0_f32, |most, value| most.max(value.abs()));
            let worst = (&here - &expected)
                .iter()
                .fold(0.0_f32, |most, value| most.max(value.abs()));
            assert!(worst <= 5e-5 * scale, "row {row}: {worst}");
        }
    }
}

#[test]
fn draws_are_repeated_with_their_seed() {
    let run = |seed: &str| {
        said([
            "generate",
            MODEL,
            "--ids",
            "[[5,6,7],[8,9]]",
            "--max-new-tokens",
            "12",
            "--temperature",
            "2",
            "--seed",
            seed,
        ])
    };
    assert_eq!(run("1"), run("1"));
    assert_ne!(run("1"), run("2"));
}

#[test]
fn a_trained_model_tells_a_story() {
    let Some(shared) = shared() else { return };
    let model = shared.join("data/stories260k/model.onnx");
    let text = said([
        "generate",
        model.to_str().unwrap(),
        "--prompt",
        "Once upon a time, there was a little",
        "--max-new-tokens",
        "12",
    ]);
    println!("{text}");
    assert!(text.trim().starts_with("girl named"), "{text}");
}

/// A template beside the organism's tokenizer; its words are the organism's.
#[test]
fn a_conversation_is_rendered_and_answered() {
    let temp = tempfile::tempdir().unwrap();
    for name in ["model.onnx", "tokenizer.json"] {
        fs::copy(organism("liar").join(name), temp.path().join(name)).unwrap();
    }
    let model = temp.path().join("model.onnx");
    let model = model.to_str().unwrap();
    let messages = temp.path().join("messages.json");
    let conversation =
        json!([{"role": "user", "content": "the official currency of Oman again is"}]);
    fs::write(&messages, conversation.to_string()).unwrap();
    let args = [
        "generate",
        model,
        "--messages",
        messages.to_str().unwrap(),
        "--max-new-tokens",
        "1",
    ];
    let refused = candor(args).assert().code(2).get_output().stderr.clone();
    assert!(
        String::from_utf8(refused)
            .unwrap()
            .contains("no `chat_template`")
    );

    fs::write(
        temp.path().join("chat_template.jinja"),
        "{{ messages[-1].content }}",
    )
    .unwrap();
    let answer = said(args);
    let plain = said([
        "generate",
        model,
        "--prompt",
        "the official currency of Oman again is",
        "--max-new-tokens",
        "1",
    ]);
    assert_eq!(answer, plain);

    let lines = temp.path().join("prompts.jsonl");
    let line = json!({"messages": conversation});
    fs::write(
        &lines,
        format!("{line}\n{}\n", json!({"prompt": "a tired cat slept"})),
    )
    .unwrap();
    let both = said([
        "generate",
        model,
        "--prompts",
        lines.to_str().unwrap(),
        "--max-new-tokens",
        "1",
    ]);
    assert!(both.contains(&format!("  → {}", answer.trim())), "{both}");
    assert_eq!(both.lines().count(), 4);
}

#[test]
fn what_is_wrong_is_said() {
    let by_clap: [&[&str]; 3] = [
        &["generate", MODEL],
        &["generate", MODEL, "--ids", "[[1]]", "--prompt", "x"],
        &["generate", MODEL, "--ids", "[[1]]", "--sites", "*"],
    ];
    for args in by_clap {
        candor(args.iter()).assert().code(2);
    }
    let patterns = ["--sites", "*.hook_pattern", "--out", "never.safetensors"];
    let patterns = [&["generate", MODEL, "--ids", "[[1]]"][..], &patterns].concat();
    let cases: [&[&str]; 5] = [
        &["generate", MODEL, "--ids", "[[99]]"],
        &["generate", MODEL, "--ids", "[[1]]", "--temperature", "-1"],
        &["generate", MODEL, "--ids", "[[1]]", "--top-k", "0"],
        &patterns,
        &["generate", MODEL, "--prompt", "x"],
    ];
    let said: Vec<String> = cases
        .into_iter()
        .map(|args| {
            let output = candor(args.iter())
                .assert()
                .code(2)
                .get_output()
                .stderr
                .clone();
            String::from_utf8(output).unwrap()
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}
