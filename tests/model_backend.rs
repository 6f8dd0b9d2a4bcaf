//! Every model of a folder goes the way of `candor inspect`: each is described or refused with a reason, and none panics.
//!
//! `CANDOR_ONNX_BACKEND` names the folder; the models of the `onnx` package's own backend tests are written by
//! `tests/fixtures/backend/make.py`. Without it the test says so.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and this one counts"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candor::instrument::{Plan, instrument};
use candor::model::{Architecture, Model};

fn models(folder: &Path) -> Vec<PathBuf> {
    let mut open = vec![folder.to_path_buf()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "onnx") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What was found in words, for a count of those that are alike: without names, numbers and places.
fn class(text: &str) -> String {
    let head = text.split(';').next().unwrap_or_default();
    let mut plain = String::new();
    let mut quoted = false;
    for letter in head.chars() {
        match letter {
            '`' => {
                quoted = !quoted;
                plain.push('`');
            }
            _ if quoted => {}
            _ if letter.is_ascii_digit() => plain.push('0'),
            _ => plain.push(letter),
        }
    }
    let mut words: Vec<&str> = plain.split([':', ',']).collect();
    words.truncate(1);
    words.concat().chars().take(90).collect()
}

#[test]
fn every_backend_model_is_described_or_refused() {
    let Some(folder) = std::env::var_os("CANDOR_ONNX_BACKEND") else {
        println!("skipped: CANDOR_ONNX_BACKEND names no folder");
        return;
    };
    let verbose = std::env::var_os("CANDOR_ONNX_VERBOSE").is_some();
    let all = models(Path::new(&folder));
    assert!(!all.is_empty());
    let mut described = Vec::new();
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for path in &all {
        let seen = std::panic::catch_unwind(|| {
            let model = Model::open(path)?;
            let arch = Architecture::find(&model)?;
            let plan = Plan {
                taps: arch.sites.iter().map(|site| site.name).collect(),
                ..Plan::default()
            };
            instrument(&model, &arch, &plan)?;
            Ok::<_, candor::fault::Fault>(format!(
                "{} · {} layers · d_model {} · vocabulary {}",
                arch.family_hint, arch.n_layers, arch.d_model, arch.vocab_size
            ))
        });
        match seen {
            Ok(Ok(text)) => described.push(format!("{}: {text}", path.display())),
            Ok(Err(fault)) => {
                assert!(!fault.found.is_empty(), "{}", path.display());
                if verbose {
                    println!("{}\n{fault}\n", path.display());
                }
                *refused.entry(class(&fault.found)).or_default() += 1;
            }
            Err(panic) => {
                println!("{} panicked", path.display());
                std::panic::resume_unwind(panic);
            }
        }
    }
    for text in &described {
        println!("{text}");
    }
    for (class, count) in &refused {
        println!("{count:6}  {class}");
    }
    println!(
        "{} models: {} described, {} refused, none panicked",
        all.len(),
        described.len(),
        all.len() - described.len()
    );
}
