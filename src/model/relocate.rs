//! External data of a model that is written to another place: named anew where it lies below the new folder, or copied.

use std::path::{Component, Path, PathBuf};

use super::external::DataFile;
use super::file::Model;
use super::messages;
use super::onnx::ModelProto;
use super::tensor;
use crate::fault::{Fault, Result};

/// A data file and where a copy of it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataCopy {
    /// Where it lies, without links.
    pub from: PathBuf,
    /// Where the copy belongs.
    pub to: PathBuf,
    /// Bytes.
    pub bytes: u64,
}

impl Model {
    /// Lets the external tensors of `proto`, which was made from [`Model::proto`], name their files relative to `folder`, which
    /// exists.
    ///
    /// # Errors
    /// Usage: a file lies outside `folder`, where readers refuse to look for it.
    pub fn relocate(&self, proto: &mut ModelProto, folder: &Path) -> Result<()> {
        let doing = format!("writing a model to `{}`", folder.display());
        let root = folder
            .canonicalize()
            .map_err(|error| Fault::usage(&doing, error.to_string()))?;
        for tensor in messages::tensors_mut(proto) {
            if !tensor::is_external(tensor) {
                continue;
            }
            for entry in &mut tensor.external_data {
                if entry.key() != "location" {
                    continue;
                }
                // The model was opened with these very names.
                let Some(file) = self.file_named(entry.value()) else {
                    continue;
                };
                let inside = file.place.strip_prefix(&root).ok().and_then(Path::to_str);
                let inside = inside.ok_or_else(|| {
                    Fault::usage(&doing, format!("weights in `{}`, outside that folder", file.place.display()))
                        .expected("weights below the new file's folder: readers of ONNX follow no other path")
                        .hint("write the file beside the model, or let its weights be copied with --copy-weights")
                })?;
                entry.value = Some(inside.replace('\\', "/"));
            }
        }
        Ok(())
    }

    /// Where the files of its external data really lie.
    pub fn data_places(&self) -> impl Iterator<Item = &Path> {
        self.files.values().map(|file| file.place.as_path())
    }

    /// The data files that a model in `folder` needs copies of, if its tensors name them as [`Model::proto`] does; those that lie
    /// there already are left out.
    #[must_use]
    pub fn copies(&self, folder: &Path) -> Vec<DataCopy> {
        let copies = self.files.iter().map(|(name, file)| DataCopy {
            from: file.place.clone(),
            to: folder.join(name),
            bytes: file.len as u64,
        });
        copies
            .filter(|copy| copy.to.canonicalize().ok().as_ref() != Some(&copy.from))
            .collect()
    }

    fn file_named(&self, location: &str) -> Option<&DataFile> {
        let normal = |name: &str| -> PathBuf {
            let parts = Path::new(name).components();
            parts.fold(PathBuf::new(), |mut path, part| {
                match part {
                    Component::Normal(part) => path.push(part),
                    Component::ParentDir => {
                        path.pop();
                    }
                    _ => {}
                }
                path
            })
        };
        let wanted = normal(location);
        let mut files = self.files.iter();
        let found = files.find(|(name, _)| normal(name) == wanted);
        found.map(|(_, file)| file)
    }
}
