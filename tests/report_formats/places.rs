//! Where a format goes: a file, standard output, or behind what is in the file of a pipeline's runner.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::assert::Assert;
use tempfile::TempDir;

use crate::cli::candor;
use crate::scenarios::{render, waived, write};

/// A stored report in a folder of its own.
fn stored() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    write(&waived(), "json", &path);
    (folder, path)
}

fn rendered(report: &Path, outputs: &[&str], summary: &Path) -> Assert {
    let mut command = candor(["report", report.to_str().unwrap()]);
    command.env("GITHUB_STEP_SUMMARY", summary);
    command.args(outputs.iter().map(|output| format!("--output={output}")));
    command.assert()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_dash_prints_the_format_and_nothing_else() {
    let (folder, report) = stored();
    let page = folder.path().join("page.html");
    let html = format!("html={}", page.display());
    let done = rendered(&report, &["csv=-", &html], Path::new("")).success();
    assert_eq!(text(&done.get_output().stdout), render(&waived(), "csv"));
    let notes = text(&done.get_output().stderr);
    assert!(notes.contains("page.html"), "{notes}");
}

#[test]
fn what_cannot_be_printed_is_refused() {
    let (_folder, report) = stored();
    let faults = [&["csv=-", "junit=-"][..], &["parquet=-"]].map(|outputs| {
        let done = rendered(&report, outputs, Path::new("")).code(2);
        text(&done.get_output().stderr)
    });
    insta::assert_snapshot!("printed_faults", faults.join("\n"));
}

#[test]
fn a_runner_s_summary_is_appended_to_and_other_files_are_replaced() {
    let (folder, report) = stored();
    let [summary, other] = ["step-summary", "other.md"].map(|name| folder.path().join(name));
    fs::write(&summary, "Built.\n").unwrap();
    fs::write(&other, "Old.\n").unwrap();
    let outputs = [&summary, &other].map(|path| format!("markdown={}", path.display()));
    let outputs = [outputs[0].as_str(), outputs[1].as_str()];
    rendered(&report, &outputs, &summary).success();
    let page = render(&waived(), "markdown");
    assert_eq!(
        fs::read_to_string(&summary).unwrap(),
        format!("Built.\n{page}")
    );
    assert_eq!(fs::read_to_string(&other).unwrap(), page);
}
