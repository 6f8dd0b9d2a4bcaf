//! Graphs made from a model leave the weights in its file, whatever leads to that file. What runs is the same model.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use candor::instrument::{Cut, Cutter, Instrumented, Plan, instrument};
use candor::model::{Architecture, Model, encode};
use candor::run::{Feed, Runtime, RuntimeOptions, Session};
use ndarray::{ArrayD, array};

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks/organisms/liar/model.onnx")
}

/// Every site is tapped.
fn made(model: &Model, arch: &Architecture) -> Instrumented {
    let taps = arch.sites.iter().map(|site| site.name).collect();
    let plan = Plan {
        taps,
        ..Plan::default()
    };
    instrument(model, arch, &plan).unwrap()
}

fn logits(bytes: &[u8], folder: &Path, arch: &Architecture) -> ArrayD<f32> {
    let runtime = Runtime::obtain(&RuntimeOptions::default(), &mut |_| {}).unwrap();
    let session = Session::open(&runtime, bytes, folder, arch).unwrap();
    let feed = Feed::unpadded(array![[3, 14, 15, 9], [2, 6, 5, 3]]);
    let mut outputs = session.run(&feed, &[&arch.logits]).unwrap();
    outputs.remove(&arch.logits).unwrap()
}

/// The graph is small, and says what the file says.
fn is_lean(model: &Model) {
    let arch = Architecture::find(model).unwrap();
    let made = made(model, &arch);
    let file = fs::metadata(file()).unwrap().len();
    assert!(
        (made.bytes.len() as u64) < file / 2,
        "{} of {file} bytes",
        made.bytes.len()
    );
    let whole = logits(&encode(model.proto()), model.folder(), &arch);
    assert_eq!(logits(&made.bytes, &made.folder, &arch), whole);
}

#[test]
fn weights_stay_in_the_file() {
    is_lean(&Model::open(&file()).unwrap());
}

#[test]
fn a_link_leads_to_the_file_itself() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("model.onnx");
    symlink(file(), &link).unwrap();
    is_lean(&Model::open(&link).unwrap());
}

#[test]
fn a_piece_of_a_model_is_as_lean() {
    let model = Model::open(&file()).unwrap();
    let arch = Architecture::find(&model).unwrap();
    let piece = Cutter::new(&model, &arch)
        .and_then(|cutter| cutter.piece(&[], &[Cut::Stream(0)]))
        .unwrap();
    let embedding = arch.vocab_size * arch.d_model * size_of::<f32>();
    assert!(
        piece.bytes.len() < embedding,
        "{} of {embedding} bytes",
        piece.bytes.len()
    );
}

#[test]
fn bytes_that_are_in_no_file_carry_their_weights() {
    let bytes = Bytes::from(fs::read(file()).unwrap());
    let model = Model::from_bytes(bytes, &file()).unwrap();
    let arch = Architecture::find(&model).unwrap();
    let made = made(&model, &arch);
    assert!(made.bytes.len() as u64 > fs::metadata(file()).unwrap().len() / 2);
    // Nothing beside them is needed.
    let elsewhere = tempfile::tempdir().unwrap();
    logits(&made.bytes, elsewhere.path(), &arch);
}

#[test]
fn a_file_that_has_changed_is_not_referred_to() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("model.onnx");
    fs::copy(file(), &copy).unwrap();
    let model = Model::open(&copy).unwrap();
    let arch = Architecture::find(&model).unwrap();
    let before = made(&model, &arch);
    // Another file under the same name; the map is still that of the old one.
    fs::rename(&copy, folder.path().join("old.onnx")).unwrap();
    fs::write(&copy, "something else").unwrap();
    let after = made(&model, &arch);
    assert!(after.bytes.len() > 2 * before.bytes.len());
    let old = logits(&encode(model.proto()), folder.path(), &arch);
    assert_eq!(logits(&after.bytes, &after.folder, &arch), old);
}

#[test]
fn digests_and_weights_are_read_as_before() {
    let model = Model::open(&file()).unwrap();
    model.check_finite().unwrap();
    let listed = fs::read_to_string(file().parent().unwrap().with_file_name("SHA256SUMS")).unwrap();
    let digests = model.digests().unwrap();
    assert!(listed.contains(&digests[0].sha256));
}
