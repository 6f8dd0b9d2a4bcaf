//! Gives the crate `CANDOR_CODE`: SHA-256 over the sources of the rooms that decide what a verdict is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Rooms in which numbers and verdicts come about. What only shows them, or lies below all of them, is left out.
const DECIDING: [&str; 12] = [
    "archive",
    "audit",
    "causal",
    "detect",
    "evidence",
    "instrument",
    "lab",
    "model",
    "rules",
    "run",
    "stats",
    "tokens",
];

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    for room in DECIDING {
        println!("cargo::rerun-if-changed=src/{room}");
        walk(&Path::new("src").join(room), &mut files)?;
    }
    // By name, and without carriage returns: the same on every system.
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let bytes = fs::read(&file)?;
        let name = file.to_string_lossy().replace('\\', "/");
        digest.update(name.as_bytes());
        digest.update([0]);
        digest.update(
            bytes
                .into_iter()
                .filter(|byte| *byte != b'\r')
                .collect::<Vec<u8>>(),
        );
        digest.update([0]);
    }
    print!("cargo::rustc-env=CANDOR_CODE=");
    for byte in digest.finalize() {
        print!("{byte:02x}");
    }
    println!();
    Ok(())
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
