//! Where detectors lie.

use std::path::{Path, PathBuf};

use crate::detect::card;
use crate::fault::{Fault, Result};

/// A folder with a card, or every folder with a card inside it, by name.
///
/// # Errors
/// A path cannot be read, or holds no detector.
pub fn detector_folders(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let is_detector = |path: &Path| path.join(card::FILE).is_file();
    let mut folders = Vec::new();
    for path in paths {
        if is_detector(path) {
            folders.push(path.clone());
            continue;
        }
        let doing = || format!("looking for detectors in `{}`", path.display());
        let entries = std::fs::read_dir(path).map_err(|error| {
            Fault::usage(doing(), error.to_string())
                .expected("a folder with a detector.yaml, or a folder of such folders")
        })?;
        let mut inside: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| is_detector(path))
            .collect();
        if inside.is_empty() {
            return Err(Fault::usage(doing(), "no detector.yaml")
                .expected("a folder with a detector.yaml, or a folder of such folders")
                .hint("`candor train probe` and `candor detectors find` write detectors"));
        }
        inside.sort();
        folders.extend(inside);
    }
    Ok(folders)
}
