//! NaN and infinity among the weights: a model that has them cannot be judged, and its logits compare as nothing.

use bytes::Bytes;
use rayon::prelude::*;

use super::onnx::TensorProto;
use super::onnx::tensor_proto::DataType;
use super::tensor;
use crate::fault::{Fault, Result};

/// Whether the tensor is of a type that can hold NaN and is read here.
pub(super) fn concerns(tensor: &TensorProto) -> bool {
    matches!(
        tensor::data_type(tensor),
        DataType::Float | DataType::Float16 | DataType::Bfloat16 | DataType::Double
    )
}

/// Checks tensors beside their raw bytes, in parallel; the first in the model's order is named.
pub(super) fn check(data: &[(&TensorProto, Option<Bytes>)], doing: &str) -> Result<()> {
    let bad = data
        .par_iter()
        .filter_map(|(tensor, raw)| Some((tensor, odd(tensor, raw.as_deref())?)))
        .find_first(|_| true);
    let Some((tensor, (position, value))) = bad else {
        return Ok(());
    };
    Err(Fault::usage(
        doing,
        format!(
            "the tensor `{}` {:?} holds {value} at element {position}",
            tensor.name(),
            tensor.dims
        ),
    )
    .expected("finite weights")
    .hint("the export or the training went wrong: find where the value came from, then export the model again"))
}

/// The first value that is not finite, with its position, unless the tensor is a constant of masks.
fn odd(tensor: &TensorProto, raw: Option<&[u8]>) -> Option<(usize, f64)> {
    match (tensor::data_type(tensor), raw) {
        (DataType::Float, Some(raw)) => {
            first(&words::<4>(raw).map(|word| f64::from(f32::from_le_bytes(word))))
        }
        (DataType::Double, Some(raw)) => first(&words::<8>(raw).map(f64::from_le_bytes)),
        (DataType::Float16, Some(raw)) => {
            first(&tensor::halves(raw).map(|bits| half::f16::from_bits(bits).to_f64()))
        }
        (DataType::Bfloat16, Some(raw)) => {
            first(&tensor::halves(raw).map(|bits| half::bf16::from_bits(bits).to_f64()))
        }
        (DataType::Double, None) => first(&tensor.double_data.iter().copied()),
        (_, None) => first(&tensor::floats(tensor, None)?.into_iter().map(f64::from)),
        _ => None,
    }
}

fn words<const N: usize>(raw: &[u8]) -> impl Iterator<Item = [u8; N]> + Clone + '_ {
    raw.chunks_exact(N)
        .filter_map(|chunk| chunk.try_into().ok())
}

fn first<I: Iterator<Item = f64> + Clone>(values: &I) -> Option<(usize, f64)> {
    let (position, value) = values
        .clone()
        .enumerate()
        .find(|(_, value)| !value.is_finite())?;
    let scalar = !value.is_nan() && values.clone().nth(1).is_none();
    let of_masks = [0.0, 1.0, f64::NEG_INFINITY].map(f64::to_bits);
    let mask = values
        .clone()
        .all(|value| of_masks.contains(&value.to_bits()));
    (!scalar && !mask).then_some((position, value))
}
