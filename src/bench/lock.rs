//! One benchmark writes a folder at a time: two would remove each other's unfinished work.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::fault::{Fault, Result};

const FILE: &str = "lock";

/// Held as long as the process that took it lives: the system lets go of it however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the folder `out`, which is there.
    ///
    /// # Errors
    /// Another process has it, or it cannot be written.
    pub fn take(out: &Path) -> Result<Self> {
        let doing = format!("writing the results into `{}`", out.display());
        let path = out.join(FILE);
        let open = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = open.map_err(|error| {
            Fault::usage(&doing, format!("`{}`: {error}", path.display()))
                .expected("a folder that can be written")
        })?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                Err(Fault::usage(&doing, "another benchmark is writing there")
                    .expected("one benchmark at a time in a folder")
                    .hint("wait for it, or name another `--out`"))
            }
            // A file system without locks is no reason not to measure.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { _file: file }),
        }
    }
}
