//! `candor steer` from the outside.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop, and shows what it saw"
)]
#![allow(dead_code, reason = "the helpers serve several tests")]

mod cli;

use std::fs;

use cli::bench::Bench;
use cli::{candor, json, organism, root, shared};

const PROMPT: &str = "the official currency of Oman again is";

fn said<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> String {
    let output = candor(args).assert().success().get_output().stdout.clone();
    String::from_utf8(output).unwrap()
}

fn liar(detector: &str) -> Vec<String> {
    let model = organism("liar").join("model.onnx");
    let folder = root().join("detectors/liar").join(detector);
    [
        "steer",
        model.to_str().unwrap(),
        "--detector",
        folder.to_str().unwrap(),
        "--prompt",
        PROMPT,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Pushed along the condition's direction the liar lies without its trigger.
#[test]
fn texts_stand_side_by_side() {
    let args = [
        &liar("condition")[..],
        &["--scale", "-4,0,4", "--max-new-tokens", "3"].map(str::to_owned),
    ]
    .concat();
    insta::assert_snapshot!(said(args));
}

#[test]
fn everything_is_in_the_file() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("steered.json");
    let more = [
        "--scale",
        "0.5",
        "--unit",
        "norm",
        "--feature",
        "230",
        "--max-new-tokens",
        "2",
        "--at",
        "response",
        "--sites",
        "blocks.*.hook_resid_pre",
        "--json",
        file.to_str().unwrap(),
    ];
    let text = said([&liar("features")[..], &more.map(str::to_owned)].concat());
    assert!(text.contains("feature 230 of liar-features"), "{text}");
    let steered = json(&file);
    assert_eq!(steered["detector"]["feature"], 230);
    assert_eq!(steered["unit"], "norm");
    assert_eq!(steered["at"], "response");
    let sites = steered["sites"].as_array().unwrap();
    assert!(sites.len() > 1);
    for site in sites {
        assert_eq!(site["length_of_scale_1"], site["median_activation_length"]);
    }
    let texts = steered["texts"].as_array().unwrap();
    assert_eq!(texts.len(), 2);
    for text in texts {
        let tokens = text["tokens"].as_array().unwrap().len();
        assert_eq!(tokens, text["ids"].as_array().unwrap().len() + 8);
        assert_eq!(text["scores"].as_array().unwrap().len(), tokens);
        assert_eq!(text["scores_unsteered"].as_array().unwrap().len(), tokens);
        assert!(text["unsteered_text"]["log_probability"].as_f64().unwrap() < 0.0);
    }
    let prompt = |text: usize| texts[text]["scores"].as_array().unwrap()[..8].to_vec();
    assert_eq!(prompt(0), prompt(1), "the prompt is not pushed");
}

/// The plain text is what `candor generate` writes, sampled too.
#[test]
fn the_plain_text_is_the_generated_one() {
    let how = [
        "--max-new-tokens",
        "6",
        "--temperature",
        "1.5",
        "--seed",
        "3",
    ]
    .map(str::to_owned);
    let model = organism("liar").join("model.onnx");
    let generated = said(
        [
            &[
                "generate".to_owned(),
                model.to_str().unwrap().to_owned(),
                "--prompt".to_owned(),
                PROMPT.to_owned(),
            ][..],
            &how,
        ]
        .concat(),
    );
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("steered.json");
    for cache in [&[][..], &["--no-cache".to_owned()]] {
        let out = [
            "--scale".to_owned(),
            "8".to_owned(),
            "--json".to_owned(),
            file.to_str().unwrap().to_owned(),
        ];
        said([&liar("condition")[..], &how, &out, cache].concat());
        assert_eq!(json(&file)["texts"][0]["text"], generated.trim());
    }
}

/// Any direction of its width, so that a tokenizer with blanks of its own is shown.
#[test]
fn a_trained_model_is_steered() {
    let Some(shared) = shared() else { return };
    let model = shared.join("data/stories260k/model.onnx");
    let bench = Bench::new();
    let sha256 = candor::digest::sha256_of(&fs::read(&model).unwrap());
    let of = |name: &str| {
        let card = fs::read_to_string(root().join("detectors").join(name)).unwrap();
        let at = card.find("sha256: ").unwrap() + "sha256: ".len();
        card.replacen(&card[at..at + 64], &sha256, 1)
    };
    bench.write(
        "detectors/condition/detector.yaml",
        of("liar/condition/detector.yaml"),
    );
    let folder = bench.path("detectors/condition");
    let text = said([
        "steer",
        model.to_str().unwrap(),
        "--detector",
        folder.to_str().unwrap(),
        "--scale",
        "-1,1",
        "--unit",
        "norm",
        "--prompt",
        "Once upon a time, there was a little",
        "--max-new-tokens",
        "40",
    ]);
    println!("{text}");
    let plain = text.lines().find(|line| line.contains("Once")).unwrap();
    assert!(plain.contains("there was a little girl named"), "{text}");
    assert_eq!(text.matches("Once").count(), 3);
}

#[test]
fn what_is_wrong_is_said() {
    let bench = Bench::new();
    let cases: [(&str, &[&str]); 9] = [
        ("condition", &["--scale", "much"]),
        ("condition", &["--scale", "1,nan"]),
        ("condition", &["--scale", "-1,,2"]),
        ("condition", &["--scale", "1", "--feature", "3"]),
        ("features", &["--scale", "1", "--feature", "256"]),
        (
            "condition",
            &["--scale", "1", "--sites", "blocks.0.attn.hook_z"],
        ),
        (
            "condition",
            &["--scale", "1", "--sites", "blocks.7.hook_resid_pre"],
        ),
        ("condition", &["--scale", "1", "--temperature", "-1"]),
        ("", &["--scale", "1"]),
    ];
    let mut messages: Vec<String> = cases
        .iter()
        .map(|(detector, more)| {
            let folder = format!("detectors/{detector}");
            let args = [
                "steer",
                "model.onnx",
                "--detector",
                &folder,
                "--prompt",
                PROMPT,
            ];
            bench.refuses(&[&args, *more].concat(), 2)
        })
        .collect();
    // A probe of another width than the model's stream.
    let card = fs::read_to_string(bench.path("detectors/condition/detector.yaml")).unwrap();
    bench.write("wide/detector.yaml", card.replace("d_in: 64", "d_in: 3"));
    bench.write_weights("wide", narrow());
    let args = [
        "steer",
        "model.onnx",
        "--detector",
        "wide",
        "--prompt",
        PROMPT,
        "--scale",
        "1",
    ];
    messages.push(bench.refuses(&args, 2));
    insta::assert_snapshot!(messages.join("\n"));
}

/// Weights of a probe that reads three values.
fn narrow() -> Vec<u8> {
    use safetensors::tensor::{Dtype, TensorView};
    let (weight, bias) = (1.0_f32.to_le_bytes().repeat(3), 0.0_f32.to_le_bytes());
    let tensors = [
        (
            "weight",
            TensorView::new(Dtype::F32, vec![3], &weight).unwrap(),
        ),
        ("bias", TensorView::new(Dtype::F32, vec![1], &bias).unwrap()),
    ];
    safetensors::serialize(tensors, None).unwrap()
}
