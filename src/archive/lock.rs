//! One audit writes a folder at a time.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::fault::{Fault, Result};

/// Held as long as the process that took it lives: the system lets go of it however that ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub fn take(path: &Path, doing: &str) -> Result<Self> {
        let open = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path);
        let file = open.map_err(|error| {
            Fault::usage(doing, format!("`{}`: {error}", path.display()))
                .expected("a folder that can be written")
        })?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                Err(Fault::usage(doing, "another audit is writing there")
                    .expected("one audit at a time in a folder")
                    .hint("wait for it, or name another `--out`"))
            }
            // A file system without locks: the chain's length still tells a second writer.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { _file: file }),
        }
    }
}
