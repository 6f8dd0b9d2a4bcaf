//! `candor detectors encode`: an SAE on activations from a file.

use std::path::Path;

use ndarray::Array2;
use safetensors::tensor::{Dtype, TensorView};

use crate::detect::Sae;
use crate::fault::{Fault, Result};
use crate::files;

/// Encodes a float32 `.npy` of shape `[n, d_in]` and writes `feature_acts` `[n, d_sae]`, `decoded` `[n, d_out]` and, but for a
/// transcoder, `error` `[n, d_in]`.
/// Returns the number of rows.
///
/// # Errors
/// The input is not a float32 matrix of the SAE's width or holds values that are not finite, or the output cannot be written.
pub fn encode_file(sae: &Sae, input: &Path, out: &Path) -> Result<usize> {
    let x: Array2<f32> = ndarray_npy::read_npy(input).map_err(|error| {
        Fault::usage(
            format!("reading the activations `{}`", input.display()),
            error.to_string(),
        )
        .expected("a .npy file of float32 with two dimensions, [n, d_in]")
        .hint("numpy.save(FILE, x.astype(numpy.float32))")
    })?;
    let encoded = sae.forward(x.view())?;
    let tensors = [
        ("feature_acts", Some(&encoded.feature_acts)),
        ("decoded", Some(&encoded.decoded)),
        ("error", encoded.error.as_ref()),
    ];
    let tensors = tensors
        .into_iter()
        .filter_map(|(name, tensor)| Some((name, tensor?)));
    let tensors = tensors.map(|(name, tensor)| {
        (
            name,
            tensor.shape().to_vec(),
            tensor
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect::<Vec<u8>>(),
        )
    });
    let tensors: Vec<_> = tensors.collect();
    let fault = |error: safetensors::SafeTensorError| {
        Fault::failed(format!("writing `{}`", out.display()), error.to_string())
    };
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((
                *name,
                TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(fault)?,
            ))
        })
        .collect::<Result<Vec<_>>>()?;
    files::write_whole(out, &safetensors::serialize(views, None).map_err(fault)?)?;
    Ok(x.nrows())
}
