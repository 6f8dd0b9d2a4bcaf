//! The public validators that reports are held against: installed once, at pinned versions, and run.
//!
//! Where they cannot be installed (no network, no pip) tests print that they were skipped, unless `CANDOR_VALIDATORS=require`.
#![allow(clippy::print_stderr, reason = "a test says what it skips")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

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

/// Runs a script of this folder and reads what it prints as JSON.
pub fn script(name: &str, args: &[&str]) -> Option<Result<Value, String>> {
    let folder = validators()?;
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/validators");
    let mut command = Command::new(folder.join("venv/bin/python"));
    command.arg(scripts.join(name)).args(args);
    let output = command.output().unwrap();
    Some(verdict(&output).map(|()| serde_json::from_slice(&output.stdout).unwrap()))
}

/// Holds a SARIF file against its schema, the rules of the specification and those of GitHub's code scanning.
pub fn sarif(file: &Path) -> Option<Result<(), String>> {
    let system = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        "linux"
    };
    let packages = validators()?.join("node_modules/@microsoft");
    let package = packages.join(format!("sarif-multitool-{system}"));
    let schema = package.join("sarif-2.1.0.json");
    let (file, schema) = (file.to_str().unwrap(), schema.to_str().unwrap());
    if let Err(why) = python("check-jsonschema", &["--schemafile", schema, file])? {
        return Some(Err(why));
    }
    let output = Command::new(package.join("Sarif.Multitool"))
        .args([
            "validate",
            file,
            "--rule-kind",
            "Sarif;Gh",
            "--rich-return-code",
        ])
        // It needs no data of languages.
        .env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")
        .output()
        .unwrap();
    if let Err(why) = verdict(&output) {
        return Some(Err(why));
    }
    // It ends with 0 whatever it found. SARIF2005 asks for an address of the tool's documentation, and there is none.
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complains = |line: &&str| {
        (line.contains(": error ") || line.contains(": warning ")) && !line.contains("SARIF2005")
    };
    let complaints: Vec<&str> = said.lines().filter(complains).collect();
    let finished = said.contains("Analysis completed successfully.");
    if complaints.is_empty() && finished {
        return Some(Ok(()));
    }
    Some(Err(if finished {
        complaints.join("\n")
    } else {
        said
    }))
}
