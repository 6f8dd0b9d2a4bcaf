//! Writing a detector's folder, whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::binding;
use super::card::{self, Card, DetectorKind};
use super::detector::{Detector, FileDigest, Loaded};
use super::sae;
use super::tensors;
use crate::fault::{Fault, Result};
use crate::files;

impl Detector {
    /// Writes card and weights to `folder`, which must not be there yet: into a temporary folder beside it first, then
    /// renamed, so that no half-written detector is ever seen.
    ///
    /// # Errors
    /// A folder that is there already, weights that are not of the card's kind, or a disk that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        self.write_with(folder, Vec::new())
    }

    /// The same with other files, given by name and bytes, beside card and weights.
    ///
    /// # Errors
    /// As for [`Detector::write`].
    pub fn write_with(&self, folder: &Path, others: Vec<(String, Vec<u8>)>) -> Result<()> {
        let doing = || format!("writing the detector `{}`", folder.display());
        let disk = |error: std::io::Error| Fault::failed(doing(), error.to_string());
        if folder.exists() {
            return Err(Fault::usage(doing(), "something is there already")
                .expected("a folder that does not exist yet")
                .hint("remove it first, or choose another name"));
        }
        let files = self.files()?;
        let parent = match folder.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(disk)?;
        let scratch = tempfile::Builder::new()
            .prefix(".candor-detector-")
            .tempdir_in(parent)
            .map_err(disk)?;
        // A folder within: the temporary one is private to its owner, the detector need not be.
        let staged = scratch.path().join("detector");
        fs::create_dir(&staged).map_err(disk)?;
        for (name, bytes) in files.into_iter().chain(others) {
            fs::write(staged.join(name), bytes).map_err(disk)?;
        }
        fs::rename(&staged, folder).map_err(disk)
    }

    /// Writes the card alone, beside weights that are there already; their digests go onto it.
    ///
    /// # Errors
    /// Weights that cannot be read, or a disk that cannot be written.
    pub fn write_card(&self, folder: &Path) -> Result<()> {
        let card = self.sealed(binding::on_disk(self, folder)?);
        files::write_whole(&folder.join(card::FILE), card::write(&card)?.as_bytes())
    }

    /// The card with the digests of its weights, and with what is known against it where its maker said nothing.
    fn sealed(&self, weights_sha256: BTreeMap<String, String>) -> Card {
        let mut card = self.card.clone();
        card.weights_sha256 = weights_sha256;
        if card.limits.is_empty() {
            card.limits = card.known_limits();
        }
        card
    }

    fn files(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let weights = self.card.weights.clone();
        let mut files = match (&self.weights, self.card.kind) {
            (Loaded::Probe(probe), DetectorKind::Probe(_)) => {
                let shape = match probe.direction() {
                    Some(direction) => vec![direction.len()],
                    None => probe.weight.shape().to_vec(),
                };
                let bytes = tensors::to_bytes(&[
                    ("weight", shape, probe.weight.iter().copied().collect()),
                    ("bias", vec![probe.columns()], probe.bias.to_vec()),
                ])?;
                vec![(weights, bytes)]
            }
            (Loaded::Sae(sae), DetectorKind::Sae) => {
                let (config, bytes) = sae.to_files()?;
                vec![(sae::CONFIG_FILE.to_owned(), config), (weights, bytes)]
            }
            _ => {
                return Err(Fault::failed(
                    format!("writing the detector `{}`", self.card.id),
                    format!("weights that are not of the kind `{}`", self.card.kind),
                ));
            }
        };
        let digests = files.iter().map(|(name, bytes)| {
            let digest = FileDigest::of(name, bytes);
            (digest.file, digest.sha256)
        });
        let card = card::write(&self.sealed(digests.collect()))?;
        files.push((card::FILE.to_owned(), card.into_bytes()));
        Ok(files)
    }
}
