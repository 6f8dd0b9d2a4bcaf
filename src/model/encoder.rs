//! Graphs made from a model, encoded for the runtime: the large weights stay where they lie, in the model's own file.
//!
//! A runtime that is handed the weights inside a message holds them twice while it loads, beside the message itself; what it
//! is told the place of in a file it maps. Loading a model so takes less memory than loading its file does.

use std::path::{Path, PathBuf};

use std::time::SystemTime;

use bytes::Bytes;
use prost::Message as _;

use super::mapped::Mapped;
use super::onnx::tensor_proto::DataLocation;
use super::onnx::{ModelProto, StringStringEntryProto, TensorProto};

/// Smaller tensors are sizes and axes that the runtime reads while it plans; they stay in the message.
const LARGE: usize = 4096;

/// Encodes graphs whose tensors are views into one model file.
#[derive(Debug, Clone)]
pub struct Encoder {
    folder: PathBuf,
    own: Option<OwnFile>,
}

/// The model's file, mapped.
#[derive(Debug, Clone)]
struct OwnFile {
    place: PathBuf,
    /// Its name in the encoder's folder.
    name: String,
    changed: Option<SystemTime>,
    map: Mapped,
}

impl Encoder {
    /// For a model whose messages view `map`, the map of the file at `path`. `folder` is the one that its external data is
    /// relative to, if it has any.
    pub(super) fn new(path: &Path, map: &Mapped, folder: Option<&Path>) -> Self {
        let place = path.canonicalize().ok();
        // The runtime follows no link out of its folder.
        let own = place.and_then(|place| {
            let home = place.parent()?.to_path_buf();
            let fits = folder
                .is_none_or(|folder| folder.canonicalize().is_ok_and(|folder| folder == home));
            let name = place.file_name()?.to_str()?.to_owned();
            let changed = place.metadata().ok()?.modified().ok();
            let map = map.clone();
            fits.then_some((
                home,
                OwnFile {
                    place,
                    name,
                    changed,
                    map,
                },
            ))
        });
        match own {
            Some((home, own)) => Self {
                folder: folder.map_or(home, Path::to_path_buf),
                own: Some(own),
            },
            None => Self::whole(folder.unwrap_or(Path::new("."))),
        }
    }

    /// For messages that lie in no file; references to external data are relative to `folder`.
    pub(super) fn whole(folder: &Path) -> Self {
        Self {
            folder: folder.to_path_buf(),
            own: None,
        }
    }

    /// The folder that references in encoded graphs are relative to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All of the model's file through a map of its own, if it has one.
    pub(super) fn again(&self) -> Option<Bytes> {
        self.own.as_ref().map(|own| own.map.again())
    }

    /// A view into the model's file, moved to the map that [`Encoder::again`] gave.
    pub(super) fn moved(&self, view: &Bytes, again: &Bytes) -> Option<Bytes> {
        let (start, end) = view_of(&self.own.as_ref()?.map.bytes, view)?;
        (end <= again.len()).then(|| again.slice(start..end))
    }

    /// The bytes of an `.onnx` file beside which the model's own file has to lie.
    #[must_use]
    pub fn encode(&self, proto: &ModelProto) -> Vec<u8> {
        let own = self.own.as_ref().filter(|own| own.is_there());
        let (Some(own), Some(_)) = (own, &proto.graph) else {
            return proto.encode_to_vec();
        };
        // Weights are shared with `proto`, not copied.
        let mut lean = proto.clone();
        if let Some(graph) = &mut lean.graph {
            for tensor in &mut graph.initializer {
                own.refer(tensor);
            }
        }
        lean.encode_to_vec()
    }
}

impl OwnFile {
    /// Whether the file is still the one that was opened.
    fn is_there(&self) -> bool {
        self.place.metadata().is_ok_and(|found| {
            found.len() == self.map.bytes.len() as u64 && found.modified().ok() == self.changed
        })
    }

    /// Puts a reference in the place of values that lie in the file.
    fn refer(&self, tensor: &mut TensorProto) {
        let Some((offset, length)) = tensor.raw_data.as_ref().and_then(|raw| self.extent(raw))
        else {
            return;
        };
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value),
        };
        tensor.raw_data = None;
        tensor.data_location = Some(DataLocation::External.into());
        tensor.external_data = vec![
            entry("location", self.name.clone()),
            entry("offset", offset.to_string()),
            entry("length", length.to_string()),
        ];
    }

    /// Offset and length of a view into the map, if it is a large one.
    fn extent(&self, raw: &Bytes) -> Option<(usize, usize)> {
        let (start, end) = view_of(&self.map.bytes, raw)?;
        (raw.len() >= LARGE).then_some((start, end - start))
    }
}

/// Where a view into a map begins and ends.
fn view_of(map: &Bytes, view: &Bytes) -> Option<(usize, usize)> {
    let start = view.as_ptr().addr().checked_sub(map.as_ptr().addr())?;
    let end = start.checked_add(view.len())?;
    (end <= map.len()).then_some((start, end))
}
