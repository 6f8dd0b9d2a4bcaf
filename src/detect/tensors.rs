//! Weights from a safetensors file, each checked for name, shape, element type and finite values as it is taken.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ndarray::{Array1, Array2};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::fault::{Fault, Result};

/// A tensor to be written: name, shape, values in row-major order.
pub(super) type Named = (&'static str, Vec<usize>, Vec<f32>);

/// Reads a weights file whole; its size bounds the memory.
///
/// # Errors
/// An unreadable or empty file, or a pickle, which is never loaded: it would run code.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).map_err(|error| {
        Fault::usage(doing(path), error.to_string()).expected("a readable file")
    })?;
    if bytes.is_empty() {
        return Err(Fault::usage(doing(path), "0 bytes").expected("a safetensors file"));
    }
    // PyTorch writes a zip archive, or in old versions the bare pickle of protocol 2 to 5.
    let pickle = bytes.starts_with(b"PK\x03\x04") || matches!(bytes[..], [0x80, 2..=5, ..]);
    if pickle && SafeTensors::read_metadata(&bytes).is_err() {
        return Err(Fault::usage(doing(path), "a Python pickle")
            .expected("a safetensors file: loading a pickle runs the code in it")
            .hint(
                "convert it where you trust it: `safetensors.torch.save_file(torch.load(\"weights.pt\", \
                 weights_only=True), \"weights.safetensors\")`",
            ));
    }
    Ok(bytes)
}

fn doing(path: &Path) -> String {
    format!("reading the weights `{}`", path.display())
}

/// The tensors of a file that have not been taken yet.
pub(super) struct Tensors<'a> {
    path: &'a Path,
    left: BTreeMap<String, TensorView<'a>>,
}

impl<'a> Tensors<'a> {
    /// # Errors
    /// Not a whole safetensors file.
    pub(super) fn of(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| {
            Fault::usage(doing(path), error.to_string())
                .expected("a whole safetensors file")
                .hint("the file may be truncated: copy or export it again")
        })?;
        Ok(Self {
            path,
            left: file.tensors().into_iter().collect(),
        })
    }

    /// # Errors
    /// As for [`Self::take`].
    pub(super) fn vector(&mut self, name: &str, length: usize) -> Result<Array1<f32>> {
        Ok(Array1::from_vec(self.take(name, &[length])?))
    }

    /// # Errors
    /// As for [`Self::take`].
    pub(super) fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Array2<f32>> {
        let values = self.take(name, &shape)?;
        Array2::from_shape_vec(shape, values)
            .map_err(|error| Fault::failed(doing(self.path), format!("`{name}`: {error}")))
    }

    /// The last length of a tensor's shape; 1 where there is none.
    pub(super) fn columns(&self, name: &str) -> usize {
        let last = |tensor: &TensorView<'_>| tensor.shape().last().copied();
        self.left.get(name).and_then(last).unwrap_or(1)
    }

    /// Whether the file holds a tensor of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    /// # Errors
    /// A tensor that is missing, has another shape, is not a float of 16 or 32 bits, or holds a NaN or an infinity.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let Some(tensor) = self.left.remove(name) else {
            let others: Vec<String> = self.left.keys().map(|name| format!("`{name}`")).collect();
            let found = if others.is_empty() {
                format!("no tensor `{name}`")
            } else {
                format!("no tensor `{name}` beside {}", others.join(", "))
            };
            return Err(Fault::usage(doing(self.path), found)
                .expected(format!("`{name}` of shape {shape:?}")));
        };
        if tensor.shape() != shape {
            return Err(Fault::usage(
                doing(self.path),
                format!("`{name}` of shape {:?}", tensor.shape()),
            )
            .expected(format!("shape {shape:?}")));
        }
        let values: Vec<f32> = match tensor.dtype() {
            Dtype::F32 => {
                let (quads, _) = tensor.data().as_chunks::<4>();
                quads
                    .iter()
                    .map(|bytes| f32::from_le_bytes(*bytes))
                    .collect()
            }
            Dtype::F16 => {
                let (pairs, _) = tensor.data().as_chunks::<2>();
                let half = |bytes: &[u8; 2]| half::f16::from_le_bytes(*bytes).to_f32();
                pairs.iter().map(half).collect()
            }
            Dtype::BF16 => {
                let (pairs, _) = tensor.data().as_chunks::<2>();
                let half = |bytes: &[u8; 2]| half::bf16::from_le_bytes(*bytes).to_f32();
                pairs.iter().map(half).collect()
            }
            other => {
                return Err(Fault::usage(
                    doing(self.path),
                    format!("`{name}` of element type {other:?}"),
                )
                .expected("F32, F16 or BF16"));
            }
        };
        if let Some((index, value)) = values
            .iter()
            .enumerate()
            .find(|(_, value)| !value.is_finite())
        {
            return Err(Fault::usage(
                doing(self.path),
                format!("{value} in `{name}` at element {index}"),
            )
            .expected("finite weights")
            .hint("the training diverged or the file is damaged"));
        }
        Ok(values)
    }

    /// # Errors
    /// Tensors that nobody asked for: the file is not what its description says.
    pub(super) fn finish(self) -> Result<()> {
        if self.left.is_empty() {
            return Ok(());
        }
        let extra: Vec<String> = self
            .left
            .iter()
            .map(|(name, tensor)| format!("`{name}` {:?}", tensor.shape()))
            .collect();
        Err(Fault::usage(
            doing(self.path),
            format!("more tensors: {}", extra.join(", ")),
        )
        .expected("no tensor besides those that the kind of detector needs"))
    }
}

/// The bytes of a safetensors file with these float32 tensors.
///
/// # Errors
/// The library's own failures only.
pub(super) fn to_bytes(tensors: &[Named]) -> Result<Vec<u8>> {
    const DOING: &str = "writing weights";
    let raw: Vec<(&str, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(name, shape, values)| {
            let bytes = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            (*name, shape.as_slice(), bytes)
        })
        .collect();
    let views = raw
        .iter()
        .map(|(name, shape, bytes)| {
            TensorView::new(Dtype::F32, shape.to_vec(), bytes).map(|view| (*name, view))
        })
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| Fault::failed(DOING, error.to_string()))?;
    safetensors::serialize(views, None).map_err(|error| Fault::failed(DOING, error.to_string()))
}
