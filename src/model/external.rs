//! External data: tensors whose values lie in files beside the model. Every reference is checked before anything reads it.

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path, PathBuf};

use super::messages;
use super::onnx::{ModelProto, StringStringEntryProto, TensorProto};
use super::tensor;
use crate::fault::{Fault, Result};

/// Where one tensor's values lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// Relative to the model's folder, normalised, with `/` between components.
    pub file: String,
    /// Bytes from the start of the file.
    pub offset: usize,
    /// Bytes.
    pub len: usize,
}

/// A data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DataFile {
    /// The name by which the model was written, relative to the folder that it was opened in.
    pub name: String,
    /// Where it really lies: absolute, without links.
    pub place: PathBuf,
    /// Bytes.
    pub len: usize,
}

/// Files referred to, by the location that the model's tensors name.
pub(super) type Files = BTreeMap<String, DataFile>;

/// The folders that data may lie in: the one that was named, and the one where the model's file really lies.
///
/// A cache of Hugging Face holds links alone: `snapshots/<revision>/model.onnx` and its data beside it point into one folder of
/// blobs. There both folders differ, and data in either is the model's own. A link to anywhere else is refused: a model that a
/// stranger made must not choose which file of this machine is read.
pub(super) struct Roots {
    named: PathBuf,
    real: Vec<PathBuf>,
}

impl Roots {
    /// The roots of the model at `path`, which need not be there (its bytes may come from elsewhere).
    pub(super) fn of(path: &Path) -> Self {
        let named = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let own = path.canonicalize().ok();
        let own = own.as_deref().and_then(Path::parent).map(Path::to_path_buf);
        let real = named.canonicalize().ok().into_iter().chain(own).collect();
        Self { named, real }
    }
}

/// Checks every external reference of the model and lists the files.
///
/// # Errors
/// A reference leaves the folder (`..`, absolute, through a symbolic link), names a file that is not there, has a
/// negative or overflowing number, says something twice, reaches past the end of the file, or does not have the tensor's
/// length.
pub(super) fn check(proto: &ModelProto, roots: &Roots, doing: &str) -> Result<Files> {
    let mut files = Files::new();
    for tensor in messages::tensors(proto) {
        if tensor::is_external(tensor) {
            let file = location(tensor, doing)?;
            let available = if let Some(known) = files.get(&file) {
                known.len
            } else {
                let found = on_disk(tensor, &file, roots, doing)?;
                let len = found.len;
                files.insert(file.clone(), found);
                len
            };
            extent(tensor, file, available, doing)?;
        }
    }
    Ok(files)
}

/// The folder that references are relative to, and the files. Where links lead out of the folder that was named, it is the one
/// that holds all the files, and references are rewritten to lie in it: the runtime follows no link out of its folder.
///
/// # Errors
/// A link leads to a path that is not UTF-8.
pub(super) fn settle(
    proto: &mut ModelProto,
    files: Files,
    roots: &Roots,
    doing: &str,
) -> Result<(PathBuf, Files)> {
    let named = roots.real.first();
    let inside = |file: &DataFile| named.is_some_and(|root| file.place.starts_with(root));
    if files.values().all(inside) {
        return Ok((roots.named.clone(), files));
    }
    let mut places = files.values().filter_map(|file| file.place.parent());
    let mut folder = places.next().unwrap_or(Path::new("/")).to_path_buf();
    for place in places {
        while !place.starts_with(&folder) && folder.pop() {}
    }
    let new = |file: &DataFile| {
        let relative = file.place.strip_prefix(&folder).ok().and_then(Path::to_str);
        relative.map(str::to_owned).ok_or_else(|| {
            let found = format!("`{}` is a link to a path that is not UTF-8", file.name);
            Fault::usage(doing, found)
        })
    };
    for tensor in messages::tensors_mut(proto) {
        if tensor::is_external(tensor) {
            let file = files.get(&location(tensor, doing)?);
            let place = file.map(new).transpose()?;
            let entries = tensor.external_data.iter_mut();
            for entry in entries.filter(|entry| entry.key() == "location") {
                entry.value.clone_from(&place);
            }
        }
    }
    let moved = files.into_values().map(|file| Ok((new(&file)?, file)));
    let moved = moved.collect::<Result<Files>>()?;
    Ok((folder, moved))
}

/// The reference of a tensor in a file of `available` bytes.
pub(super) fn reference(tensor: &TensorProto, files: &Files, doing: &str) -> Result<Reference> {
    let file = location(tensor, doing)?;
    let available = files.get(&file).map_or(0, |file| file.len);
    extent(tensor, file, available, doing)
}

fn entry<'t>(tensor: &'t TensorProto, key: &str) -> Option<&'t str> {
    tensor
        .external_data
        .iter()
        .find(|entry| entry.key() == key)
        .map(StringStringEntryProto::value)
}

/// The runtime takes a file of this name for an address in its own memory.
const ADDRESS: &str = "_ORT_MEM_ADDR_";

fn location(tensor: &TensorProto, doing: &str) -> Result<String> {
    let name = tensor.name();
    let mut keys = HashSet::new();
    let mut entries = tensor.external_data.iter();
    if let Some(twice) = entries.find(|entry| !keys.insert(entry.key())) {
        return Err(Fault::usage(
            doing,
            format!(
                "the external tensor `{name}` says its `{}` twice",
                twice.key()
            ),
        )
        .expected("each entry once: readers differ in which of two they take")
        .hint("no exporter writes such a file: do not trust it"));
    }
    let given = entry(tensor, "location").filter(|file| !file.is_empty());
    let given = given.ok_or_else(|| {
        Fault::usage(
            doing,
            format!("the external tensor `{name}` names no file (`location` is missing)"),
        )
        .expected("a path relative to the model's folder")
        .hint("export the model again, or save it with its weights inside")
    })?;
    let outside = || {
        Fault::usage(
            doing,
            format!("the external tensor `{name}` lies in `{given}`, outside the model's folder"),
        )
        .expected("a file inside the model's folder, without `..` and not absolute")
        .hint(
            "do not trust this model; a clean one is exported with its data beside the .onnx file",
        )
    };
    let mut parts: Vec<&str> = Vec::new();
    // Both separators are looked at, so that a file made on Windows cannot slip out here, nor the reverse.
    if given.contains(ADDRESS) || given.starts_with('\\') || given.chars().nth(1) == Some(':') {
        return Err(outside());
    }
    for component in Path::new(given).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => {
                let part = part.to_str().ok_or_else(outside)?;
                if part.split('\\').any(|piece| piece == "..") {
                    return Err(outside());
                }
                parts.push(part);
            }
            Component::ParentDir => {
                parts.pop().ok_or_else(outside)?;
            }
            Component::RootDir | Component::Prefix(_) => return Err(outside()),
        }
    }
    if parts.is_empty() {
        return Err(outside());
    }
    Ok(parts.join("/"))
}

fn on_disk(tensor: &TensorProto, file: &str, roots: &Roots, doing: &str) -> Result<DataFile> {
    let name = tensor.name();
    let path = roots.named.join(file);
    let missing = |error: &std::io::Error| {
        Fault::usage(
            doing,
            format!(
                "the external tensor `{name}` lies in `{}`: {error}",
                path.display()
            ),
        )
        .expected("the data file beside the model")
        .hint("copy the whole folder of the model, its `.data` files too")
    };
    let place = path.canonicalize().map_err(|error| missing(&error))?;
    if !roots.real.iter().any(|root| place.starts_with(root)) {
        return Err(Fault::usage(
            doing,
            format!(
                "the external tensor `{name}` lies in `{file}`, a link to `{}` outside the model's folder",
                place.display()
            ),
        )
        .expected("a file in the model's folder, or in the one that the model's own link points to")
        .hint("if you trust these links, copy what they point to into one folder (`cp -rL`) and audit that"));
    }
    let found = std::fs::metadata(&place).map_err(|error| missing(&error))?;
    if !found.is_file() {
        return Err(Fault::usage(
            doing,
            format!("the external tensor `{name}` lies in `{file}`, which is no regular file"),
        )
        .expected("a data file"));
    }
    let len = usize::try_from(found.len()).map_err(|_| {
        Fault::usage(
            doing,
            format!(
                "`{file}` has {} bytes, too many for this machine",
                found.len()
            ),
        )
    })?;
    Ok(DataFile {
        name: file.to_owned(),
        place,
        len,
    })
}

fn extent(tensor: &TensorProto, file: String, available: usize, doing: &str) -> Result<Reference> {
    let name = tensor.name();
    let number = |key: &str| -> Result<Option<usize>> {
        entry(tensor, key)
            .map(|text| {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse::<usize>().ok().filter(|_| digits);
                number.ok_or_else(|| {
                    Fault::usage(
                        doing,
                        format!("the external tensor `{name}` in `{file}` has {key} `{text}`"),
                    )
                    .expected("a whole number of bytes, not negative, that fits 64 bits")
                })
            })
            .transpose()
    };
    let offset = number("offset")?.unwrap_or(0);
    let declared = number("length")?;
    let needed = tensor::raw_len(tensor).ok_or_else(|| {
        Fault::usage(
            doing,
            format!(
                "the external tensor `{name}` in `{file}` has dimensions {} of {}",
                tensor::listed(&tensor.dims),
                tensor::data_type(tensor).as_str_name()
            ),
        )
        .expected("dimensions that are not negative, whose product fits, of a numeric type")
    })?;
    let len = declared.unwrap_or(needed);
    if len != needed {
        return Err(Fault::usage(
            doing,
            format!("the external tensor `{name}` in `{file}` has length {len}"),
        )
        .expected(format!(
            "{needed} bytes for dimensions {} of {}",
            tensor::listed(&tensor.dims),
            tensor::data_type(tensor).as_str_name()
        )));
    }
    let end = offset.checked_add(len);
    if end.is_none_or(|end| end > available) {
        return Err(Fault::usage(
            doing,
            format!(
                "the external tensor `{name}` takes bytes {offset} to {offset} + {len} of `{file}`, which has {available}"
            ),
        )
        .expected("a range within the file")
        .hint("the data file is truncated or belongs to another model: copy it again"));
    }
    Ok(Reference { file, offset, len })
}
