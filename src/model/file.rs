//! An opened model: the decoded messages over a memory map, and the checked files of its external data.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bytes::Bytes;
use ndarray::{ArrayD, IxDyn};
use prost::Message;

use super::digest::{self, FileDigest};
use super::external::{self, Files};
use super::onnx::{GraphProto, ModelProto, TensorProto};
use super::{finite, mapped, tensor};
use crate::fault::{Fault, Result};

static EMPTY: LazyLock<GraphProto> = LazyLock::new(GraphProto::default);

/// An ONNX model whose references were checked. Weights stay in the memory map until they are asked for.
pub struct Model {
    path: PathBuf,
    folder: PathBuf,
    source: Bytes,
    proto: ModelProto,
    files: Files,
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
    /// an external tensor leaves the model's folder, is missing, or reaches past the end of its file.
    pub fn open(path: &Path) -> Result<Self> {
        let source = mapped::map(path, &opening(path))?;
        Self::from_bytes(source, path)
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
        let proto = ModelProto::decode(source.clone()).map_err(|error| {
            refused(format!(
                "{} bytes that are truncated or not ONNX ({error})",
                source.len()
            ))
        })?;
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
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let files = external::check(&proto, &folder, &doing)?;
        Ok(Self {
            path: path.to_path_buf(),
            folder,
            source,
            proto,
            files,
        })
    }

    /// The whole decoded model.
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

    /// The folder that external data is relative to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// SHA-256 of the `.onnx` file and then of every external file, in the order of their names.
    ///
    /// # Errors
    /// An external file cannot be read any more.
    pub fn digests(&self) -> Result<Vec<FileDigest>> {
        let name = self.path.file_name().map_or_else(
            || self.path.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        );
        let doing = format!("computing the digests of `{}`", self.path.display());
        let mut all = vec![digest::of_bytes(name, &self.source)];
        for file in self.files.keys() {
            all.push(digest::of_file(&self.folder, file.clone(), &doing)?);
        }
        Ok(all)
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
        for tensor in external::tensors(&self.proto) {
            if finite::concerns(tensor) {
                data.push((tensor, self.raw(tensor, &mut maps, &doing)?));
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
            let map = mapped::map(&self.folder.join(&reference.file), doing)?;
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
