//! The work folder: captured activations, what they are of, and the checkpoint.

use std::fs;
use std::path::{Path, PathBuf};

use half::bf16;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::shards::{self, Position, Reader};
use super::texts::Text;
use crate::fault::{Fault, Result};
use crate::files;

const MANIFEST: &str = "activations.json";
const HELD_OUT: &str = "held-out.bf16";
const CHECKPOINT: &str = "checkpoint.safetensors";
const METRICS: &str = "metrics.jsonl";

/// What the activations of a work folder are of: equal for equal model, data and seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// SHA-256 of the model's files.
    pub model: Vec<String>,
    /// SHA-256 of the tokenizer.
    pub tokenizer: String,
    /// The site.
    pub site: String,
    /// What was read: SHA-256 of texts, or what the model wrote itself.
    pub data: String,
    /// Share of the texts that is held out.
    pub held_out: f64,
    /// Rows of a shard, about.
    pub shard_size: usize,
    /// The seed.
    pub seed: u64,
}

/// What was captured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// What it is of.
    pub identity: Identity,
    /// Width of a row.
    pub d_in: usize,
    /// Rows of each shard.
    pub shards: Vec<usize>,
    /// Rows held out.
    pub held_out: usize,
    /// Texts that were read, and how many of them are held out.
    pub texts: (usize, usize),
    /// Mean norm of the rows to learn from.
    pub mean_norm: f64,
    /// Texts held out to measure the loss with the reconstruction on.
    pub to_splice: Vec<Text>,
}

impl Manifest {
    /// Rows to learn from.
    pub fn rows(&self) -> usize {
        self.shards.iter().sum()
    }

    /// What rows are multiplied by, so that their norm is √d_in on average: SAELens's `expected_average_only_in`.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a scale in single precision"
    )]
    pub fn scale(&self) -> f32 {
        ((self.d_in as f64).sqrt() / self.mean_norm) as f32
    }
}

/// The folder that a training works in.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A folder that can be written.
    ///
    /// # Errors
    /// It cannot be created or written.
    pub fn open(path: &Path) -> Result<Self> {
        files::prepare(path).map_err(|fault| fault.hint("name another folder with --work"))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The activations that are there already, if they are of `identity`.
    ///
    /// # Errors
    /// They are of something else, or damaged.
    pub fn captured(&self, identity: &Identity) -> Result<Option<Manifest>> {
        let path = self.path.join(MANIFEST);
        let doing = || format!("reading the work folder `{}`", self.path.display());
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::usage(doing(), error.to_string())),
        };
        let manifest: Manifest = serde_json::from_str(&text).map_err(|error| {
            Fault::usage(doing(), format!("`{MANIFEST}`: {error}"))
                .expected("what `candor train sae` wrote")
                .hint("name another folder with --work, or remove this one")
        })?;
        if manifest.identity != *identity {
            return Err(Fault::usage(
                doing(),
                format!("activations of {}", differing(&manifest.identity, identity)),
            )
            .expected("activations of the same model, site, data and seed")
            .hint("name another folder with --work, or remove this one"));
        }
        let width = manifest.d_in * size_of::<bf16>();
        let all = manifest.shards.iter().enumerate();
        let all = all.map(|(shard, &rows)| (shards::shard_path(&self.path, shard), rows));
        for (path, rows) in all.chain([(self.path.join(HELD_OUT), manifest.held_out)]) {
            let found = fs::metadata(&path).map_or(0, |file| file.len());
            if found != (rows * width) as u64 {
                return Err(Fault::usage(
                    doing(),
                    format!("`{}` of {found} bytes", path.display()),
                )
                .expected(format!("{} bytes", rows * width))
                .hint("remove the work folder, so that activations are captured again"));
            }
        }
        Ok(Some(manifest))
    }

    /// Removes what an earlier capture has left unfinished.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn clear(&self) -> Result<()> {
        let failed = |error: std::io::Error| {
            Fault::failed(
                format!("clearing the work folder `{}`", self.path.display()),
                error.to_string(),
            )
        };
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "bf16")
            {
                fs::remove_file(path).map_err(failed)?;
            }
        }
        self.forget()
    }

    /// Removes the checkpoint.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn forget(&self) -> Result<()> {
        let path = self.path.join(CHECKPOINT);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Fault::failed(
                format!("removing `{}`", path.display()),
                error.to_string(),
            )),
            _ => Ok(()),
        }
    }

    /// Writes the rows held out, and what was captured last of all: without it a folder holds nothing.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn finish(&self, manifest: &Manifest, held_out: &[u8]) -> Result<()> {
        files::write_whole(&self.path.join(HELD_OUT), held_out)?;
        let text = serde_json::to_vec(manifest)
            .map_err(|error| Fault::failed("writing the work folder", error.to_string()))?;
        files::write_whole(&self.path.join(MANIFEST), &text)
    }

    /// Rows to learn from, scaled.
    pub fn reader(&self, manifest: &Manifest, position: Position) -> Reader {
        Reader::new(
            &self.path,
            manifest.shards.clone(),
            manifest.d_in,
            manifest.scale(),
            manifest.identity.seed,
            position,
        )
    }

    /// The rows held out, as they are.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn held_out(&self, manifest: &Manifest) -> Result<Array2<f32>> {
        let values = shards::read(&self.path.join(HELD_OUT), manifest.held_out, manifest.d_in)?;
        let values = values.iter().map(|value| value.to_f32()).collect();
        Array2::from_shape_vec((manifest.held_out, manifest.d_in), values)
            .map_err(|error| Fault::failed("reading the rows held out", error.to_string()))
    }

    /// The bytes of the checkpoint, and its path.
    ///
    /// # Errors
    /// There is none.
    pub fn checkpoint(&self) -> Result<(Vec<u8>, PathBuf)> {
        let path = self.path.join(CHECKPOINT);
        let bytes = fs::read(&path).map_err(|error| {
            Fault::usage(
                format!("resuming the training in `{}`", self.path.display()),
                error.to_string(),
            )
            .expected("a checkpoint of this training")
            .hint("leave out --resume to train from the beginning")
        })?;
        Ok((bytes, path))
    }

    /// Writes the checkpoint, whole.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn keep(&self, checkpoint: &[u8]) -> Result<()> {
        files::write_whole(&self.path.join(CHECKPOINT), checkpoint)
    }

    /// Writes the metrics so far.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn log(&self, lines: &str) -> Result<()> {
        files::write_whole(&self.path.join(METRICS), lines.as_bytes())
    }
}

/// In words, what is of another kind.
fn differing(found: &Identity, expected: &Identity) -> String {
    let mut parts = Vec::new();
    if found.model != expected.model {
        parts.push("another model".to_owned());
    }
    if found.tokenizer != expected.tokenizer {
        parts.push("another tokenizer".to_owned());
    }
    if found.site != expected.site {
        parts.push(format!("the site `{}`", found.site));
    }
    if found.data != expected.data {
        parts.push("other texts".to_owned());
    }
    if found.seed != expected.seed {
        parts.push(format!("the seed {}", found.seed));
    }
    if parts.is_empty() {
        parts.push(format!(
            "shards of {} rows with a share of {} held out",
            found.shard_size, found.held_out
        ));
    }
    parts.join(", ")
}
