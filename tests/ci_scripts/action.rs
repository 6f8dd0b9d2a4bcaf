//! `action.yml`, run step by step as a runner does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::cli::root;
use crate::validators;

type Texts = BTreeMap<String, String>;

/// What became of a run of the action.
struct Run {
    _temp: TempDir,
    out: PathBuf,
    /// Exit code of the first step that failed, or 0.
    code: i32,
    log: String,
    summary: String,
    /// Actions of others that were called, with what they were given.
    uses: Vec<(String, Texts)>,
    outputs: Texts,
}

/// Runs the action with `inputs` over its defaults.
fn run(inputs: &[(&str, &str)]) -> Run {
    let action: Value =
        serde_yaml::from_str(&fs::read_to_string(root().join("action.yml")).unwrap()).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("reports of a run");
    let summary = temp.path().join("summary.md");
    fs::write(&summary, "What an earlier command of the step has said.\n").unwrap();
    let mut values = Texts::new();
    for (name, input) in action["inputs"].as_object().unwrap() {
        let default = input["default"].as_str().unwrap_or_default();
        values.insert(format!("inputs.{name}"), default.to_owned());
    }
    values.insert("inputs.out".into(), out.display().to_string());
    for (name, value) in inputs {
        let known = values.insert(format!("inputs.{name}"), (*value).to_owned());
        assert!(known.is_some(), "no input `{name}`");
    }
    let mut run = Run {
        _temp: temp,
        out,
        code: 0,
        log: String::new(),
        summary: String::new(),
        uses: Vec::new(),
        outputs: Texts::new(),
    };
    for step in action["runs"]["steps"].as_array().unwrap() {
        if !goes(step, &values, run.code) {
            continue;
        }
        if let Some(uses) = step["uses"].as_str() {
            run.uses
                .push((uses.to_owned(), texts(&step["with"], &values)));
            continue;
        }
        let output = run.out.with_file_name("output");
        fs::write(&output, "").unwrap();
        let script = step["run"].as_str().unwrap();
        let done = Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
            .current_dir(root())
            .envs(texts(&step["env"], &values))
            .env("GITHUB_ACTION_PATH", root())
            .env("GITHUB_OUTPUT", &output)
            .env("GITHUB_STEP_SUMMARY", &summary)
            .env("RUNNER_OS", "Linux")
            .env("RUNNER_ARCH", "X64")
            .output()
            .unwrap();
        run.log += &String::from_utf8_lossy(&done.stdout);
        run.log += &String::from_utf8_lossy(&done.stderr);
        if run.code == 0 {
            run.code = done.status.code().unwrap();
        }
        for line in fs::read_to_string(&output).unwrap().lines() {
            let (name, value) = line.split_once('=').unwrap();
            let id = step["id"].as_str().unwrap();
            values.insert(format!("steps.{id}.outputs.{name}"), value.to_owned());
        }
    }
    for (name, output) in action["outputs"].as_object().unwrap() {
        let value = filled(output["value"].as_str().unwrap(), &values);
        run.outputs.insert(name.clone(), value);
    }
    run.summary = fs::read_to_string(&summary).unwrap();
    run
}

/// Whether a step is run: no earlier one failed, or its condition says so.
fn goes(step: &Value, values: &Texts, code: i32) -> bool {
    let Some(condition) = step["if"].as_str() else {
        return code == 0;
    };
    let condition = condition.trim_start_matches("${{").trim_end_matches("}}");
    condition.split("&&").all(|part| {
        let part = part.trim();
        if part == "!cancelled()" {
            return true;
        }
        let (name, wanted, equal) = match part.split_once(" == ") {
            Some((name, wanted)) => (name, wanted, true),
            None => part.split_once(" != ").map(|(n, w)| (n, w, false)).unwrap(),
        };
        let value = values.get(name).map_or("", String::as_str);
        (value == wanted.trim_matches('\'')) == equal
    })
}

fn texts(mapping: &Value, values: &Texts) -> Texts {
    let mapping = mapping.as_object().into_iter().flatten();
    mapping
        .map(|(name, value)| (name.clone(), filled(value.as_str().unwrap(), values)))
        .collect()
}

/// A text with its expressions replaced.
fn filled(text: &str, values: &Texts) -> String {
    let mut parts = text.split("${{");
    let mut filled = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap();
        filled += values.get(name.trim()).map_or("", String::as_str);
        filled += rest;
    }
    filled
}

const AUDIT: (&str, &str) = ("audit", "benchmarks/organisms/audit.yaml");
const BINARY: (&str, &str) = ("binary", env!("CARGO_BIN_EXE_candor"));

#[test]
fn a_closed_gate_fails_after_the_reports_are_in_their_places() {
    let run = run(&[AUDIT, BINARY, ("arguments", "--only\nliar\n")]);
    assert_eq!(run.code, 14, "{}", run.log);
    assert_eq!(run.outputs["exit-code"], "14");
    assert!(
        run.log.contains("::error file=rules/deception/"),
        "{}",
        run.log
    );
    assert!(
        run.summary.starts_with("What an earlier command"),
        "{}",
        run.summary
    );
    assert!(
        run.summary.contains("❌ **Exit code 14**"),
        "{}",
        run.summary
    );
    let names: Vec<&str> = run
        .uses
        .iter()
        .map(|(name, _)| name.split('@').next().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "actions/cache",
            "github/codeql-action/upload-sarif",
            "actions/upload-artifact"
        ]
    );
    let sarif = Path::new(&run.uses[1].1["sarif_file"]);
    if let Some(verdict) = validators::sarif(sarif) {
        verdict.unwrap();
    }
    let reports = Path::new(&run.uses[2].1["path"]);
    for file in ["report.json", "report.html", "junit.xml", "results.sarif"] {
        assert!(reports.join(file).is_file(), "{file}");
    }
}

#[test]
fn an_open_gate_succeeds_and_uploads_can_be_left_out() {
    let run = run(&[
        AUDIT,
        BINARY,
        ("arguments", "--only=clean"),
        ("upload-sarif", "false"),
        ("artifact", ""),
    ]);
    assert_eq!(run.code, 0, "{}", run.log);
    assert_eq!(run.outputs["exit-code"], "0");
    assert_eq!(run.uses.len(), 1, "the cache alone");
    assert!(
        run.summary.contains("✅ **Exit code 0**"),
        "{}",
        run.summary
    );
}

#[test]
fn an_audit_that_cannot_begin_uploads_nothing_and_fails_as_itself() {
    let run = run(&[("audit", "no/such.yaml"), BINARY]);
    assert_eq!(run.code, 2, "{}", run.log);
    assert_eq!(run.uses.len(), 1, "the cache alone");
    assert!(run.log.contains("no/such.yaml"), "{}", run.log);
}

#[test]
fn what_is_no_candor_is_said() {
    let run = run(&[AUDIT, ("binary", "no/such/candor")]);
    assert_eq!(run.code, 1, "{}", run.log);
    assert!(run.log.contains("::error title=Candor::"), "{}", run.log);
    assert_eq!(run.outputs["exit-code"], "", "there was no audit");
}

#[test]
fn no_shell_reads_the_inputs() {
    let temp = tempfile::tempdir().unwrap();
    let trap = temp.path().join("trap");
    let evil = format!("$(touch {0})`touch {0}`; touch {0} #", trap.display());
    let run = run(&[
        ("audit", &evil),
        BINARY,
        ("arguments", &evil),
        ("fail-on", &evil),
    ]);
    assert_eq!(run.code, 2, "{}", run.log);
    assert!(!trap.exists());
    assert!(run.out.is_dir());
}
