//! Prompts that cannot be captured and pairs that cannot be patched.

use crate::Said;
use crate::cli::bench::Bench;

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
