//! Writing files so that nothing half-written stays.

use std::io::Write as _;
use std::path::Path;

use crate::fault::{Fault, Result};

/// Writes `bytes` to a temporary file beside `path` and renames it into place.
///
/// # Errors
/// The folder is missing or not writable, or the disk is full.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let fault = |error: std::io::Error| {
        Fault::usage(format!("writing `{}`", path.display()), error.to_string())
            .expected("a writable folder with room enough")
            .hint("give another path with --out")
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fault)?;
    file.write_all(bytes).map_err(fault)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // Temporary files are private; what the user asked for follows the usual rights.
        file.as_file()
            .set_permissions(std::fs::Permissions::from_mode(0o644))
            .map_err(fault)?;
    }
    file.persist(path).map_err(|error| fault(error.error))?;
    Ok(())
}

/// Refuses, before any work, an output file whose folder cannot be written.
///
/// # Errors
/// The folder is missing or not writable, or the path is a folder.
pub fn writable(path: &Path) -> Result<()> {
    let doing = || format!("preparing to write `{}`", path.display());
    if path.is_dir() {
        return Err(Fault::usage(doing(), "a folder").expected("a file name"));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    tempfile::NamedTempFile::new_in(folder)
        .map(drop)
        .map_err(|error| {
            Fault::usage(doing(), error.to_string())
                .expected("a writable folder")
                .hint("create the folder, or give another path with --out")
        })
}
