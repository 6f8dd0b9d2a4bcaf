//! SHA-256, which binds a report to the files it speaks of.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// SHA-256 over the sources of the rooms that decide what a verdict is: what was measured of verdicts holds for this code alone.
pub const CODE: &str = env!("CANDOR_CODE");

/// SHA-256 of `bytes`, 64 lower-case hexadecimal digits.
#[must_use]
pub fn sha256_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The first half of the SHA-256 of `bytes`: no two texts share it, and it takes half of the room.
#[must_use]
pub fn short_of(bytes: &[u8]) -> [u8; 16] {
    let mut half = [0; 16];
    for (byte, of_all) in half.iter_mut().zip(Sha256::digest(bytes)) {
        *byte = of_all;
    }
    half
}

/// SHA-256 of bytes that come piece by piece.
#[derive(Debug, Clone, Default)]
pub struct Running(Sha256);

impl Running {
    /// Adds a piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces, 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// SHA-256 and length of a file that is read piece by piece.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_of_file(path: &Path) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let mut piece = vec![0_u8; 1 << 20];
    let mut hash = Sha256::new();
    let mut bytes = 0_u64;
    loop {
        let read = file.read(&mut piece)?;
        let Some(part) = piece.get(..read).filter(|part| !part.is_empty()) else {
            return Ok((hex(&hash.finalize()), bytes));
        };
        hash.update(part);
        bytes += read as u64;
    }
}

fn hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
