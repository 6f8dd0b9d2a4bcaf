//! External data: tensors whose values lie in files beside the model. Every reference is checked before anything reads it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto,
};
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

/// Files referred to, relative to the model's folder, with their lengths in bytes.
pub(super) type Files = BTreeMap<String, usize>;

/// Checks every external reference of the model and lists the files.
///
/// # Errors
/// A reference leaves the folder (`..`, absolute, through a symbolic link), names a file that is not there, has a
/// negative or overflowing number, reaches past the end of the file, or does not have the tensor's length.
pub(super) fn check(proto: &ModelProto, folder: &Path, doing: &str) -> Result<Files> {
    let mut files = Files::new();
    for tensor in tensors(proto) {
        if tensor::is_external(tensor) {
            let file = location(tensor, doing)?;
            if !files.contains_key(&file) {
                let len = length_on_disk(tensor, &file, folder, doing)?;
                files.insert(file.clone(), len);
            }
            let available = files.get(&file).copied().unwrap_or(0);
            extent(tensor, file, available, doing)?;
        }
    }
    Ok(files)
}

/// The reference of a tensor in a file of `available` bytes.
pub(super) fn reference(tensor: &TensorProto, files: &Files, doing: &str) -> Result<Reference> {
    let file = location(tensor, doing)?;
    let available = files.get(&file).copied().unwrap_or(0);
    extent(tensor, file, available, doing)
}

fn entry<'t>(tensor: &'t TensorProto, key: &str) -> Option<&'t str> {
    tensor
        .external_data
        .iter()
        .find(|entry| entry.key() == key)
        .map(StringStringEntryProto::value)
}

fn location(tensor: &TensorProto, doing: &str) -> Result<String> {
    let name = tensor.name();
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
    if given.starts_with('\\') || given.chars().nth(1) == Some(':') {
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

fn length_on_disk(tensor: &TensorProto, file: &str, folder: &Path, doing: &str) -> Result<usize> {
    let name = tensor.name();
    let path = folder.join(file);
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
    let real = real_path(&path).map_err(|error| missing(&error))?;
    let root = real_path(folder).map_err(|error| missing(&error))?;
    if !real.starts_with(&root) {
        return Err(Fault::usage(
            doing,
            format!(
                "the external tensor `{name}` lies in `{file}`, a link to `{}` outside the model's folder",
                real.display()
            ),
        )
        .expected("a file inside the model's folder")
        .hint("copy the files that the links of the folder point to into one folder and audit that"));
    }
    let found = std::fs::metadata(&real).map_err(|error| missing(&error))?;
    if !found.is_file() {
        return Err(Fault::usage(
            doing,
            format!("the external tensor `{name}` lies in `{file}`, which is no regular file"),
        )
        .expected("a data file"));
    }
    usize::try_from(found.len()).map_err(|_| {
        Fault::usage(
            doing,
            format!(
                "`{file}` has {} bytes, too many for this machine",
                found.len()
            ),
        )
    })
}

fn real_path(path: &Path) -> std::io::Result<PathBuf> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    path.canonicalize()
}

fn extent(tensor: &TensorProto, file: String, available: usize, doing: &str) -> Result<Reference> {
    let name = tensor.name();
    let number = |key: &str| -> Result<Option<usize>> {
        entry(tensor, key)
            .map(|text| {
                text.parse::<usize>().map_err(|_| {
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
                "the external tensor `{name}` in `{file}` has dimensions {:?} of {}",
                tensor.dims,
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
            "{needed} bytes for dimensions {:?} of {}",
            tensor.dims,
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

/// Every tensor message of the model: initialisers, attributes and those of subgraphs and functions.
pub(super) fn tensors(proto: &ModelProto) -> Vec<&TensorProto> {
    let mut graphs: Vec<&GraphProto> = proto.graph.iter().collect();
    for training in &proto.training_info {
        graphs.extend(training.initialization.iter());
        graphs.extend(training.algorithm.iter());
    }
    let mut nodes: Vec<&NodeProto> = Vec::new();
    let mut attributes: Vec<&AttributeProto> = Vec::new();
    for function in &proto.functions {
        nodes.extend(&function.node);
        attributes.extend(&function.attribute_proto);
    }
    let mut all = Vec::new();
    loop {
        if let Some(graph) = graphs.pop() {
            all.extend(&graph.initializer);
            for sparse in &graph.sparse_initializer {
                all.extend(sparse.values.iter());
                all.extend(sparse.indices.iter());
            }
            nodes.extend(&graph.node);
        } else if let Some(node) = nodes.pop() {
            attributes.extend(&node.attribute);
        } else if let Some(attribute) = attributes.pop() {
            all.extend(attribute.t.iter());
            all.extend(&attribute.tensors);
            for sparse in attribute
                .sparse_tensor
                .iter()
                .chain(&attribute.sparse_tensors)
            {
                all.extend(sparse.values.iter());
                all.extend(sparse.indices.iter());
            }
            graphs.extend(attribute.g.iter());
            graphs.extend(&attribute.graphs);
        } else {
            return all;
        }
    }
}
