//! An opened model: the decoded messages over a memory map, and the checked files of its external data.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bytes::Bytes;
use ndarray::{ArrayD, IxDyn};
use prost::Message;

use super::digest::{self, FileDigest};
use super::encoder::Encoder;
use super::external::{self, DataFile, Files, Roots};
use super::mapped::Mapped;
use super::onnx::{GraphProto, ModelProto, TensorProto};
use super::wire::{self, Flaw};
use super::{finite, inline, mapped, messages, sound, tensor, trim};
use crate::fault::{Fault, Result};

static EMPTY: LazyLock<GraphProto> = LazyLock::new(GraphProto::default);

/// An ONNX model whose references were checked. Weights stay in the memory map until they are asked for.
pub struct Model {
    path: PathBuf,
    folder: PathBuf,
    source: Bytes,
    proto: ModelProto,
    pub(super) files: Files,
    encoder: Encoder,
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFile {
    /// Relative to the model's folder, as the model names it.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// Encodes a model as the bytes of an `.onnx` file.
#[must_use]
pub fn encode(proto: &ModelProto) -> Vec<u8> {
    proto.encode_to_vec()
}

impl Model {
    /// Opens an `.onnx` file: maps it, decodes it, and checks every reference to external data.
    ///
    /// # Errors
    /// The path is missing, a folder or unreadable; the file is empty, truncated, not ONNX, or has no graph or nodes;
    /// an external tensor leaves the model's folder, is missing, or reaches past the end of its file; functions cannot be put
    /// in place; or the file would take far more memory than its length.
    pub fn open(path: &Path) -> Result<Self> {
        let source = Mapped::open(path, &opening(path))?;
        let mut model = Self::from_bytes(source.bytes.clone(), path)?;
        let folder = (!model.files.is_empty()).then_some(model.folder.as_path());
        model.encoder = Encoder::new(path, &source, folder);
        Ok(model)
    }

    /// The same for the bytes of an `.onnx` file; `path` says where they are from, and so where external data lies.
    ///
    /// # Errors
    /// Those of [`Model::open`] but for reading the file.
    pub fn from_bytes(source: Bytes, path: &Path) -> Result<Self> {
        let doing = opening(path);
        let refused = |found: String| {
            Fault::usage(&doing, found)
                .expected("an ONNX model: a ModelProto message with a graph")
                .hint("export the model again, and compare the file's size with the original's")
        };
        if source.is_empty() {
            return Err(refused("the file is empty".into()));
        }
        let damaged = |what: &dyn fmt::Display| {
            refused(format!(
                "{} bytes that are truncated or not ONNX ({what})",
                source.len()
            ))
        };
        wire::check(&source).map_err(|flaw| match flaw {
            Flaw::Damaged(what) => damaged(&what),
            Flaw::Deep => Fault::usage(
                &doing,
                format!(
                    "messages that lie more than {} deep in one another",
                    wire::DEEPEST
                ),
            )
            .expected("subgraphs within subgraphs as an exporter writes them: a few levels")
            .hint("no exporter writes such a file: do not trust it"),
            Flaw::Large { needed, allowed } => Fault::usage(
                &doing,
                format!(
                    "{} bytes that would take more than {needed} when decoded",
                    source.len()
                ),
            )
            .expected(format!(
                "at most {allowed} for a file of that length, weights aside"
            ))
            .hint("no exporter writes such a file: do not trust it"),
        })?;
        let proto = ModelProto::decode(source.clone()).map_err(|error| damaged(&error))?;
        match &proto.graph {
            None => {
                return Err(refused(format!(
                    "{} bytes that hold no graph",
                    source.len()
                )));
            }
            Some(graph) if graph.node.is_empty() => {
                return Err(refused("a graph without nodes".into()));
            }
            Some(_) => {}
        }
        sound::check(&proto, &doing)?;
        let mut proto = inline::inline(proto, wire::allowed(source.len()), &doing)?;
        trim::trim(&mut proto);
        let roots = Roots::of(path);
        let files = external::check(&proto, &roots, &doing)?;
        let (folder, files) = external::settle(&mut proto, files, &roots, &doing)?;
        Ok(Self {
            path: path.to_path_buf(),
            encoder: Encoder::whole(&folder),
            folder,
            source,
            proto,
            files,
        })
    }

    /// The whole decoded model, the functions that the file defines put in place of their calls.
    #[must_use]
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// The graph; it has at least one node.
    #[must_use]
    pub fn graph(&self) -> &GraphProto {
        self.proto.graph.as_ref().unwrap_or(&EMPTY)
    }

    /// The path that was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that the external data of [`Model::proto`] is relative to: the one that the model was opened in, or, in a cache
    /// whose links lead to the data, the one that holds it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Encodes graphs made from this one for the runtime.
    #[must_use]
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The `.onnx` file and then every external file, in the order of their names; nothing is read.
    #[must_use]
    pub fn files(&self) -> Vec<ModelFile> {
        let own = ModelFile {
            path: self.name(),
            bytes: self.source.len() as u64,
        };
        let data = self.data_files().into_iter().map(|file| ModelFile {
            path: file.name.clone(),
            bytes: file.len as u64,
        });
        std::iter::once(own).chain(data).collect()
    }

    /// SHA-256 of the `.onnx` file and then of every external file, in the order of their names.
    ///
    /// # Errors
    /// An external file cannot be read any more.
    pub fn digests(&self) -> Result<Vec<FileDigest>> {
        let doing = format!("computing the digests of `{}`", self.path.display());
        // Read through a map of its own: all of the weights would stay in memory otherwise.
        let source = self.encoder.again().unwrap_or_else(|| self.source.clone());
        let mut all = vec![digest::of_bytes(self.name(), &source)];
        drop(source);
        for file in self.data_files() {
            all.push(digest::of_file(&file.place, file.name.clone(), &doing)?);
        }
        Ok(all)
    }

    fn data_files(&self) -> Vec<&DataFile> {
        let mut files: Vec<&DataFile> = self.files.values().collect();
        files.sort_unstable_by_key(|file| &file.name);
        files
    }

    fn name(&self) -> String {
        self.path.file_name().map_or_else(
            || self.path.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        )
    }

    /// The values of a float32, float16 or bfloat16 initialiser as `f32`, in its own shape.
    ///
    /// # Errors
    /// No initialiser has that name, it is of another type, its data does not fit its dimensions, or its file is
    /// unreadable.
    pub fn weights_f32(&self, name: &str) -> Result<ArrayD<f32>> {
        let doing = format!("reading weights of `{}`", self.path.display());
        let found = self.graph().initializer.iter().find(|t| t.name() == name);
        let found = found.ok_or_else(|| {
            Fault::usage(&doing, format!("no initialiser is named `{name}`"))
                .expected("the name of a tensor in `graph.initializer`")
        })?;
        let raw = self.raw(found, &mut BTreeMap::new(), &doing)?;
        tensor::floats(found, raw.as_deref())
            .and_then(|values| {
                let (dims, _) = tensor::dims(found)?;
                ArrayD::from_shape_vec(IxDyn(&dims), values).ok()
            })
            .ok_or_else(|| {
                Fault::usage(
                    &doing,
                    format!(
                        "`{name}` holds {} {}",
                        tensor::data_type(found).as_str_name(),
                        raw.as_ref().map_or_else(
                            || "in typed fields".into(),
                            |raw| format!("in {} bytes", raw.len())
                        )
                    ),
                )
                .expected(format!(
                    "float32, float16 or bfloat16 values for dimensions {:?}",
                    found.dims
                ))
            })
    }

    /// Looks for NaN and infinity in every float initialiser, external ones too, and names the first that has one.
    ///
    /// A constant of masks is no fault: a single infinite scalar, or a tensor of nothing but 0, 1 and −∞.
    ///
    /// # Errors
    /// A weight is not finite, or a data file is unreadable.
    pub fn check_finite(&self) -> Result<()> {
        let doing = format!("checking the weights of `{}`", self.path.display());
        let mut maps = BTreeMap::new();
        let mut data = Vec::new();
        let again = self.encoder.again();
        for tensor in messages::tensors(&self.proto) {
            if finite::concerns(tensor) {
                let raw = self.raw(tensor, &mut maps, &doing)?;
                let moved = raw.as_ref().zip(again.as_ref());
                let moved = moved.and_then(|(raw, again)| self.encoder.moved(raw, again));
                data.push((tensor, moved.or(raw)));
            }
        }
        finite::check(&data, &doing)
    }

    /// The raw bytes of a tensor, inside the model or mapped from its file; `None` if typed fields hold the values.
    fn raw(
        &self,
        tensor: &TensorProto,
        maps: &mut BTreeMap<String, Bytes>,
        doing: &str,
    ) -> Result<Option<Bytes>> {
        if !tensor::is_external(tensor) {
            return Ok(tensor.raw_data.clone());
        }
        let reference = external::reference(tensor, &self.files, doing)?;
        let map = if let Some(map) = maps.get(&reference.file) {
            map.clone()
        } else {
            let place = self.files.get(&reference.file).map(|file| &file.place);
            let named = || self.folder.join(&reference.file);
            let map = mapped::map(&place.cloned().unwrap_or_else(named), doing)?;
            maps.insert(reference.file.clone(), map.clone());
            map
        };
        let end = reference.offset.saturating_add(reference.len);
        if end > map.len() {
            return Err(Fault::failed(
                doing,
                format!(
                    "`{}` shrank to {} bytes while it was in use",
                    reference.file,
                    map.len()
                ),
            ));
        }
        Ok(Some(map.slice(reference.offset..end)))
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("path", &self.path)
            .field("nodes", &self.graph().node.len())
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

fn opening(path: &Path) -> String {
    format!("opening the model `{}`", path.display())
}
