//! The job of `ci/gitlab.yml`, run by the shell of an image.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::cli::root;

fn job() -> Value {
    let text = fs::read_to_string(root().join("ci/gitlab.yml")).unwrap();
    let file: Value = serde_yaml::from_str(&text).unwrap();
    file[".candor"].clone()
}

/// Runs the job on one of the bundled models; returns its exit code.
fn run(only: &str, out: &Path) -> i32 {
    let job = job();
    let bin = tempfile::tempdir().unwrap();
    // The job has no variable for every argument of Candor; the wrapper chooses a model.
    let wrapper = format!(
        "#!/bin/sh\nexec '{}' \"$@\" --only {only}\n",
        env!("CARGO_BIN_EXE_candor")
    );
    let candor = bin.path().join("candor");
    fs::write(&candor, wrapper).unwrap();
    fs::set_permissions(&candor, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        bin.path().display(),
        std::env::var("PATH").unwrap()
    );
    let mut command = Command::new("sh");
    for (name, value) in job["variables"].as_object().unwrap() {
        command.env(name, value.as_str().unwrap());
    }
    let script: Vec<_> = job["script"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    let done = command
        .args(["-e", "-c", &script.join("\n")])
        .current_dir(root())
        .env("PATH", path)
        .env("CANDOR_AUDIT", "benchmarks/organisms/audit.yaml")
        .env("CANDOR_OUT", out)
        .output()
        .unwrap();
    done.status.code().unwrap()
}

#[test]
fn the_job_ends_as_the_audit_and_leaves_its_reports() {
    for (only, code) in [("liar", 14), ("clean", 0)] {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("candor report");
        assert_eq!(run(only, &out), code, "{only}");
        let junit = job()["artifacts"]["reports"]["junit"]
            .as_str()
            .unwrap()
            .replace("$CANDOR_OUT", out.to_str().unwrap());
        assert!(Path::new(&junit).is_file(), "{only}");
        for file in ["report.json", "report.html", "summary.md", "results.sarif"] {
            assert!(out.join(file).is_file(), "{only}: {file}");
        }
    }
}
