//! Weights outside the model's file: in several files, far into them, behind links. What runs is the same model.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};

use candor::instrument::{Plan, instrument};
use candor::model::onnx::{ModelProto, StringStringEntryProto};
use candor::model::{Architecture, Model, encode};
use candor::run::{Feed, Runtime, RuntimeOptions, Session};
use ndarray::{ArrayD, array};

const PAGE: u64 = 4096;

fn inside() -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/functions/decoder.onnx");
    Model::open(&path).unwrap()
}

/// Moves the weights into `files`, turn by turn, each at the next page after `start`; the files are written in `folder`.
fn outside(folder: &Path, files: &[&str], start: u64) -> ModelProto {
    let mut proto = inside().proto().clone();
    let made: Vec<File> = files
        .iter()
        .map(|name| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            File::create(path).unwrap()
        })
        .collect();
    let mut ends = vec![start; files.len()];
    let tensors = &mut proto.graph.as_mut().unwrap().initializer;
    for (at, tensor) in tensors.iter_mut().enumerate() {
        let raw = tensor.raw_data.take().unwrap();
        let file = at % files.len();
        made[file].write_all_at(&raw, ends[file]).unwrap();
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: Some(key.into()),
            value: Some(value),
        };
        tensor.data_location = Some(1);
        tensor.external_data = vec![
            entry("location", files[file].into()),
            entry("offset", ends[file].to_string()),
            entry("length", raw.len().to_string()),
        ];
        ends[file] += (raw.len() as u64).next_multiple_of(PAGE);
    }
    proto
}

fn logits(model: &Model) -> ArrayD<f32> {
    let arch = Architecture::find(model).unwrap();
    let plan = Plan {
        taps: arch.sites.iter().map(|site| site.name).collect(),
        ..Plan::default()
    };
    let made = instrument(model, &arch, &plan).unwrap();
    let runtime = Runtime::obtain(&RuntimeOptions::default(), &mut |_| {}).unwrap();
    let session = Session::open(&runtime, &made.bytes, &made.folder, &arch).unwrap();
    let feed = Feed::unpadded(array![[3, 14, 15, 9], [2, 6, 5, 3]]);
    session
        .run(&feed, &["logits"])
        .unwrap()
        .remove("logits")
        .unwrap()
}

fn same(model: &Model) {
    assert_eq!(logits(model), logits(&inside()));
    let [ours, theirs] = [model, &inside()].map(|model| model.weights_f32("head").unwrap());
    assert_eq!(ours, theirs);
}

fn names(model: &Model) -> Vec<String> {
    model.files().into_iter().map(|file| file.path).collect()
}

#[test]
fn several_files_in_folders_below() {
    let folder = tempfile::tempdir().unwrap();
    let proto = outside(
        folder.path(),
        &["b.data", "weights/a.data", "./weights/c.data"],
        0,
    );
    let path = folder.path().join("model.onnx");
    fs::write(&path, encode(&proto)).unwrap();
    let model = Model::open(&path).unwrap();
    let expected = ["model.onnx", "b.data", "weights/a.data", "weights/c.data"];
    assert_eq!(names(&model), expected);
    let digests = model.digests().unwrap();
    let lengths = digests.iter().map(|file| (file.path.clone(), file.bytes));
    let files = model
        .files()
        .into_iter()
        .map(|file| (file.path, file.bytes));
    assert!(lengths.eq(files));
    same(&model);
}

/// Past what 32 bits hold. The file is sparse: it takes no disk.
#[test]
fn weights_beyond_two_gigabytes() {
    let folder = tempfile::tempdir().unwrap();
    let proto = outside(folder.path(), &["large.data"], 5 << 30);
    let path = folder.path().join("model.onnx");
    fs::write(&path, encode(&proto)).unwrap();
    let model = Model::open(&path).unwrap();
    assert!(model.files()[1].bytes > 5 << 30);
    model.check_finite().unwrap();
    same(&model);
}

/// `models--x/snapshots/rev/…` are links into `models--x/blobs`, as the cache of Hugging Face has them.
fn cache(outer: &Path) -> (PathBuf, PathBuf) {
    let [blobs, snapshot] =
        ["models--x/blobs", "models--x/snapshots/rev/onnx"].map(|at| outer.join(at));
    fs::create_dir_all(&blobs).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    let proto = outside(&snapshot, &["model.onnx_data", "model.onnx_data_1"], 0);
    fs::write(snapshot.join("model.onnx"), encode(&proto)).unwrap();
    for (name, blob) in [
        ("model.onnx", "f00"),
        ("model.onnx_data", "b42"),
        ("model.onnx_data_1", "a17"),
    ] {
        fs::rename(snapshot.join(name), blobs.join(blob)).unwrap();
        symlink(Path::new("../../../blobs").join(blob), snapshot.join(name)).unwrap();
    }
    (blobs, snapshot)
}

#[test]
fn a_cache_of_links_is_read_where_it_really_lies() {
    let outer = tempfile::tempdir().unwrap();
    let (blobs, snapshot) = cache(outer.path());
    let model = Model::open(&snapshot.join("model.onnx")).unwrap();
    assert_eq!(model.folder(), blobs.canonicalize().unwrap());
    assert_eq!(
        names(&model),
        ["model.onnx", "model.onnx_data", "model.onnx_data_1"]
    );
    let digests = model.digests().unwrap();
    let blob = fs::read(blobs.join("b42")).unwrap();
    assert_eq!(digests[1].sha256, candor::digest::sha256_of(&blob));
    same(&model);
}

/// A link to a folder is no link of the model: what lies beside the model really lies beside it.
#[test]
fn a_linked_folder_is_a_folder() {
    let outer = tempfile::tempdir().unwrap();
    let real = outer.path().join("real");
    fs::create_dir(&real).unwrap();
    let proto = outside(&real, &["w.data"], 0);
    fs::write(real.join("model.onnx"), encode(&proto)).unwrap();
    symlink(&real, outer.path().join("link")).unwrap();
    same(&Model::open(&outer.path().join("link/model.onnx")).unwrap());
}

#[test]
fn links_that_lead_elsewhere_are_refused() {
    let outer = tempfile::tempdir().unwrap();
    let (blobs, snapshot) = cache(outer.path());
    fs::write(outer.path().join("secret"), vec![0_u8; 1 << 16]).unwrap();
    let real = outer.path().canonicalize().unwrap().display().to_string();
    let named = outer.path().display().to_string();
    let refused = |model: &Path| {
        let fault = Model::open(model).unwrap_err().to_string();
        fault.replace(&real, "OUTER").replace(&named, "OUTER")
    };
    // The data of a linked model leaves both folders.
    fs::remove_file(snapshot.join("model.onnx_data_1")).unwrap();
    symlink(
        outer.path().join("secret"),
        snapshot.join("model.onnx_data_1"),
    )
    .unwrap();
    let linked = refused(&snapshot.join("model.onnx"));
    // A model that is a file of its own has no other folder.
    let own = outer.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::copy(blobs.join("f00"), own.join("model.onnx")).unwrap();
    symlink(blobs.join("b42"), own.join("model.onnx_data")).unwrap();
    symlink(blobs.join("a17"), own.join("model.onnx_data_1")).unwrap();
    let alone = refused(&own.join("model.onnx"));
    insta::assert_snapshot!([linked, alone].join("\n\n"));
}
