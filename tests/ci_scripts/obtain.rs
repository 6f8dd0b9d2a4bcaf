//! How the action comes by a binary.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};

use crate::cli::root;

fn script(name: &str, home: &Path, path: &str, key: &str) -> (Output, String) {
    let output = home.join("output");
    fs::write(&output, "").unwrap();
    let done = Command::new("bash")
        .arg(root().join("ci/github").join(name))
        .current_dir(home)
        .env("HOME", home)
        .env("PATH", path)
        .env("GITHUB_ACTION_PATH", root())
        .env("GITHUB_OUTPUT", &output)
        .env("RUNNER_OS", "Linux")
        .env("RUNNER_ARCH", "X64")
        .env("CANDOR_KEY", key)
        .output()
        .unwrap();
    (done, fs::read_to_string(output).unwrap())
}

fn here() -> String {
    std::env::var("PATH").unwrap()
}

#[test]
fn the_key_names_the_sources() {
    let home = tempfile::tempdir().unwrap();
    let (done, first) = script("key.sh", home.path(), &here(), "");
    assert!(done.status.success());
    assert!(first.starts_with("key=candor-Linux-X64-"), "{first}");
    let (_, again) = script("key.sh", home.path(), &here(), "");
    assert_eq!(first, again);
}

#[test]
fn candor_is_built_once_for_each_key() {
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("fake");
    fs::create_dir(&bin).unwrap();
    // A cargo that takes note and puts the binary where the real one would.
    let cargo = format!(
        "#!/bin/bash\necho \"$@\" >>\"$HOME/calls\"\nmkdir -p \"${{@: -1}}/bin\"\nln -s '{}' \"${{@: -1}}/bin/candor\"\n",
        env!("CARGO_BIN_EXE_candor")
    );
    fs::write(bin.join("cargo"), cargo).unwrap();
    fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), here());
    for key in ["one", "one", "two"] {
        let (done, output) = script("obtain.sh", home.path(), &path, key);
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let candor = output.trim().strip_prefix("candor=").unwrap();
        assert!(Path::new(candor).is_file());
    }
    let calls = fs::read_to_string(home.path().join("calls")).unwrap();
    let calls: Vec<_> = calls.lines().collect();
    assert_eq!(calls.len(), 2, "once for each key: {calls:?}");
    assert!(
        calls[0].starts_with("install --locked --path "),
        "{calls:?}"
    );
}

#[test]
fn without_rust_it_says_what_is_missing() {
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("bare");
    fs::create_dir(&bin).unwrap();
    let bash =
        String::from_utf8(Command::new("which").arg("bash").output().unwrap().stdout).unwrap();
    symlink(bash.trim(), bin.join("bash")).unwrap();
    let (done, output) = script("obtain.sh", home.path(), bin.to_str().unwrap(), "one");
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        said.contains("::error title=Candor::No Rust toolchain"),
        "{said}"
    );
    assert_eq!(output, "");
}
