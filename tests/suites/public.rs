//! The public data sets as they are, where they are present, counted by Python's own readers.
#![allow(clippy::print_stderr, reason = "a test says what it skips")]

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use candor::digest::sha256_of;
use candor::tokens::{Item, Suite};
use serde::Deserialize;

const SUITES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benchmarks/suites");

/// What `tests/fixtures/suites/make.py` counts.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Counted {
    rows: usize,
    items: usize,
    one: usize,
    zero: usize,
    texts: usize,
    longest: usize,
    sha256: String,
}

type Reference = BTreeMap<String, BTreeMap<String, Counted>>;

fn data() -> Option<PathBuf> {
    let shared = std::env::var_os("CANDOR_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let data = shared.join("data");
    if data.is_dir() {
        return Some(data);
    }
    eprintln!("skipped: ../shared is not here");
    None
}

/// A suite of the repository, reading from `data`.
fn open(name: &str, data: &Path) -> Suite {
    let text = fs::read_to_string(Path::new(SUITES).join(name).join("suite.yaml")).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("root: "))
        .unwrap();
    let root = serde_json::to_string(data.to_str().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("suite.yaml"),
        text.replace(line, &format!("root: {root}")),
    )
    .unwrap();
    Suite::open(folder.path()).unwrap()
}

#[test]
fn every_data_set_is_read_as_python_reads_it() {
    let Some(data) = data() else { return };
    let reference: Reference =
        serde_json::from_str(include_str!("../fixtures/suites/reference.json")).unwrap();
    let mut files = HashSet::new();
    for (name, expected) in &reference {
        let suite = open(name, &data);
        let sources = suite.sources.iter().map(|source| {
            let dataset = source.dataset.as_str();
            let items = suite
                .items
                .iter()
                .filter(|item| item.dataset.as_deref() == Some(dataset));
            let items: Vec<&Item> = items.collect();
            assert_eq!(source.left_out(), 0, "{dataset}");
            (
                dataset.to_owned(),
                Counted {
                    rows: source.rows,
                    items: source.items,
                    one: source.labels.one,
                    zero: source.labels.zero,
                    texts: items
                        .iter()
                        .map(|item| (item.prompt.to_string(), &item.response))
                        .collect::<HashSet<_>>()
                        .len(),
                    longest: source.longest.as_ref().unwrap().characters,
                    sha256: digest(&items),
                },
            )
        });
        assert_eq!(&sources.collect::<BTreeMap<_, _>>(), expected, "{name}");
        files.extend(suite.sources.iter().map(|source| source.file.clone()));
    }
    let tables = fs::read_dir(&data)
        .unwrap()
        .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    let tables = tables.map(|file| file.unwrap().path());
    let tables = tables.filter(|file| {
        file.extension()
            .is_some_and(|end| end == "csv" || end == "jsonl")
    });
    let missing: Vec<PathBuf> = tables.filter(|file| !files.contains(file)).collect();
    assert!(missing.is_empty(), "no suite reads {missing:?}");
    let suites = fs::read_dir(SUITES).unwrap().count();
    assert_eq!(suites, reference.len(), "a reference for each suite");
}

fn digest(items: &[&Item]) -> String {
    let lines = items.iter().map(|item| {
        let response = item.response.as_deref().unwrap_or_default();
        let label = item
            .label
            .map_or_else(|| "-".to_owned(), |label| label.to_string());
        format!("{}\0{response}\0{label}\n", item.prompt)
    });
    sha256_of(lines.collect::<String>().as_bytes())
}

#[test]
fn statements_and_their_negations_stay_together() {
    let Some(data) = data() else { return };
    let suite = open("true-false", &data);
    let group = |id: &str| suite.item(id).unwrap().group.as_str();
    for (one, other) in [
        ("cities-1", "neg_cities-2"),
        ("facts-7", "neg_facts-7"),
        ("animal_class-3", "neg_animal_class-3"),
        ("sp_en_trans-1", "neg_sp_en_trans-1"),
        ("neg_companies-1", "neg_companies-2"),
    ] {
        assert_eq!(group(one), group(other));
    }
    assert_ne!(group("cities-1"), group("cities-3"));
    // 546 rows of the file of negations are statements of the other file as they are.
    let shared = suite
        .sources
        .iter()
        .find(|source| source.dataset == "neg_companies")
        .unwrap();
    assert_eq!(shared.repeated.across, 546);
    let mut group_of = BTreeMap::new();
    for item in &suite.items {
        let group = group_of
            .entry(item.prompt.to_string())
            .or_insert(&item.group);
        assert_eq!(*group, &item.group, "{}", item.id);
    }
}
