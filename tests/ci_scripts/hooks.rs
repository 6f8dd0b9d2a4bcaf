//! The hooks of `.pre-commit-hooks.yaml`, each on the files of this repository that it is for.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::cli::{candor, root};

fn files(folder: &str, wanted: fn(&str) -> bool) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if wanted(path.file_name().unwrap().to_str().unwrap()) {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn each_hook_takes_the_files_that_it_is_for() {
    let text = fs::read_to_string(root().join(".pre-commit-hooks.yaml")).unwrap();
    let hooks: Value = serde_yaml::from_str(&text).unwrap();
    let broken = tempfile::tempdir().unwrap();
    let broken = broken.path().join("suite.yaml");
    fs::write(&broken, "schema: nothing\n").unwrap();
    for hook in hooks.as_array().unwrap() {
        let files = match hook["id"].as_str().unwrap() {
            "candor-rules-check" => files("rules", |name| !name.contains("schema")),
            "candor-suites-check" => {
                files("benchmarks/organisms/suites", |name| name == "suite.yaml")
            }
            other => panic!("no test of {other}"),
        };
        assert!(files.len() >= 4, "{files:?}");
        let mut entry = hook["entry"].as_str().unwrap().split(' ');
        assert_eq!(entry.next(), Some("candor"));
        let command: Vec<&str> = entry.collect();
        candor(&command).args(&files).assert().success();
        candor(&command).args(&files).arg(&broken).assert().code(2);
    }
}
