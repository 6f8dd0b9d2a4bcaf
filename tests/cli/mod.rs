//! The built `candor` binary, and the files that its tests work on.
#![allow(clippy::print_stderr, reason = "a test says what it skips")]

pub mod bench;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use ndarray::{ArrayD, IxDyn};
use ndarray_npy::NpzReader;
use serde_json::Value;

/// The binary, started in the root of the repository.
pub fn candor<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candor"));
    command.current_dir(root()).args(args);
    command
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of a bundled organism.
pub fn organism(name: &str) -> PathBuf {
    root().join("benchmarks/organisms").join(name)
}

/// The shared material, where it is present.
pub fn shared() -> Option<PathBuf> {
    let folder =
        std::env::var_os("CANDOR_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: ../shared is not here");
    None
}

pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The float32 tensors of a safetensors file.
pub fn floats(path: &Path) -> BTreeMap<String, ArrayD<f32>> {
    let bytes = fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    file.iter()
        .filter(|(_, tensor)| tensor.dtype() == safetensors::Dtype::F32)
        .map(|(name, tensor)| {
            let values = tensor
                .data()
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
                .collect();
            let shape = IxDyn(tensor.shape());
            (
                name.to_owned(),
                ArrayD::from_shape_vec(shape, values).unwrap(),
            )
        })
        .collect()
}

/// The int64 tensor of that name.
pub fn integers(path: &Path, name: &str) -> ArrayD<i64> {
    let bytes = fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor(name).unwrap();
    let values = tensor
        .data()
        .chunks_exact(8)
        .map(|eight| i64::from_le_bytes(eight.try_into().unwrap()))
        .collect();
    ArrayD::from_shape_vec(IxDyn(tensor.shape()), values).unwrap()
}

/// What `PyTorch` recorded: every float32 array of `reference.npz`, and the token ids.
pub fn reference(folder: &Path) -> (BTreeMap<String, ArrayD<f32>>, Vec<Vec<i64>>) {
    let mut file = NpzReader::new(File::open(folder.join("reference.npz")).unwrap()).unwrap();
    let ids: ndarray::Array2<i64> = file.by_name("input_ids").unwrap();
    let names = file.names().unwrap();
    let arrays = names
        .iter()
        .map(|name| name.trim_end_matches(".npy"))
        .filter_map(|name| Some((name.to_owned(), file.by_name(name).ok()?)))
        .collect();
    let ids = ids.outer_iter().map(|row| row.to_vec()).collect();
    (arrays, ids)
}

/// The largest absolute difference of two arrays of one shape.
pub fn difference(one: &ArrayD<f32>, other: &ArrayD<f32>) -> f32 {
    assert_eq!(one.shape(), other.shape());
    one.iter()
        .zip(other)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}
