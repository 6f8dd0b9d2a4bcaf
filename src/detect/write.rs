//! Writing a detector's folder, whole or not at all.

use std::fs;
use std::path::Path;

use super::card::{self, DetectorKind};
use super::detector::{Detector, Loaded};
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
        for (name, bytes) in files {
            fs::write(staged.join(name), bytes).map_err(disk)?;
        }
        fs::rename(&staged, folder).map_err(disk)
    }

    /// Writes the card alone, beside weights that are there already.
    ///
    /// # Errors
    /// A disk that cannot be written.
    pub fn write_card(&self, folder: &Path) -> Result<()> {
        files::write_whole(
            &folder.join(card::FILE),
            card::write(&self.card)?.as_bytes(),
        )
    }

    fn files(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let card = (card::FILE.to_owned(), card::write(&self.card)?.into_bytes());
        let weights = self.card.weights.clone();
        match (&self.weights, self.card.kind) {
            (Loaded::Probe(probe), DetectorKind::Probe(_)) => {
                let shape = match probe.direction() {
                    Some(direction) => vec![direction.len()],
                    None => probe.weight.shape().to_vec(),
                };
                let bytes = tensors::to_bytes(&[
                    ("weight", shape, probe.weight.iter().copied().collect()),
                    ("bias", vec![probe.columns()], probe.bias.to_vec()),
                ])?;
                Ok(vec![card, (weights, bytes)])
            }
            (Loaded::Sae(sae), DetectorKind::Sae) => {
                let (config, bytes) = sae.to_files()?;
                Ok(vec![
                    card,
                    (sae::CONFIG_FILE.to_owned(), config),
                    (weights, bytes),
                ])
            }
            _ => Err(Fault::failed(
                format!("writing the detector `{}`", self.card.id),
                format!("weights that are not of the kind `{}`", self.card.kind),
            )),
        }
    }
}
