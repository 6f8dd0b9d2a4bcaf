//! Evidence on disk: it reads back as it was, goes on where it was torn, and no byte of it changes unseen.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::too_many_lines,
    dead_code,
    reason = "a test may stop, and what it makes up is small"
)]

#[path = "report/stored.rs"]
mod stored;
#[path = "report/synthetic.rs"]
mod synthetic;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use candor::archive::Archive;
use candor::evidence::{Dose, Evidence, Score};
use candor::fault::{Fault, Kind as FaultKind};
use proptest::prelude::*;
use stored::{fill, stored};
use synthetic::Kind::{Clean, Decoy, Liar, Mute};
use synthetic::evidence;

const PLAN: &[u8] = b"{}\n";

/// Everything that is stored of a model.
fn load(archive: &Archive, number: usize) -> candor::fault::Result<Evidence> {
    let mut evidence = archive.load(number)?;
    let all: BTreeSet<(String, String)> = evidence
        .responses
        .iter()
        .map(|one| (one.suite().to_owned(), one.item().to_owned()))
        .collect();
    archive.fill(number, &mut evidence, &all, &all)?;
    Ok(evidence)
}

#[test]
fn evidence_reads_back_as_it_was_whatever_model_lies_beside_it() {
    let mut odd = evidence(Decoy);
    let mut responses = odd.responses.to_vec();
    responses[0].text = "a \"quoted\"\nline, and a \u{1F980}".into();
    responses[1].answer = None;
    odd.responses = responses.into_iter().collect();
    odd.maps[0].pairs[3].dose = vec![Dose {
        share: 0.5,
        recovery: 0.25,
        random: -0.0,
    }];
    odd.maps[0].pairs[4].whole = vec![Some(1.0), None];
    odd.maps[1].pairs[0].recovery[[0, 0]] = f64::INFINITY;
    odd.maps[0].pairs[4].by_class[1] = [None, Some(-0.5), None];
    odd.ablations[0].costs[3].random = None;
    synthetic::again::ask_again(&mut odd);
    let kinds = [evidence(Liar), odd, evidence(Clean), evidence(Mute)];
    let named: Vec<(&str, &Evidence)> = ["a", "b", "c", "d"].into_iter().zip(&kinds).collect();
    let folder = tempfile::tempdir().unwrap();
    drop(stored(folder.path(), &named));
    let archive = Archive::open(folder.path()).unwrap();
    for (before, number) in kinds.iter().zip(1..) {
        let after = load(&archive, number).unwrap();
        assert_eq!(after.responses.to_vec(), before.responses.to_vec());
        let scores = |evidence: &'_ Evidence| {
            format!("{:?}", evidence.scores.iter().collect::<Vec<Score<'_>>>())
        };
        assert_eq!(scores(&after), scores(before));
        assert_eq!(after.tokens, before.tokens);
        assert_eq!(after.maps, before.maps);
        assert_eq!(after.ablations, before.ablations);
        assert_eq!(after.instrument_difference, before.instrument_difference);
        assert_eq!(after.unmeasured, before.unmeasured);
        assert_eq!(after.repeats, before.repeats);
    }
}

#[test]
fn the_same_evidence_gives_the_same_bytes() {
    let heads: Vec<String> = (0..2)
        .map(|_| {
            let folder = tempfile::tempdir().unwrap();
            let archive = stored(folder.path(), &[("liar", &evidence(Liar))]);
            archive.chain().head().to_owned()
        })
        .collect();
    assert_eq!(heads[0], heads[1]);
}

/// What a message says, without the folder.
fn said(fault: &candor::fault::Fault, folder: &Path) -> String {
    fault
        .to_string()
        .replace(&folder.display().to_string(), "FOLDER")
}

#[test]
fn a_folder_is_written_by_one_audit_only() {
    let folder = tempfile::tempdir().unwrap();
    let held = stored(folder.path(), &[("liar", &evidence(Liar))]);
    let while_running = Archive::resume(folder.path(), PLAN).unwrap_err();
    drop(held);
    let again = Archive::begin(folder.path(), PLAN).unwrap_err();
    let other = Archive::resume(folder.path(), b"{\"seed\": 1}\n").unwrap_err();
    assert!(
        [&while_running, &again, &other]
            .iter()
            .all(|fault| fault.kind == FaultKind::Usage)
    );
    let said = [while_running, again, other].map(|fault| said(&fault, folder.path()));
    insta::assert_snapshot!("archive_taken", said.join("\n\n"));
    load(&Archive::open(folder.path()).unwrap(), 1).unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if !path.ends_with("lock") {
            all.push(path);
        }
    }
    all.sort();
    all
}

#[test]
fn an_interrupted_folder_is_gone_on_with_from_wherever_it_was_torn() {
    let liar = evidence(Liar);
    let whole = tempfile::tempdir().unwrap();
    let head = stored(whole.path(), &[("liar", &liar)])
        .chain()
        .head()
        .to_owned();
    let chain = fs::read(whole.path().join("chain.jsonl")).unwrap();
    // Torn within a line, at its end, and before its end; a part of a line is dropped, and so is the file it spoke of.
    for cut in [
        0,
        1,
        200,
        201,
        chain.len() / 2,
        chain.len() - 1,
        chain.len(),
    ] {
        let folder = tempfile::tempdir().unwrap();
        drop(stored(folder.path(), &[("liar", &liar)]));
        fs::write(folder.path().join("chain.jsonl"), &chain[..cut]).unwrap();
        fs::write(folder.path().join("model-1/.candor-half"), "half").unwrap();
        let mut archive = Archive::resume(folder.path(), PLAN).unwrap();
        fill(&mut archive, 1, "liar", &liar);
        assert_eq!(archive.chain().head(), head, "cut at {cut}");
        assert_eq!(files(folder.path()).len(), files(whole.path()).len());
    }
}

#[test]
fn a_folder_that_vanishes_is_told_and_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("evidence");
    let mut archive = stored(&place, &[("liar", &evidence(Liar))]);
    fs::remove_dir_all(&place).unwrap();
    let mut shelf = archive.shelf(2, "other");
    let fault = shelf.put_difference(0.0).unwrap_err();
    insta::assert_snapshot!("archive_vanished", said(&fault, folder.path()));
    assert!(!place.exists());
}

#[test]
fn what_is_somebody_elses_is_let_be() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes.txt");
    fs::write(&notes, "mine").unwrap();
    let begun = Archive::begin(folder.path(), PLAN).unwrap();
    let fault = begun.given_up(Fault::failed("asking", "nothing"));
    assert_eq!(fault.hint, "");
    assert_eq!(files(folder.path()), std::slice::from_ref(&notes));
    drop(stored(folder.path(), &[("liar", &evidence(Liar))]));
    let fault = Archive::resume(folder.path(), PLAN)
        .unwrap()
        .given_up(Fault::failed("asking", "nothing"));
    assert!(fault.hint.contains("--resume"), "{}", fault.hint);
    assert_eq!(fs::read_to_string(notes).unwrap(), "mine");
}

#[test]
fn evidence_that_was_changed_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    drop(stored(folder.path(), &[("liar", &evidence(Liar))]));
    let part = folder
        .path()
        .join("model-1/suite-1/responses-00000.parquet");
    let mut bytes = fs::read(&part).unwrap();
    bytes[100] ^= 1;
    fs::write(&part, &bytes).unwrap();
    let fault = Archive::resume(folder.path(), PLAN).unwrap_err();
    assert!(
        fault.to_string().contains("responses-00000.parquet"),
        "{fault}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_flipped_bit_anywhere_is_found(file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        static STORED: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
            let folder = tempfile::tempdir().unwrap();
            drop(stored(folder.path(), &[("liar", &evidence(Liar))]));
            folder
        });
        let all = files(STORED.path());
        let path = &all[file.index(all.len())];
        let whole = fs::read(path).unwrap();
        let mut bytes = whole.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(path, &bytes).unwrap();
        let read = Archive::open(STORED.path()).and_then(|archive| load(&archive, 1));
        fs::write(path, &whole).unwrap();
        prop_assert!(read.is_err(), "{} at {at}", path.display());
    }
}
