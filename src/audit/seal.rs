//! The seal of a finished audit: the digest of every file of it, signed if there is a key.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::digest::sha256_of_file;
use crate::fault::{Fault, Result};
use crate::files::write_whole;
use crate::seal::{Envelope, Key, PublicKey, verify};

/// The seal's file in the folder of an audit.
pub const SEAL: &str = "seal.json";
/// The folder of evidence.
pub const EVIDENCE: &str = crate::report::EVIDENCE;
/// The folder of what judged it.
pub const RECORD: &str = "record";
/// What is sealed first: the report that the rest renders.
pub const REPORT: &str = "report.json";

const SCHEMA: &str = "candor/seal/v1";
const PAYLOAD_TYPE: &str = "application/vnd.candor.seal+json";

/// What a seal says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    schema: String,
    /// The digest of the last line of the chain of evidence.
    pub head: String,
    /// Every file of the audit, in the order of their paths.
    pub files: Vec<Sealed>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// Relative to the folder of the audit, with `/`.
    pub path: String,
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// Seals the folder of an audit: its evidence, what judged it, and those `outputs` that lie in it.
///
/// # Errors
/// A file cannot be read, or the seal cannot be written.
pub fn seal(
    folder: &Path,
    evidence: &Archive,
    outputs: &[PathBuf],
    key: Option<&Key>,
) -> Result<()> {
    let mut paths = Vec::new();
    for part in [EVIDENCE, RECORD] {
        walk(&folder.join(part), &mut paths)?;
    }
    for output in outputs.iter().filter(|output| output.starts_with(folder)) {
        walk(output, &mut paths)?;
    }
    paths.retain(|path| !path.ends_with(Path::new(EVIDENCE).join("lock")));
    paths.sort();
    paths.dedup();
    let files = paths.iter().map(|path| {
        let (sha256, bytes) = digest(path)?;
        Ok(Sealed {
            path: relative(folder, path),
            sha256,
            bytes,
        })
    });
    let seal = Seal {
        schema: SCHEMA.to_owned(),
        head: evidence.chain().head().to_owned(),
        files: files.collect::<Result<_>>()?,
    };
    let payload = serde_json::to_vec(&seal)
        .map_err(|error| Fault::failed("writing the seal", error.to_string()))?;
    let envelope = match key {
        Some(key) => key.sign(PAYLOAD_TYPE, &payload),
        None => Envelope::unsigned(PAYLOAD_TYPE, &payload),
    };
    write_whole(&folder.join(SEAL), envelope.to_json()?.as_bytes())
}

/// Who has signed a seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// Nobody: whoever can change the files can change the seal as well.
    Nobody,
    /// Keys of these ids say so, and no public key was given to check that.
    Unchecked(Vec<String>),
    /// The key of this id, checked.
    By(String),
}

impl Seal {
    /// Reads the seal of a folder and checks its signature, if a key is given.
    ///
    /// # Errors
    /// There is none, it is not as Candor writes it, or it is not signed by that key.
    pub fn open(folder: &Path, key: Option<&PublicKey>) -> Result<(Self, Signed)> {
        let place = folder.join(SEAL);
        let doing = format!("reading the seal `{}`", place.display());
        let wrong = |found: String| {
            Fault::usage(&doing, found)
                .expected("the seal that `candor audit --out` wrote when it ended")
                .hint("an audit that was interrupted has none: end it with `--resume`")
        };
        let text = fs::read_to_string(&place).map_err(|error| wrong(error.to_string()))?;
        let envelope = Envelope::from_json(&text).map_err(|fault| wrong(fault.found))?;
        let canonical = envelope.to_json()?;
        let seal: Self =
            serde_json::from_slice(&envelope.payload).map_err(|error| wrong(error.to_string()))?;
        let written = serde_json::to_vec(&seal).unwrap_or_default();
        if canonical != text || written != envelope.payload || envelope.payload_type != PAYLOAD_TYPE
        {
            return Err(wrong("bytes that Candor would not write".to_owned()));
        }
        if seal.schema != SCHEMA {
            return Err(wrong(format!("the schema `{}`", seal.schema)));
        }
        let ids = envelope.signatures.iter().map(|one| one.key_id.clone());
        let signed = match key {
            Some(key) => {
                verify(&envelope, key).map_err(|fault| Fault {
                    doing: format!("checking the signature of `{}`", place.display()),
                    ..fault
                })?;
                Signed::By(key.id())
            }
            None if envelope.signatures.is_empty() => Signed::Nobody,
            None => Signed::Unchecked(ids.collect()),
        };
        Ok((seal, signed))
    }

    /// What of the folder is not as it was sealed, a line for each file.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn broken(&self, folder: &Path) -> Result<Vec<String>> {
        let mut broken = Vec::new();
        for sealed in &self.files {
            let found = match digest(&folder.join(&sealed.path)) {
                Ok((sha256, bytes)) if (&sha256, bytes) == (&sealed.sha256, sealed.bytes) => {
                    continue;
                }
                Ok((sha256, bytes)) => format!(
                    "{bytes} bytes with SHA-256 {sha256}; `{SEAL}` has {} with {}: the file or the seal was changed",
                    sealed.bytes, sealed.sha256
                ),
                Err(fault) => fault.found,
            };
            broken.push(format!("{}: {found}", sealed.path));
        }
        let mut there = Vec::new();
        for part in [EVIDENCE, RECORD] {
            walk(&folder.join(part), &mut there)?;
        }
        for path in there {
            let path = relative(folder, &path);
            let known = self.files.iter().any(|sealed| sealed.path == path);
            if !known && path != format!("{EVIDENCE}/lock") {
                broken.push(format!("{path}: a file that `{SEAL}` does not name"));
            }
        }
        Ok(broken)
    }
}

fn digest(path: &Path) -> Result<(String, u64)> {
    sha256_of_file(path)
        .map_err(|error| Fault::failed(format!("reading `{}`", path.display()), error.to_string()))
}

fn relative(folder: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(folder).unwrap_or(path);
    let parts: Vec<_> = inside
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}

/// A file, or every file in a folder.
fn walk(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.extend(path.exists().then(|| path.to_owned()));
        return Ok(());
    }
    let failed = |error: std::io::Error| {
        Fault::failed(
            format!("reading the folder `{}`", path.display()),
            error.to_string(),
        )
    };
    for entry in fs::read_dir(path).map_err(failed)? {
        walk(&entry.map_err(failed)?.path(), files)?;
    }
    Ok(())
}
