//! Weights in single precision, written one tensor after the other.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use ndarray::ArrayViewD;
use safetensors::Dtype;
use safetensors::tensor::View;

use crate::fault::{Fault, Result};

/// A tensor to be written.
pub(in crate::detect) struct Named<'a> {
    pub(in crate::detect) name: &'a str,
    pub(in crate::detect) values: ArrayViewD<'a, f32>,
    shape: Vec<usize>,
}

impl<'a> Named<'a> {
    pub(in crate::detect) fn of(name: &'a str, values: ArrayViewD<'a, f32>) -> Self {
        let shape = values.shape().to_vec();
        Self {
            name,
            values,
            shape,
        }
    }
}

impl View for &Named<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = self.values.iter().flat_map(|value| value.to_le_bytes());
        Cow::Owned(bytes.collect())
    }

    fn data_len(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}

/// The bytes of a safetensors file.
///
/// # Errors
/// The library's own failures only.
pub(in crate::detect) fn to_bytes(tensors: &[Named<'_>]) -> Result<Vec<u8>> {
    let named = tensors.iter().map(|tensor| (tensor.name, tensor));
    safetensors::serialize(named, None)
        .map_err(|error| Fault::failed("writing weights", error.to_string()))
}

/// Writes a safetensors file.
///
/// # Errors
/// A disk that cannot be written.
pub(in crate::detect) fn write(path: &Path, tensors: &[Named<'_>]) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| {
        Fault::failed(format!("writing `{}`", path.display()), error.to_string())
            .expected("a place that can be written and has room")
    };
    // The library leaves the file to its owner alone, as temporary files are.
    let plain = fs::File::create(path).and_then(|file| file.metadata());
    let plain = plain.map_err(|error| failed(&error))?.permissions();
    let named = tensors.iter().map(|tensor| (tensor.name, tensor));
    safetensors::serialize_to_file(named, None, path).map_err(|error| failed(&error))?;
    fs::set_permissions(path, plain).map_err(|error| failed(&error))
}
