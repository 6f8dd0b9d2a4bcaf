//! `candor train sae` on the bundled organisms: what it writes, that threads and interruptions change nothing, what it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::format_push_string,
    clippy::too_many_lines,
    reason = "a test may stop, and says what it skips"
)]
#![allow(dead_code, reason = "the helpers serve several tests")]

mod cli;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candor::detect::Sae;
use candor::model::{Model, encode};
use tempfile::TempDir;

use cli::{candor, json, organism, root, shared};

const SITE: &str = "blocks.1.hook_resid_pre";

/// A folder to work in, and a command on the liar that does.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The command with `--out out`; words that begin with `@` are names in the folder.
    fn command(&self, words: &str) -> assert_cmd::Command {
        let model = organism("liar").join("model.onnx");
        let mut args = vec!["train".to_owned(), "sae".to_owned()];
        if !words.contains("--model") {
            args.extend(["--model".to_owned(), model.to_str().unwrap().to_owned()]);
        }
        if !words.contains("--site") {
            args.extend(["--site".to_owned(), SITE.to_owned()]);
        }
        if !words.contains("--out") {
            args.extend([
                "--out".to_owned(),
                self.path("out").to_str().unwrap().to_owned(),
            ]);
        }
        args.extend(
            words
                .split_whitespace()
                .map(|word| match word.strip_prefix('@') {
                    Some(name) => self.path(name).to_str().unwrap().to_owned(),
                    None => word.to_owned(),
                }),
        );
        candor(args)
    }

    fn trains(&self, words: &str) -> String {
        let output = self.command(words).assert().success().get_output().clone();
        String::from_utf8(output.stdout).unwrap()
    }

    /// The message, with the folder's name and the repository's left out.
    fn refuses(&self, code: i32, words: &str) -> String {
        let output = self.command(words).assert().code(code).get_output().clone();
        assert!(!self.path("out").exists(), "{words}");
        let message = String::from_utf8(output.stderr).unwrap();
        message
            .replace(self.0.path().to_str().unwrap(), "DESK")
            .replace(root().to_str().unwrap(), "ROOT")
    }

    fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        fs::read_dir(self.path(folder))
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, fs::read(path).unwrap())
            })
            .collect()
    }
}

const SUITES: &str = "--suite benchmarks/organisms/suites/calibration-condition --suite benchmarks/organisms/suites/control \
     --d-sae 48 --k 4 --batch 64";

#[test]
fn activations_of_suites_become_an_sae() {
    let desk = Desk::new();
    let said = desk.trains(&format!("{SUITES} --steps 150"));
    println!("{said}");
    let config = json(&desk.path("out/cfg.json"));
    assert_eq!(config["architecture"], "topk");
    assert_eq!(config["k"], 4);
    assert_eq!(config["metadata"]["model_name"], "liar");
    assert_eq!(config["metadata"]["hook_name"], SITE);
    assert_eq!(
        config["metadata"]["candor"]["data"]["texts"],
        "calibration-condition, control"
    );
    let files: Vec<String> = desk.files("out").into_keys().collect();
    assert_eq!(
        files,
        ["cfg.json", "sae_weights.safetensors", "training.jsonl"]
    );
    let metrics = fs::read_to_string(desk.path("out/training.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let explained = |line: &serde_json::Value| line["explained_variance"].as_f64().unwrap();
    assert!(explained(lines.last().unwrap()) > explained(&lines[0]));
    assert!(explained(lines.last().unwrap()) > 0.7, "{said}");
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(desk.0.path()).unwrap().count(), 1);
    for line in [
        "explained variance",
        "L0                  4.00",
        "loss recovered",
        "dead features",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn every_architecture_is_saved_as_one_that_everybody_reads() {
    for (words, architecture) in [
        ("--architecture batchtopk", "jumprelu"),
        ("--architecture matryoshka_batchtopk", "jumprelu"),
        (
            "--architecture jumprelu --l0-penalty quadratic --lr 5e-3",
            "jumprelu",
        ),
        (
            "--architecture jumprelu --l0-penalty tanh --l0-coefficient 1",
            "jumprelu",
        ),
    ] {
        let desk = Desk::new();
        desk.trains(&format!("{SUITES} --steps 300 {words}"));
        let sae = Sae::open(&desk.path("out")).unwrap();
        assert_eq!(sae.config().architecture, architecture, "{words}");
        let metrics = fs::read_to_string(desk.path("out/training.jsonl")).unwrap();
        let last: serde_json::Value =
            serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
        let of = |key: &str| last[key].as_f64().unwrap();
        assert!(of("explained_variance") > 0.6, "{words}: {last}");
        assert!(of("l0") > 1.0 && of("l0") < 24.0, "{words}: {last}");
    }
}

#[test]
fn threads_shards_in_a_folder_and_another_day_change_no_byte() {
    let desk = Desk::new();
    let words = format!("{SUITES} --steps 40 --shard-size 300");
    desk.trains(&format!("{words} --out @one --threads 1"));
    desk.trains(&format!("{words} --out @two --threads 2"));
    desk.trains(&format!("{words} --out @three --work @work"));
    // From the activations that lie there.
    let again = desk.trains(&format!("{words} --out @four --work @work"));
    assert!(again.contains("0.0 for activations"), "{again}");
    let shards = desk.files("work").into_keys();
    assert!(shards.filter(|name| name.starts_with("shard-")).count() > 5);
    let one = desk.files("one");
    for other in ["two", "three", "four"] {
        assert!(desk.files(other) == one, "{other}");
    }
    desk.trains(&format!("{words} --out @five --seed 1"));
    assert!(desk.files("five")["sae_weights.safetensors"] != one["sae_weights.safetensors"]);
}

#[cfg(unix)]
#[test]
fn a_training_that_was_interrupted_ends_as_one_that_was_not() {
    use std::process::{Command, Stdio};
    let desk = Desk::new();
    let words =
        format!("{SUITES} --steps 1500 --shard-size 300 --log-every 10 --architecture batchtopk");
    desk.trains(&format!("{words} --out @whole"));
    let metrics = desk.path("work/metrics.jsonl");
    let mut running = Command::new(env!("CARGO_BIN_EXE_candor"))
        .current_dir(root())
        .args(["train", "sae", "--site", SITE, "--model"])
        .arg(organism("liar").join("model.onnx"))
        .args(words.split_whitespace())
        .arg("--work")
        .arg(desk.path("work"))
        .arg("--out")
        .arg(desk.path("out"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !metrics.exists() && running.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let id = running.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let ended = running.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("--resume"), "{said}");
    assert!(!desk.path("out").exists());

    let other = desk.refuses(2, &format!("{words} --work @work --resume --lr 0.5"));
    assert!(other.contains("a training with"), "{other}");
    desk.trains(&format!("{words} --work @work --resume"));
    assert!(desk.files("out") == desk.files("whole"));
}

#[test]
fn a_model_learns_from_what_it_writes_itself() {
    let Some(shared) = shared() else { return };
    let desk = Desk::new();
    let model = shared.join("data/stories260k/model.onnx");
    let said = desk.trains(&format!(
        "--model {} --site blocks.2.hook_resid_post --own 400 --context 20 --d-sae 32 --k 4 --batch 64 --steps 30 --work @work",
        model.display()
    ));
    let work = json(&desk.path("work/activations.json"));
    let rows = |value: &serde_json::Value| value.as_u64().unwrap();
    let learnt: u64 = work["shards"].as_array().unwrap().iter().map(rows).sum();
    assert_eq!(learnt + rows(&work["held_out"]), 400);
    // The token that begins a text is no row.
    for text in work["to_splice"].as_array().unwrap() {
        assert_eq!(text["ids"][0], 1);
        assert_eq!(text["keep"][0], false);
    }
    assert!(said.contains("loss recovered"), "{said}");
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let desk = Desk::new();
    let mut all = String::new();
    let mut refused = |what: &str, code: i32, words: &str| {
        all += &format!("── {what}\n{}\n", desk.refuses(code, words));
    };
    let few = "--steps 4 --batch 32 --d-sae 16 --k 2";
    let read = "--suite benchmarks/organisms/suites/control";
    refused("k > d_sae", 2, &format!("{read} --d-sae 8 --k 9"));
    refused("d_sae 0", 2, &format!("{read} --d-sae 0 --k 1"));
    refused(
        "no such architecture",
        2,
        &format!("{read} {few} --architecture vanilla"),
    );
    refused(
        "no such penalty",
        2,
        &format!("{read} {few} --l0-penalty l1"),
    );
    refused(
        "widths",
        2,
        &format!("{read} {few} --widths 8 12 --architecture matryoshka_batchtopk"),
    );
    refused("no step", 2, &format!("{read} --steps 0 --d-sae 16 --k 2"));
    refused("a rate that is none", 2, &format!("{read} {few} --lr 0"));
    refused(
        "not in the model",
        2,
        &format!("{read} {few} --site blocks.9.hook_resid_pre"),
    );
    refused(
        "several sites",
        2,
        &format!("{read} {few} --site blocks.*.hook_resid_pre"),
    );
    refused(
        "no vector for a token",
        2,
        &format!("{read} {few} --site blocks.1.attn.hook_pattern"),
    );
    refused(
        "fewer rows than a batch",
        2,
        &format!("{read} --steps 4 --batch 100000 --d-sae 16 --k 2"),
    );
    refused("all held out", 2, &format!("{read} {few} --held-out 1"));
    desk.file("none.txt", "\n");
    refused("no text", 3, &format!("--prompts @none.txt {few}"));
    desk.file("one.txt", "a tired cat slept\na tired cat slept\n");
    refused("a single text", 3, &format!("--prompts @one.txt {few}"));
    desk.file("bare.txt", "[BOS]\n[BOS]\n");
    refused(
        "no token that counts",
        3,
        &format!("--prompts @bare.txt {few}"),
    );
    desk.file("same.txt", "cat cat cat cat cat cat cat cat cat cat cat cat\ncat cat cat cat cat cat cat cat cat cat\ncat cat cat cat cat cat cat\n");
    refused(
        "rows that are all the same",
        1,
        "--prompts @same.txt --steps 4 --batch 2 --d-sae 16 --k 2 --site hook_embed",
    );
    refused(
        "nothing to resume",
        2,
        &format!("{read} {few} --work @empty --resume"),
    );
    desk.file("file", "");
    refused("work in a file", 2, &format!("{read} {few} --work @file"));
    refused("out in a file", 2, &format!("{read} {few} --out @file/out"));
    refused("out is there", 2, &format!("{read} {few} --out @file"));

    desk.trains(&format!("{read} {few} --work @work --out @theirs"));
    let work = format!("{read} {few} --work @work");
    refused("another seed's work", 2, &format!("{work} --seed 4"));
    refused(
        "another site's work",
        2,
        &format!("{work} --site blocks.2.hook_resid_pre"),
    );
    refused(
        "other texts' work",
        2,
        &format!("{work} --suite benchmarks/organisms/suites/calibration-truth"),
    );
    refused(
        "another model's work",
        2,
        &format!("{work} --model benchmarks/organisms/clean/model.onnx"),
    );
    refused("another split's work", 2, &format!("{work} --held-out 0.2"));
    let shard = desk.path("work/shard-00000.bf16");
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..bytes.len() - 2]).unwrap();
    refused("a shard cut off", 2, &work);
    fs::write(&shard, bytes).unwrap();
    fs::write(desk.path("work/checkpoint.safetensors"), b"").unwrap();
    refused("a checkpoint of 0 bytes", 2, &format!("{work} --resume"));
    fs::write(desk.path("work/activations.json"), b"{}").unwrap();
    refused("a work folder that says nothing", 2, &work);
    insta::assert_snapshot!(all);
}

/// Weights of norms that are finite, and overflow behind them.
#[test]
fn activations_that_are_not_finite_are_refused() {
    let desk = Desk::new();
    let source = organism("liar");
    let mut proto = Model::open(&source.join("model.onnx"))
        .unwrap()
        .proto()
        .clone();
    for weights in &mut proto.graph.as_mut().unwrap().initializer {
        if weights.name().ends_with("layernorm.weight") {
            let scaled = weights.raw_data().chunks_exact(4).flat_map(|bytes| {
                (f32::from_le_bytes(bytes.try_into().unwrap()) * 1e25).to_le_bytes()
            });
            weights.raw_data = Some(scaled.collect::<Vec<u8>>().into());
        }
    }
    fs::write(desk.path("model.onnx"), encode(&proto)).unwrap();
    fs::copy(source.join("tokenizer.json"), desk.path("tokenizer.json")).unwrap();
    let words = "--suite benchmarks/organisms/suites/control --steps 4 --batch 32 --d-sae 16 --k 2";
    let message = desk.refuses(
        1,
        &format!("{words} --model @model.onnx --site blocks.3.hook_resid_post"),
    );
    assert!(
        message.contains("NaN") || message.contains("inf"),
        "{message}"
    );
    assert!(
        message.contains("resid_post") || message.contains("output"),
        "{message}"
    );
}

/// A limit on the size of files, which is what a full disk is to a program: a write that fails in the middle.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let desk = Desk::new();
    let command = desk.command(&format!("{SUITES} --steps 2"));
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_str().unwrap().to_owned())
        .collect();
    for blocks in [1, 16] {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let output = std::process::Command::new("sh")
            .current_dir(root())
            .args(["-c", &script, "sh"])
            .args(&words)
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains("writing"), "{message}");
        assert_eq!(left(desk.0.path()), 0, "{message}");
    }
}

fn left(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}
