//! What lies where an SAE is looked for, told by the files' content: weights, configs, and pickles that are left alone.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::Format;
use super::fields::Fields;
use crate::detect::tensors::{self, Content, Tensors};
use crate::fault::{Fault, Result};
use crate::model;

/// A config is a page of text; more is not one.
const LARGEST_CONFIG: usize = 4 << 20;
/// Files that are looked into.
const MOST_FILES: usize = 1024;
/// Names that a message lists.
const SHOWN: usize = 12;

/// The files of a folder, or one weights file with the configs beside it.
pub(in crate::detect) struct Listing {
    root: PathBuf,
    weights: Vec<Weights>,
    configs: Vec<Fields>,
    /// `config.yaml` and the like, as text.
    notes: Vec<(PathBuf, String)>,
    pickles: Vec<PathBuf>,
    /// What seems to be weights or a config and cannot be read.
    broken: Vec<Fault>,
    names: Vec<String>,
}

/// A file of tensors.
pub(super) struct Weights {
    pub(super) path: PathBuf,
    bytes: Bytes,
    /// Names and shapes.
    tensors: Vec<(String, Vec<usize>)>,
}

impl Weights {
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        let tensor = self.tensors.iter().find(|(own, _)| own == name);
        tensor.map(|(_, shape)| shape.as_slice())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|(name, _)| name.as_str())
    }

    /// Whether it is an archive of NumPy's.
    pub(super) fn is_npz(&self) -> bool {
        Content::of(&self.bytes) == Content::Npz
    }

    /// The tensors, none taken yet.
    pub(super) fn open(&self) -> Result<Tensors<'_>> {
        Tensors::of(&self.path, &self.bytes)
    }

    /// The sides of a matrix.
    pub(super) fn sides(&self, name: &str) -> Result<[usize; 2]> {
        let doing = || format!("reading the weights `{}`", self.path.display());
        match self.shape(name) {
            Some([rows, columns]) => Ok([*rows, *columns]),
            Some(other) => Err(
                Fault::usage(doing(), format!("`{name}` of shape {other:?}")).expected("a matrix"),
            ),
            None => Err(Fault::usage(doing(), format!("no tensor `{name}`")).expected("a matrix")),
        }
    }
}

impl Listing {
    /// Looks into a folder, and into its folders where none of its own files are weights; or at one file of weights and at
    /// the configs in its folder or, where that has none, in the one above.
    ///
    /// # Errors
    /// A path that does not exist or cannot be read, or more files than an SAE has.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let mut listing = Self {
            root: path.to_owned(),
            weights: Vec::new(),
            configs: Vec::new(),
            notes: Vec::new(),
            pickles: Vec::new(),
            broken: Vec::new(),
            names: Vec::new(),
        };
        let found = fs::metadata(path)
            .map_err(|error| Fault::usage(listing.doing(), error.to_string()).expected(EXPECTED))?;
        if found.is_file() {
            listing.look(path);
            let mut folder = path.parent();
            for _ in 0..2 {
                let Some(here) = folder.filter(|_| listing.configs.is_empty()) else {
                    break;
                };
                let here = if here == Path::new("") {
                    Path::new(".")
                } else {
                    here
                };
                for file in listing.entries(here)?.0 {
                    if is_config(&file) {
                        listing.look(&file);
                    }
                }
                folder = here.parent();
            }
            return Ok(listing);
        }
        let (files, folders) = listing.entries(path)?;
        for file in files {
            listing.look(&file);
        }
        if listing.weights.is_empty() && listing.pickles.is_empty() && listing.broken.is_empty() {
            for folder in folders {
                for file in listing.entries(&folder)?.0 {
                    listing.look(&file);
                }
            }
        }
        Ok(listing)
    }

    /// Files and folders in a folder, by name.
    fn entries(&self, folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
        let fault = |error: std::io::Error| {
            Fault::usage(self.doing(), error.to_string()).expected(EXPECTED)
        };
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(folder).map_err(fault)? {
            let path = entry.map_err(fault)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                files.push(path);
            }
            if files.len() + folders.len() + self.names.len() > MOST_FILES {
                return Err(
                    Fault::usage(self.doing(), format!("more than {MOST_FILES} files"))
                        .expected(EXPECTED),
                );
            }
        }
        files.sort();
        folders.sort();
        Ok((files, folders))
    }

    /// Takes a file in, as what its bytes say that it is.
    fn look(&mut self, path: &Path) {
        let name = path.strip_prefix(&self.root).ok();
        let name = name
            .filter(|name| *name != Path::new(""))
            .or(path.file_name().map(Path::new));
        self.names.push(name.unwrap_or(path).display().to_string());
        let extension = path.extension().and_then(|extension| extension.to_str());
        let bytes = match model::map(path, &self.doing()) {
            Ok(bytes) => bytes,
            Err(fault) => {
                self.broken.push(fault);
                return;
            }
        };
        let is_weights = matches!(extension, Some("safetensors" | "npz"));
        match Content::of(&bytes) {
            Content::Safetensors | Content::Npz => self.take_weights(path, bytes),
            // A zip archive that is damaged or holds something else.
            Content::Pickle if extension == Some("npz") && bytes.starts_with(b"PK") => {
                self.take_weights(path, bytes);
            }
            Content::Pickle => self.pickles.push(path.to_owned()),
            Content::Other if is_weights => match tensors::open(path) {
                Ok(bytes) => self.take_weights(path, bytes),
                Err(fault) => self.broken.push(fault),
            },
            Content::Other => {
                if bytes.len() <= LARGEST_CONFIG
                    && is_config(path)
                    && let Ok(text) = std::str::from_utf8(&bytes)
                {
                    if extension == Some("json") {
                        match Fields::parse(text, path) {
                            Ok(fields) => self.configs.push(fields),
                            Err(fault) => self.broken.push(fault),
                        }
                    } else {
                        self.notes.push((path.to_owned(), text.to_owned()));
                    }
                }
            }
        }
    }

    fn take_weights(&mut self, path: &Path, bytes: Bytes) {
        let tensors = Tensors::of(path, &bytes).map(|tensors| {
            let shapes = tensors.shapes();
            shapes
                .map(|(name, shape)| (name.to_owned(), shape.to_vec()))
                .collect()
        });
        match tensors {
            Ok(tensors) => self.weights.push(Weights {
                path: path.to_owned(),
                bytes,
                tensors,
            }),
            Err(fault) => self.broken.push(fault),
        }
    }

    pub(super) fn doing(&self) -> String {
        format!("opening the SAE `{}`", self.root.display())
    }

    /// The config with these fields; of several the one of that file name, otherwise the first.
    pub(super) fn config(&self, file: &str, fields: &[&str]) -> Option<&Fields> {
        let fits = |config: &&Fields| fields.iter().all(|field| config.has(field));
        let named = |config: &&Fields| config.path().file_name() == Some(file.as_ref());
        let mut fitting = self.configs.iter().filter(fits);
        let first = self.configs.iter().find(fits);
        fitting.find(named).or(first)
    }

    /// Texts of YAML files.
    pub(super) fn notes(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.notes
            .iter()
            .map(|(path, text)| (path.as_path(), text.as_str()))
    }

    /// Whether a file of weights is there for which that holds.
    pub(super) fn any(&self, holds: impl Fn(&Weights) -> bool) -> bool {
        self.weights.iter().any(holds)
    }

    /// The one file of weights with that tensor; of several the one of that file name.
    ///
    /// # Errors
    /// None, or several; a pickle instead, with the command of the format that converts it.
    pub(super) fn the_weights(
        &self,
        format: &Format,
        file: &str,
        tensor: &[&str],
    ) -> Result<&Weights> {
        let fits = |weights: &&Weights| tensor.iter().any(|name| weights.has(name));
        let fitting: Vec<&Weights> = self.weights.iter().filter(fits).collect();
        let named = |weights: &&&Weights| weights.path.file_name() == Some(file.as_ref());
        if let Some(weights) = fitting.iter().find(named) {
            return Ok(weights);
        }
        match fitting[..] {
            [one] => Ok(one),
            [] => Err(self.no_weights(format, tensor)),
            _ => {
                let paths = fitting.iter().map(|weights| weights.path.as_path());
                let paths: Vec<String> = paths.map(|path| self.shown(path)).collect();
                Err(Fault::usage(
                    self.doing(),
                    format!("{} files of weights: {}", paths.len(), list(&paths)),
                )
                .expected(format!("one, of the format `{}`", format.name))
                .hint("name the file itself"))
            }
        }
    }

    fn no_weights(&self, format: &Format, tensor: &[&str]) -> Fault {
        if let Some(broken) = self.broken.first() {
            return broken.clone();
        }
        if let Some(pickle) = self.pickles.first() {
            return tensors::pickle(pickle, format.conversion);
        }
        let names: Vec<String> = tensor.iter().map(|name| format!("`{name}`")).collect();
        Fault::usage(self.doing(), self.found()).expected(format!(
            "a safetensors file with {}, as the format `{}` has it",
            names.join(" or "),
            format.name
        ))
    }

    fn shown(&self, path: &Path) -> String {
        let within = path.strip_prefix(&self.root).unwrap_or(path);
        within.display().to_string()
    }

    /// Pickles, for their refusal.
    pub(super) fn pickles(&self) -> &[PathBuf] {
        &self.pickles
    }

    /// What could not be read.
    pub(super) fn broken(&self) -> Option<&Fault> {
        self.broken.first()
    }

    /// What is there, in a line for each file that says something.
    pub(super) fn found(&self) -> String {
        if self.names.is_empty() {
            return "an empty folder".to_owned();
        }
        let mut lines = vec![list(&self.names)];
        for weights in &self.weights {
            let tensors = weights.tensors.iter();
            let tensors: Vec<String> = tensors
                .map(|(name, shape)| format!("{name} {shape:?}"))
                .collect();
            lines.push(format!(
                "{} holds {}",
                self.shown(&weights.path),
                list(&tensors)
            ));
        }
        for config in &self.configs {
            let keys: Vec<String> = config.keys().map(str::to_owned).collect();
            lines.push(format!(
                "{} says {}",
                self.shown(config.path()),
                list(&keys)
            ));
        }
        lines.join("\n            ")
    }
}

/// What an SAE is opened from.
const EXPECTED: &str = "the folder of an SAE or transcoder, or its weights file";

fn is_config(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("json" | "yaml" | "yml"))
}

/// Some names and how many more.
fn list(names: &[String]) -> String {
    match names.split_at_checked(SHOWN) {
        Some((shown, rest)) if !rest.is_empty() => {
            format!("{} and {} more", shown.join(", "), rest.len())
        }
        _ => names.join(", "),
    }
}
