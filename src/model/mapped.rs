//! Read-only memory maps of model files, handed on as [`Bytes`] so that a decoded tensor is a view and not a copy.

use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;

use crate::fault::{Fault, Result};

/// Maps a regular file. An empty file gives empty bytes.
///
/// # Errors
/// The path does not exist, is no regular file, or cannot be read or mapped.
pub(super) fn map(path: &Path, doing: &str) -> Result<Bytes> {
    let found = std::fs::metadata(path).map_err(|error| {
        Fault::usage(doing, format!("`{}`: {error}", path.display()))
            .expected("a file that can be read")
            .hint("check the path and its permissions")
    })?;
    if !found.is_file() {
        let what = if found.is_dir() {
            "a folder"
        } else {
            "no regular file"
        };
        return Err(
            Fault::usage(doing, format!("`{}` is {what}", path.display()))
                .expected("a file")
                .hint("name the file itself, such as `model.onnx` within the folder"),
        );
    }
    if found.len() == 0 {
        return Ok(Bytes::new());
    }
    let unreadable = |error: std::io::Error| {
        Fault::usage(doing, format!("`{}`: {error}", path.display()))
            .expected("a file that can be read")
    };
    let file = File::open(path).map_err(unreadable)?;
    Ok(Bytes::from_owner(view(&file).map_err(unreadable)?))
}

#[allow(
    unsafe_code,
    reason = "a map of a file that another process shortens is unsound; an audited model is an artifact at rest, the map \
              is read-only and private, and copying tens of gigabytes of weights instead would break the memory bound"
)]
fn view(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: see the reason above; nobody writes through this map and the file is not to change during an audit.
    unsafe { Mmap::map(file) }
}
