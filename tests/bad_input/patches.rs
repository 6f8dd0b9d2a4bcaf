//! Interventions, maps, metrics and files of pairs that cannot be.

use crate::Said;
use crate::cli::bench::Bench;

const CLEAN: &str = "shops in usually Armenia accept";
const CORRUPT: &str = "shops in midnight Armenia accept";

fn texts<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let args = ["patch", "model.onnx", "--out", "a", "--clean", CLEAN];
    let pair = ["--corrupt", CORRUPT, "--answer", "dram", "--foil", "rupee"];
    [&args[..], &pair, more].concat()
}

#[test]
fn maps_that_cannot_be_laid_out() {
    let mut said = Said::default();
    let bench = Bench::new();
    for more in [
        "--positions 9",
        "--positions 1,1",
        "--at 9",
        "--at 2,2",
        "--sites blocks.9.hook_resid_pre",
        "--by head --sites blocks.*.hook_attn_out",
        "--by head --positions 7",
        "--by window:5",
        "--by window:0",
        "--run-memory 0",
    ] {
        let args: Vec<&str> = more.split(' ').collect();
        said.add(more, &bench.refuses(&texts(&args), 2));
    }
    insta::assert_snapshot!(said.0.join("\n"));
}

#[test]
fn interventions_and_metrics_that_lack_something() {
    let mut said = Said::default();
    let bench = Bench::new();
    bench.write("short.txt", "midnight");
    bench.write("empty.txt", "\n");
    for more in [
        "--intervention mean",
        "--intervention mean --control empty.txt",
        "--intervention mean --control short.txt",
        "--intervention resample",
        "--intervention resample --control short.txt",
        "--intervention directional",
        "--intervention directional --detector nowhere",
        "--intervention add --detector detectors/condition",
        "--intervention add --detector detectors/condition --scale nan",
        "--intervention add --detector detectors/condition --scale 2 --by head",
        "--intervention feature-ablate --detector detectors/condition",
        "--intervention feature-set --detector detectors/features",
        "--intervention feature-ablate --detector detectors/features --feature 99999",
        "--intervention feature-ablate --detector detectors/features --sites blocks.0.hook_resid_pre",
        "--metric detector",
        "--metric detector --detector detectors/features --feature 99999",
    ] {
        let args: Vec<&str> = more.split(' ').collect();
        let code = if more.contains("empty") { 3 } else { 2 };
        said.add(more, &bench.refuses(&texts(&args), code));
    }
    let no_foil = ["patch", "model.onnx", "--out", "a", "--clean-ids", "[1,2]"];
    let no_foil = [
        &no_foil[..],
        &["--corrupt-ids", "[1,3]", "--answer-id", "4"],
    ]
    .concat();
    said.add("no foil", &bench.refuses(&no_foil, 2));
    let rank = [
        &no_foil[..6],
        &["--corrupt-ids", "[1,3]", "--metric", "rank"],
    ]
    .concat();
    said.add("no answer", &bench.refuses(&rank, 2));
    insta::assert_snapshot!(said.0.join("\n"));
}

#[test]
fn files_of_pairs_that_cannot_be_read() {
    let mut said = Said::default();
    let bench = Bench::new();
    let good = r#"{"clean": [1, 20], "corrupt": [1, 21], "answer": 5, "foil": 6}"#;
    let mut file = |what: &str, second: &str, code: i32| {
        bench.write("pairs.jsonl", format!("{good}\n\n{second}\n"));
        let args = [
            "patch",
            "model.onnx",
            "--out",
            "a",
            "--pairs",
            "pairs.jsonl",
        ];
        said.add(what, &bench.refuses(&args, code));
    };
    file("a broken line", r#"{"clean": [1, 20], "corrupt": [1"#, 2);
    file(
        "a missing side",
        r#"{"clean": [1, 20], "answer": 5, "foil": 6}"#,
        2,
    );
    file(
        "an unknown key",
        r#"{"clean": [1], "corrupt": [2], "answr": 5}"#,
        2,
    );
    file("half ids", r#"{"clean": [1, "x"], "corrupt": [2, 3]}"#, 2);
    file(
        "unequal lengths",
        r#"{"id": "cats", "clean": [1, 20], "corrupt": [1, 21, 3], "answer": 5, "foil": 6}"#,
        2,
    );
    file(
        "an answer of two tokens",
        r#"{"clean": [1, 20], "corrupt": [1, 21], "answer": "dram dram", "foil": 6}"#,
        2,
    );
    file(
        "no foil",
        r#"{"clean": [1, 20], "corrupt": [1, 21], "answer": 5}"#,
        2,
    );
    file(
        "an id outside the vocabulary",
        r#"{"clean": [1, 383], "corrupt": [1, 21], "answer": 5, "foil": 6}"#,
        2,
    );
    file(
        "identical prompts",
        r#"{"clean": [1, 21], "corrupt": [1, 21], "answer": 5, "foil": 6}"#,
        2,
    );
    let args = [
        "patch",
        "model.onnx",
        "--out",
        "a",
        "--pairs",
        "pairs.jsonl",
    ];
    bench.write("pairs.jsonl", "\n");
    said.add("nothing", &bench.refuses(&args, 3));
    insta::assert_snapshot!(said.0.join("\n"));
}

/// Where the two runs are one and the same, no metric with a recovery can be read.
#[test]
fn pairs_whose_runs_hardly_differ_are_refused_by_every_metric_that_divides() {
    let mut said = Said::default();
    let bench = Bench::new();
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
    let line =
        |id: i32| format!(r#"{{"clean": [1, 20], "corrupt": [1, {id}], "answer": 5, "foil": 6}}"#);
    bench.write("pairs.jsonl", format!("{}\n{}\n", line(21), line(22)));
    for metric in ["logit-difference", "log-probability", "kl"] {
        let args = [
            "patch",
            "model.onnx",
            "--out",
            "a",
            "--pairs",
            "pairs.jsonl",
        ];
        let args = [&args[..], &["--metric", metric]].concat();
        said.add(metric, &bench.refuses(&args, 1));
    }
    insta::assert_snapshot!(said.0.join("\n"));
}
