//! Where reports go: the registry of formats, and writing that leaves nothing half-written.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tempfile::NamedTempFile;

use crate::evidence::Evidence;
use crate::fault::{Fault, Result};

use super::{AuditReport, html, json, parquet};

/// What a format is made from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The findings.
    pub report: &'a AuditReport,
    /// The evidence of each model; empty where a stored report is rendered again.
    pub evidence: &'a [ModelEvidence<'a>],
}

/// The evidence of one model.
#[derive(Debug, Clone, Copy)]
pub struct ModelEvidence<'a> {
    /// The model's name.
    pub model: &'a str,
    /// SHA-256 of the plan that the evidence was made by, in lower-case hexadecimal.
    pub plan_digest: &'a str,
    /// What was measured.
    pub evidence: &'a Evidence,
}

/// A report format.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// Its name in `--output NAME=PATH`.
    pub name: &'static str,
    /// Its file or folder in the output folder, where no other was asked for.
    pub default_path: &'static str,
    stage: fn(&Source, &Path) -> Result<Vec<Staged>>,
}

/// Every format. A new one is a file of code beside this one and a line here.
#[rustfmt::skip]
pub const FORMATS: &[Format] = &[
    Format { name: "json", default_path: "report.json", stage: json::stage },
    Format { name: "html", default_path: "report.html", stage: html::stage },
    Format { name: "parquet", default_path: "evidence", stage: parquet::stage },
];

/// One `--output FORMAT=PATH`.
#[derive(Debug, Clone)]
pub struct Output {
    /// What to write.
    pub format: Format,
    /// The file, or the folder for a format of several files.
    pub path: PathBuf,
}

impl Output {
    /// Every format at its usual place in `folder`.
    #[must_use]
    pub fn all_in(folder: &Path) -> Vec<Self> {
        let in_folder = |format: &Format| Self {
            format: *format,
            path: folder.join(format.default_path),
        };
        FORMATS.iter().map(in_folder).collect()
    }
}

impl FromStr for Output {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |found: String| {
            let names: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
            Fault::usage("reading `--output`", found)
                .expected(format!("FORMAT=PATH with one of {}", names.join(", ")))
                .hint("for example `--output html=report.html`")
        };
        let (name, path) = text
            .split_once('=')
            .ok_or_else(|| wrong(format!("`{text}`")))?;
        let format = FORMATS
            .iter()
            .find(|format| format.name == name)
            .ok_or_else(|| wrong(format!("the format `{name}`")))?;
        if path.is_empty() {
            return Err(wrong(format!("`{text}`, without a path")));
        }
        Ok(Self {
            format: *format,
            path: path.into(),
        })
    }
}

/// A whole file under a temporary name beside its place.
#[derive(Debug)]
pub struct Staged {
    file: NamedTempFile,
    place: PathBuf,
}

impl Staged {
    /// Writes a file under a temporary name in the folder of `place`, which is created if need be.
    ///
    /// # Errors
    /// If the folder or the file cannot be written, or `write` fails.
    pub fn write(place: &Path, write: impl FnOnce(&mut fs::File) -> Result<()>) -> Result<Self> {
        let folder = folder_of(place);
        let failed = |error: &dyn std::fmt::Display| unwritable(place, error);
        fs::create_dir_all(folder).map_err(|e| failed(&e))?;
        let mut file = temporary(folder).map_err(|e| failed(&e))?;
        write(file.as_file_mut())?;
        file.as_file_mut().sync_all().map_err(|e| failed(&e))?;
        Ok(Self {
            file,
            place: place.to_owned(),
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

    fn put_in_place(self) -> Result<()> {
        self.file
            .persist(&self.place)
            .map(drop)
            .map_err(|error| unwritable(&self.place, &error.error))
    }
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
    let mut probe = temporary(folder).map_err(|e| refused(&e))?;
    probe.write_all(b"candor").map_err(|e| refused(&e))?;
    probe.close().map_err(|e| refused(&e))
}

/// Writes every output. All are written under temporary names first and renamed at the end, so that an
/// interruption or a full disk leaves whole old files or whole new ones.
///
/// # Errors
/// If a format cannot be made from `source` or a file cannot be written.
pub fn write_all(source: &Source, outputs: &[Output]) -> Result<()> {
    let mut staged = Vec::new();
    for output in outputs {
        staged.extend((output.format.stage)(source, &output.path)?);
    }
    staged.into_iter().try_for_each(Staged::put_in_place)
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

fn temporary(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".candor-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A report is for others to read; the user's umask still applies.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}
