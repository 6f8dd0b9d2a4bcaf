//! SHA-256 of the model and of every file that it takes weights from: what exactly was audited.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

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
    let mut hash = Sha256::new();
    hash.update(bytes);
    FileDigest {
        path,
        sha256: hex(&hash.finalize()),
        bytes: bytes.len() as u64,
    }
}

/// Digest of a file that is read piece by piece.
pub(super) fn of_file(folder: &Path, path: String, doing: &str) -> Result<FileDigest> {
    let full = folder.join(&path);
    let failed =
        |error: std::io::Error| Fault::failed(doing, format!("`{}`: {error}", full.display()));
    let mut file = File::open(&full).map_err(failed)?;
    let mut piece = vec![0_u8; 1 << 20];
    let mut hash = Sha256::new();
    let mut bytes = 0_u64;
    loop {
        let read = file.read(&mut piece).map_err(failed)?;
        let Some(part) = piece.get(..read).filter(|part| !part.is_empty()) else {
            break;
        };
        hash.update(part);
        bytes += read as u64;
    }
    Ok(FileDigest {
        path,
        sha256: hex(&hash.finalize()),
        bytes,
    })
}

fn hex(digest: &[u8]) -> String {
    use std::fmt::Write;
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
