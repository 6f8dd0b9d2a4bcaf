//! Read-only memory maps of model files, handed on as [`Bytes`] so that a decoded tensor is a view and not a copy.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use memmap2::Mmap;

use crate::fault::{Fault, Result};
use crate::files;

/// Maps a regular file. An empty file gives empty bytes.
///
/// # Errors
/// The path does not exist, is no regular file, or cannot be read or mapped.
pub(crate) fn map(path: &Path, doing: &str) -> Result<Bytes> {
    Ok(Mapped::open(path, doing)?.bytes)
}

/// A mapped file that can be mapped again.
#[derive(Debug, Clone)]
pub(super) struct Mapped {
    /// All of it.
    pub bytes: Bytes,
    file: Option<Arc<File>>,
}

impl Mapped {
    /// As [`map`].
    ///
    /// # Errors
    /// As [`map`].
    pub fn open(path: &Path, doing: &str) -> Result<Self> {
        files::protect(path);
        let file = open(path, doing)?;
        let bytes = match &file {
            Some(file) => {
                Bytes::from_owner(view(file).map_err(|error| unreadable(path, doing, &error))?)
            }
            None => Bytes::new(),
        };
        Ok(Self {
            bytes,
            file: file.map(Arc::new),
        })
    }

    /// A second map of the same file: what is read through it leaves the memory of the process when it is dropped.
    pub fn again(&self) -> Bytes {
        let again = self.file.as_deref().and_then(|file| view(file).ok());
        let again = again.map(Bytes::from_owner);
        again
            .filter(|again| again.len() == self.bytes.len())
            .unwrap_or_else(|| self.bytes.clone())
    }
}

fn unreadable(path: &Path, doing: &str, error: &std::io::Error) -> Fault {
    Fault::usage(doing, format!("`{}`: {error}", path.display()))
        .expected("a file that can be read")
}

/// A regular file; nothing if it is empty.
fn open(path: &Path, doing: &str) -> Result<Option<File>> {
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
                .hint("name the file itself, not the folder"),
        );
    }
    if found.len() == 0 {
        return Ok(None);
    }
    let file = File::open(path).map_err(|error| unreadable(path, doing, &error))?;
    Ok(Some(file))
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
