//! Writing files so that nothing half-written stays.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::NamedTempFile;

use crate::fault::{Fault, Result};

/// Files that this process works from: nothing is written over them.
static INPUTS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// From now on nothing is written over this file: it is read as an input.
pub fn protect(path: &Path) {
    if let Ok(path) = path.canonicalize() {
        let mut inputs = INPUTS.lock().unwrap_or_else(PoisonError::into_inner);
        inputs.insert(path);
    }
}

fn refuse_input(place: &Path) -> Result<()> {
    let inputs = INPUTS.lock().unwrap_or_else(PoisonError::into_inner);
    match place.canonicalize() {
        Ok(path) if inputs.contains(&path) => Err(Fault::usage(
            format!("writing `{}`", place.display()),
            "a file that this command reads",
        )
        .expected("a place of its own for what is written")),
        _ => Ok(()),
    }
}

/// A whole file under a temporary name beside its place.
///
/// Behind a symbolic link it is beside what the link names. A place that is no file (a pipe, a device) is written into at the end.
#[derive(Debug)]
pub struct Staged {
    file: NamedTempFile,
    place: PathBuf,
    is_file: bool,
}

impl Staged {
    /// Writes a file under a temporary name in the folder of `place`, which is created if need be.
    ///
    /// # Errors
    /// If the folder or the file cannot be written, or `write` fails.
    pub fn write(place: &Path, write: impl FnOnce(&mut fs::File) -> Result<()>) -> Result<Self> {
        Self::with_mode(place, SHARED, write)
    }

    fn with_mode(
        place: &Path,
        mode: u32,
        write: impl FnOnce(&mut fs::File) -> Result<()>,
    ) -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| unwritable(place, error);
        refuse_input(place)?;
        let place = place.canonicalize().unwrap_or_else(|_| place.to_owned());
        let is_file = fs::metadata(&place).map_or(true, |there| there.is_file() || there.is_dir());
        let beside = std::env::temp_dir();
        let folder = if is_file { folder_of(&place) } else { &beside };
        fs::create_dir_all(folder).map_err(|e| failed(&e))?;
        let mut file = temporary(folder, mode).map_err(|e| failed(&e))?;
        write(file.as_file_mut())?;
        file.as_file_mut().sync_all().map_err(|e| failed(&e))?;
        Ok(Self {
            file,
            place,
            is_file,
        })
    }

    /// The same for bytes that are there already.
    ///
    /// # Errors
    /// If the folder or the file cannot be written.
    pub fn bytes(place: &Path, bytes: &[u8]) -> Result<Self> {
        Self::write(place, |file| {
            file.write_all(bytes)
                .map_err(|error| unwritable(place, &error))
        })
    }

    /// The same for bytes that only the owner may read.
    ///
    /// # Errors
    /// If the folder or the file cannot be written.
    pub fn secret(place: &Path, bytes: &[u8]) -> Result<Self> {
        Self::with_mode(place, SECRET, |file| {
            file.write_all(bytes)
                .map_err(|error| unwritable(place, &error))
        })
    }

    /// Gives the file its name, unless there is a file of that name.
    ///
    /// # Errors
    /// If there is one, or the file cannot be renamed.
    pub fn put_in_free_place(self) -> Result<()> {
        self.file
            .persist_noclobber(&self.place)
            .map(drop)
            .map_err(|error| unwritable(&self.place, &error.error))
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// If the file cannot be renamed.
    pub fn put_in_place(mut self) -> Result<()> {
        if !self.is_file {
            return self.pour().map_err(|error| unwritable(&self.place, &error));
        }
        self.file
            .persist(&self.place)
            .map(drop)
            .map_err(|error| unwritable(&self.place, &error.error))
    }
}

impl Staged {
    /// Writes it into what is there.
    fn pour(&mut self) -> std::io::Result<()> {
        let mut place = fs::File::options().write(true).open(&self.place)?;
        let file = self.file.as_file_mut();
        file.rewind()?;
        std::io::copy(file, &mut place)?;
        place.flush()
    }
}

/// Writes `bytes` to a temporary file beside `path` and renames it into place.
///
/// # Errors
/// The folder cannot be created or written, or the disk is full.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    Staged::bytes(path, bytes)?.put_in_place()
}

/// Writes `bytes` behind what is in the file at `path`, or takes back what was written.
///
/// # Errors
/// The file cannot be opened or written, or the disk is full.
pub fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| unwritable(path, &error);
    let open = fs::File::options().append(true).create(true).open(path);
    let mut file = open.map_err(failed)?;
    let before = file.metadata().map_err(failed)?.len();
    file.write_all(bytes).map_err(|error| {
        let _ = file.set_len(before);
        failed(error)
    })
}

/// Makes sure, before any work, that `folder` is there and can be written.
///
/// # Errors
/// If it cannot be created or a file in it cannot be written.
pub fn prepare(folder: &Path) -> Result<()> {
    let refused = |error: &dyn std::fmt::Display| {
        Fault::usage(
            format!("preparing the output folder `{}`", folder.display()),
            error.to_string(),
        )
        .expected("a folder that can be created and written")
        .hint("name another folder with `--out`, or change its permissions")
    };
    fs::create_dir_all(folder).map_err(|e| refused(&e))?;
    let mut probe = temporary(folder, SHARED).map_err(|e| refused(&e))?;
    probe.write_all(b"candor").map_err(|e| refused(&e))?;
    probe.close().map_err(|e| refused(&e))
}

/// Makes sure, before any work, that a file can be written at `path`.
///
/// # Errors
/// If `path` is a folder, or the folder that it lies in cannot be created or written.
pub fn writable(path: &Path) -> Result<()> {
    if path.is_dir() {
        let doing = format!("preparing to write `{}`", path.display());
        return Err(Fault::usage(doing, "a folder").expected("a file name"));
    }
    refuse_input(path)?;
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&place) {
        // A pipe or a device: nothing is created beside it.
        Ok(there) if !there.is_file() => Ok(()),
        _ => prepare(folder_of(&place)),
    }
}

fn folder_of(place: &Path) -> &Path {
    match place.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn unwritable(place: &Path, error: &dyn std::fmt::Display) -> Fault {
    Fault::failed(format!("writing `{}`", place.display()), error.to_string())
        .expected("a place that can be written and has room")
        .hint("nothing was left half-written; free space or name another place")
}

/// A report is for others to read; the user's umask still applies.
const SHARED: u32 = 0o666;
const SECRET: u32 = 0o600;

fn temporary(folder: &Path, mode: u32) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".candor-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = mode;
    builder.tempfile_in(folder)
}
