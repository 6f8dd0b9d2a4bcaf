//! What others say of the files of a pipeline: their schemas, and readers of shell and container files.

use std::fs;
use std::path::Path;

use crate::cli::root;
use crate::validators::python;

fn at(path: &str) -> String {
    root().join(path).display().to_string()
}

fn schema(name: &str, file: &str) -> Option<()> {
    let name = format!("vendor.{name}");
    let verdict = python("check-jsonschema", &["--builtin-schema", &name, file])?;
    assert!(verdict.is_ok(), "{file}: {}", verdict.unwrap_err());
    Some(())
}

#[test]
fn the_action_and_the_job_follow_their_schemas() {
    if schema("github-actions", &at("action.yml")).is_some() {
        schema("gitlab-ci", &at("ci/gitlab.yml")).unwrap();
        let hooks = python(
            "pre-commit",
            &["validate-manifest", &at(".pre-commit-hooks.yaml")],
        );
        hooks.unwrap().unwrap();
    }
}

#[test]
fn the_workflow_of_the_documentation_follows_its_schema() {
    let text = fs::read_to_string(root().join("docs/ci.md")).unwrap();
    let workflow = text
        .split("```yaml\n")
        .find(|block| block.starts_with("name: Audit"))
        .unwrap();
    let workflow = workflow.split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("workflow.yml");
    fs::write(&file, workflow).unwrap();
    schema("github-workflows", file.to_str().unwrap());
}

#[test]
fn a_wrong_action_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("action.yml");
    let text = fs::read_to_string(root().join("action.yml")).unwrap();
    fs::write(&file, text.replace("using: composite", "using: magic")).unwrap();
    let file = file.to_str().unwrap();
    if let Some(verdict) = python(
        "check-jsonschema",
        &["--builtin-schema", "vendor.github-actions", file],
    ) {
        assert!(verdict.is_err());
    }
}

#[test]
fn shellcheck_has_nothing_to_say() {
    let scripts = fs::read_dir(root().join("ci/github")).unwrap();
    let mut scripts: Vec<_> = scripts
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    scripts.push(at("tests/validators/install.sh"));
    scripts.push(at(".ci/run"));
    let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
    if let Some(verdict) = python("shellcheck", &scripts) {
        verdict.unwrap();
    }
}

#[test]
fn hadolint_has_nothing_to_say_and_what_is_copied_is_there() {
    let file = at("Containerfile");
    if let Some(verdict) = python("hadolint", &[&file]) {
        verdict.unwrap();
    }
    let text = fs::read_to_string(&file).unwrap();
    let copied = text.lines().filter_map(|line| line.strip_prefix("COPY "));
    for line in copied.filter(|line| !line.starts_with("--from")) {
        let mut paths: Vec<&str> = line.split(' ').collect();
        paths.pop();
        for path in paths {
            assert!(Path::new(&at(path)).exists(), "{path}");
        }
    }
}
