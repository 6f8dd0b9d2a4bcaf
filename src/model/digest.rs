//! SHA-256 of the model and of every file that it takes weights from: what exactly was audited.

use std::path::Path;

use crate::digest::{sha256_of, sha256_of_file};
use crate::fault::{Fault, Result};

/// One file of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDigest {
    /// Relative to the model's folder.
    pub path: String,
    /// SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// Digest of bytes at hand.
pub(super) fn of_bytes(path: String, bytes: &[u8]) -> FileDigest {
    FileDigest {
        path,
        sha256: sha256_of(bytes),
        bytes: bytes.len() as u64,
    }
}

/// Digest of a file that is read piece by piece.
pub(super) fn of_file(place: &Path, path: String, doing: &str) -> Result<FileDigest> {
    let (sha256, bytes) = sha256_of_file(place)
        .map_err(|error| Fault::failed(doing, format!("`{}`: {error}", place.display())))?;
    Ok(FileDigest {
        path,
        sha256,
        bytes,
    })
}
