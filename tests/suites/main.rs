//! Suites from the files of public data sets.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod bad;
mod command;
mod maps;
#[path = "../opened/mod.rs"]
mod opened;
mod properties;
mod public;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use candor::fault::{Fault, Result};
use candor::tokens::{Item, Suite};
use tempfile::TempDir;

/// A suite in a folder of its own, of one file and what its source says.
fn suite_of(file: &str, bytes: impl AsRef<[u8]>, source: &str) -> Result<Suite> {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, &[(file, bytes.as_ref())], &[(file, source)])
}

/// A suite of several files, each with what its source says.
fn write(folder: &TempDir, files: &[(&str, &[u8])], sources: &[(&str, &str)]) -> Result<Suite> {
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let mut yaml = String::from("schema: candor/suite/v1\nid: s\npurpose: calibration\nsources:\n");
    for (file, source) in sources {
        writeln!(yaml, "  - {{file: {file}, {source}}}").unwrap();
    }
    fs::write(folder.path().join("suite.yaml"), yaml).unwrap();
    opened::open(folder.path())
}

/// What an item gives the model to read.
fn prompts(suite: &Suite) -> Vec<String> {
    let prompt = |item: &Item| item.prompt.to_string();
    suite.items.iter().map(prompt).collect()
}

/// Items with another group than the one before begin a new list.
fn grouped(suite: &Suite) -> Vec<Vec<&str>> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for item in &suite.items {
        match groups.iter_mut().find(|(name, _)| *name == item.group) {
            Some((_, members)) => members.push(&item.id),
            None => groups.push((&item.group, vec![&item.id])),
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

/// A message without the folder that it names.
fn told(fault: &Fault, folder: &Path) -> String {
    fault
        .to_string()
        .replace(folder.to_str().unwrap(), "FOLDER")
}
