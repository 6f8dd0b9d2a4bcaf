//! `--sign KEY`

use std::path::Path;

use super::terminal;
use crate::fault::Result;
use crate::seal::Key;

/// The key, opened before any work. Says so where an attestation is asked for by name and there is none.
pub fn key(path: Option<&Path>, outputs: &[String]) -> Result<Option<Key>> {
    if path.is_none() && outputs.iter().any(|output| output.starts_with("intoto=")) {
        terminal::note(
            "warning: the in-toto attestation is not signed, and verifiers refuse it; `--sign KEY` signs it, `candor keygen` makes a key",
        );
    }
    path.map(Key::open).transpose()
}
