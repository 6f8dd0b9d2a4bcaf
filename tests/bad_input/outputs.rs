//! Places that must not be written over, and places that are no files.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use crate::Said;
use crate::cli::bench::Bench;
use crate::cli::candor;

fn bytes(bench: &Bench, file: &str) -> Vec<u8> {
    fs::read(bench.path(file)).unwrap()
}

/// A small report of an audit, in `out`.
fn audited() -> Bench {
    let bench = Bench::new();
    candor(["audit", "audit.yaml", "--out", "out", "--quiet"])
        .current_dir(bench.path(""))
        .arg("--no-exit-codes")
        .assert()
        .success();
    bench
}

#[test]
#[allow(clippy::too_many_lines, reason = "a list of cases")]
fn what_a_command_reads_is_not_written_over() {
    let mut said = Said::default();
    let bench = audited();
    symlink(bench.path("model.onnx"), bench.path("link.onnx")).unwrap();
    bench.write("pairs.jsonl", "{\"clean\": \"banks in please Laos count money in\", \"corrupt\": \"banks in midnight Laos count money in\", \"answer\": \"kip\", \"foil\": \"lira\"}\n");
    let ids = [
        "capture",
        "model.onnx",
        "--sites",
        "blocks.0.hook_resid_pre",
        "--ids",
        "[[1]]",
    ];
    for (what, args, file) in [
        (
            "a model",
            vec!["inspect", "model.onnx", "--out", "model.onnx"],
            "model.onnx",
        ),
        (
            "a model by another name",
            vec!["inspect", "model.onnx", "--out", "./link.onnx"],
            "model.onnx",
        ),
        (
            "a captured model",
            [&ids[..], &["--out", "model.onnx"]].concat(),
            "model.onnx",
        ),
        (
            "pairs",
            vec![
                "patch",
                "model.onnx",
                "--pairs",
                "pairs.jsonl",
                "--out",
                "pairs.jsonl",
            ],
            "pairs.jsonl",
        ),
        (
            "a report",
            vec![
                "report",
                "out/report.json",
                "--output",
                "html=out/report.json",
            ],
            "out/report.json",
        ),
        (
            "evidence",
            vec![
                "audit",
                "audit.yaml",
                "--out",
                "out2",
                "--output",
                "csv=out2/evidence/plan.json",
            ],
            "audit.yaml",
        ),
        (
            "a seal",
            vec![
                "audit",
                "audit.yaml",
                "--out",
                "out2",
                "--output",
                "csv=out2/seal.json",
            ],
            "audit.yaml",
        ),
        (
            "two in one place",
            vec![
                "report",
                "out/report.json",
                "--output",
                "sarif=a",
                "--output",
                "csv=./a",
            ],
            "out/report.json",
        ),
        (
            "the report's own place",
            vec![
                "audit",
                "audit.yaml",
                "--out",
                "out2",
                "--output",
                "csv=out2/report.json",
            ],
            "audit.yaml",
        ),
    ] {
        let before = bytes(&bench, file);
        said.add(what, &bench.refuses(&args, 2));
        assert!(bytes(&bench, file) == before, "{what}: {file} was changed");
    }
    insta::assert_snapshot!(said.0.join("\n"));
}

#[test]
fn behind_a_link_is_a_file_and_a_pipe_stays_one() {
    let bench = audited();
    bench.write("elsewhere/results.sarif", "old");
    symlink(
        bench.path("elsewhere/results.sarif"),
        bench.path("link.sarif"),
    )
    .unwrap();
    let report = |output: &str| {
        candor(["report", "out/report.json", "--output", output])
            .current_dir(bench.path(""))
            .assert()
            .success();
    };
    report("sarif=link.sarif");
    assert!(
        fs::symlink_metadata(bench.path("link.sarif"))
            .unwrap()
            .is_symlink()
    );
    let whole = bytes(&bench, "elsewhere/results.sarif");
    assert!(whole.starts_with(b"{") && whole.len() > 1000);

    let made = std::process::Command::new("mkfifo")
        .arg(bench.path("pipe"))
        .status();
    assert!(made.unwrap().success());
    let pipe = bench.path("pipe");
    let reader = std::thread::spawn(move || {
        let mut read = Vec::new();
        fs::File::open(pipe)
            .unwrap()
            .read_to_end(&mut read)
            .unwrap();
        read
    });
    report("sarif=pipe");
    assert!(reader.join().unwrap() == whole);
    assert!(!fs::symlink_metadata(bench.path("pipe")).unwrap().is_file());
}

/// Where there is such a device: it takes nothing, as a full disk does.
#[test]
fn what_does_not_get_to_standard_output_is_a_failure() {
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: no /dev/full");
        return;
    }
    let bench = audited();
    let full = || Stdio::from(fs::File::options().write(true).open("/dev/full").unwrap());
    for args in [
        vec!["rules", "schema"],
        vec!["inspect", "model.onnx", "--format", "json"],
        vec!["report", "out/report.json", "--output", "sarif=-"],
    ] {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("candor"));
        let run = command
            .args(&args)
            .current_dir(bench.path(""))
            .stdout(full())
            .output()
            .unwrap();
        let said = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(1), "{args:?}: {said}");
        assert!(
            said.contains("writing to standard output"),
            "{args:?}: {said}"
        );
    }
}

#[test]
fn numbers_that_no_work_ends_on_are_refused() {
    let mut said = Said::default();
    let bench = Bench::new();
    // Arguments are refused by the parser, in its own words.
    let refused = |args: &[&str]| {
        let assert = candor(args).current_dir(bench.path("")).assert().code(2);
        String::from_utf8(assert.get_output().stderr.clone()).unwrap()
    };
    let most = u64::MAX.to_string();
    bench.write("pairs.jsonl", "{}\n");
    let pairs = ["model.onnx", "--pairs", "pairs.jsonl", "--out", "a"];
    for (what, more) in [
        ("patch", ["--controls", &most]),
        ("circuit", ["--random", &most]),
        ("circuit", ["--samples", "100001"]),
    ] {
        let args = [&[what][..], &pairs, &more].concat();
        said.add(what, &refused(&args));
    }
    for more in [
        ["--sample", "0"],
        ["--tolerance", "nan"],
        ["--tolerance", "2"],
    ] {
        let args = [&["verify", "out", "--rerun"][..], &more].concat();
        said.add("verify", &refused(&args));
    }
    let threads = ["inspect", "model.onnx", "--threads", "99999999"];
    said.add("threads", &refused(&threads));
    let tokenizer = [
        "audit",
        "audit.yaml",
        "--out",
        "out",
        "--tokenizer",
        "none.json",
    ];
    said.add("a tokenizer beside an AUDIT.yaml", &refused(&tokenizer));
    insta::assert_snapshot!(said.0.join("\n"));
}
