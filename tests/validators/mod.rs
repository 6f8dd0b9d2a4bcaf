//! The public validators that reports are held against: installed once, at pinned versions, and run.
//!
//! Where they cannot be installed (no network, no pip) tests print that they were skipped, unless `CANDOR_VALIDATORS=require`.
#![allow(clippy::print_stderr, reason = "a test says what it skips")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The folder that `install.sh` has filled.
pub fn validators() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER.get_or_init(install).as_deref()
}

fn install() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("validators");
    fs::create_dir_all(&folder).unwrap();
    // Test binaries may run side by side.
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/validators/install.sh");
    let output = Command::new("bash")
        .arg(script)
        .arg(&folder)
        .output()
        .unwrap();
    if output.status.success() {
        return Some(folder);
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    let required = std::env::var_os("CANDOR_VALIDATORS").is_some_and(|value| value == "require");
    assert!(!required, "the validators cannot be installed:\n{why}");
    eprintln!("skipped: the validators cannot be installed:\n{why}");
    None
}

/// Runs a program of the Python environment, such as `check-jsonschema`, and says what it complains about.
pub fn python(program: &str, args: &[&str]) -> Option<Result<(), String>> {
    let folder = validators()?;
    let mut command = Command::new(folder.join("venv/bin").join(program));
    Some(verdict(&command.args(args).output().unwrap()))
}

/// What a validator that exits with an error has said.
pub fn verdict(output: &Output) -> Result<(), String> {
    if output.status.success() {
        return Ok(());
    }
    let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
    Err(format!("{}\n{}", output.status, said.join("\n")))
}
