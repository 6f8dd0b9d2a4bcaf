//! Writing a detector's folder, whole or not at all.

use std::fs;
use std::path::Path;

use super::binding;
use super::card::{self, DetectorKind};
use super::detector::{Detector, Loaded};
use super::tensors::{self, Named};
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
        self.write_files(&staged)?;
        self.write_card(&staged)?;
        for (name, bytes) in others {
            fs::write(staged.join(name), bytes).map_err(disk)?;
        }
        fs::rename(&staged, folder).map_err(disk)
    }

    /// Writes the card alone, beside weights that are there already: with their digests, and with what is known against the
    /// detector where its maker said nothing.
    ///
    /// # Errors
    /// Weights that cannot be read, or a disk that cannot be written.
    pub fn write_card(&self, folder: &Path) -> Result<()> {
        let mut card = self.card.clone();
        card.weights_sha256 = binding::on_disk(folder, &card.weights)?;
        if card.limits.is_empty() {
            card.limits = card.known_limits();
        }
        files::write_whole(&folder.join(card::FILE), card::write(&card)?.as_bytes())
    }

    fn write_files(&self, folder: &Path) -> Result<()> {
        let weights = &self.card.weights;
        match (&self.weights, self.card.kind) {
            (Loaded::Probe(probe), DetectorKind::Probe(_)) => {
                let weight = match probe.direction() {
                    Some(direction) => direction.into_dyn(),
                    None => probe.weight.view().into_dyn(),
                };
                tensors::write(
                    &folder.join(weights),
                    &[
                        Named::of("weight", weight),
                        Named::of("bias", probe.bias.view().into_dyn()),
                    ],
                )
            }
            (Loaded::Sae(sae), DetectorKind::Sae) => sae.write_files(folder, weights),
            _ => Err(Fault::failed(
                format!("writing the detector `{}`", self.card.id),
                format!("weights that are not of the kind `{}`", self.card.kind),
            )),
        }
    }
}
