//! What a tensor message says of itself: element type, number of elements, and its values where they are small.

use super::onnx::TensorProto;
use super::onnx::tensor_proto::{DataLocation, DataType};

/// The element type, [`DataType::Undefined`] where it is missing or unknown.
#[must_use]
pub(super) fn data_type(tensor: &TensorProto) -> DataType {
    DataType::try_from(tensor.data_type.unwrap_or(0)).unwrap_or(DataType::Undefined)
}

/// Dimensions as sizes; `None` if one is negative or the product does not fit.
#[must_use]
pub(super) fn dims(tensor: &TensorProto) -> Option<(Vec<usize>, usize)> {
    let dims = tensor
        .dims
        .iter()
        .map(|&dim| usize::try_from(dim).ok())
        .collect::<Option<Vec<_>>>()?;
    let count = dims
        .iter()
        .try_fold(1_usize, |product, &dim| product.checked_mul(dim))?;
    Some((dims, count))
}

/// Dimensions for messages; a file may claim any number of them.
#[must_use]
pub(super) fn listed(dims: &[i64]) -> String {
    const SHOWN: usize = 8;
    let shown = dims.iter().take(SHOWN).map(i64::to_string);
    let mut texts: Vec<String> = shown.collect();
    if dims.len() > SHOWN {
        texts.push(format!("… {} in all", dims.len()));
    }
    format!("[{}]", texts.join(", "))
}

/// Bits of one element in raw data; `None` for strings and unknown types.
#[must_use]
pub(super) fn bits(kind: DataType) -> Option<usize> {
    Some(match kind {
        DataType::Uint2 | DataType::Int2 => 2,
        DataType::Uint4 | DataType::Int4 | DataType::Float4e2m1 => 4,
        DataType::Float6e2m3 | DataType::Float6e3m2 => 6,
        DataType::Uint8
        | DataType::Int8
        | DataType::Bool
        | DataType::Float8e4m3fn
        | DataType::Float8e4m3fnuz
        | DataType::Float8e5m2
        | DataType::Float8e5m2fnuz
        | DataType::Float8e8m0 => 8,
        DataType::Uint16 | DataType::Int16 | DataType::Float16 | DataType::Bfloat16 => 16,
        DataType::Int32 | DataType::Uint32 | DataType::Float => 32,
        DataType::Int64 | DataType::Uint64 | DataType::Double | DataType::Complex64 => 64,
        DataType::Complex128 => 128,
        DataType::String | DataType::Undefined => return None,
    })
}

/// Bytes that the tensor takes as raw data; `None` where the type or the dimensions do not say.
#[must_use]
pub(super) fn raw_len(tensor: &TensorProto) -> Option<usize> {
    let (_, count) = dims(tensor)?;
    Some(count.checked_mul(bits(data_type(tensor))?)?.div_ceil(8))
}

/// How many numbers or texts the typed fields hold, whatever the element type.
#[must_use]
pub(super) fn typed(tensor: &TensorProto) -> usize {
    tensor.float_data.len()
        + tensor.int32_data.len()
        + tensor.string_data.len()
        + tensor.int64_data.len()
        + tensor.double_data.len()
        + tensor.uint64_data.len()
}

/// Whether the values lie in another file.
#[must_use]
pub(super) fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(DataLocation::External as i32)
}

/// The values of a small integer tensor held in the model itself, widened to `i64`.
#[must_use]
pub(super) fn integers(tensor: &TensorProto) -> Option<Vec<i64>> {
    let (_, count) = dims(tensor)?;
    let kind = data_type(tensor);
    let values: Vec<i64> = if let Some(raw) = &tensor.raw_data {
        match kind {
            DataType::Int64 => raw
                .chunks_exact(8)
                .filter_map(|chunk| chunk.try_into().ok().map(i64::from_le_bytes))
                .collect(),
            DataType::Int32 => raw
                .chunks_exact(4)
                .filter_map(|chunk| chunk.try_into().ok().map(i32::from_le_bytes))
                .map(i64::from)
                .collect(),
            _ => return None,
        }
    } else {
        match kind {
            DataType::Int64 => tensor.int64_data.clone(),
            DataType::Int32 => tensor.int32_data.iter().copied().map(i64::from).collect(),
            _ => return None,
        }
    };
    (values.len() == count).then_some(values)
}

/// The values of a float tensor whose raw bytes are `raw`, or whose typed fields hold them, as `f32`.
///
/// `None` if the type is not a float or the count does not fit the dimensions.
#[must_use]
pub(super) fn floats(tensor: &TensorProto, raw: Option<&[u8]>) -> Option<Vec<f32>> {
    let (_, count) = dims(tensor)?;
    let kind = data_type(tensor);
    let values: Vec<f32> = match (raw, kind) {
        (Some(raw), DataType::Float) => raw
            .chunks_exact(4)
            .filter_map(|chunk| chunk.try_into().ok().map(f32::from_le_bytes))
            .collect(),
        (Some(raw), DataType::Float16) => halves(raw)
            .map(|bits| half::f16::from_bits(bits).to_f32())
            .collect(),
        (Some(raw), DataType::Bfloat16) => halves(raw)
            .map(|bits| half::bf16::from_bits(bits).to_f32())
            .collect(),
        (None, DataType::Float) => tensor.float_data.clone(),
        (None, DataType::Float16) => typed_halves(tensor)?
            .map(|bits| half::f16::from_bits(bits).to_f32())
            .collect(),
        (None, DataType::Bfloat16) => typed_halves(tensor)?
            .map(|bits| half::bf16::from_bits(bits).to_f32())
            .collect(),
        _ => return None,
    };
    (values.len() == count).then_some(values)
}

/// 16-bit little-endian words.
pub(super) fn halves(raw: &[u8]) -> impl Iterator<Item = u16> + Clone + '_ {
    raw.chunks_exact(2)
        .filter_map(|chunk| chunk.try_into().ok().map(u16::from_le_bytes))
}

/// ONNX keeps 16-bit floats of `int32_data` as bit patterns in the lower half.
fn typed_halves(tensor: &TensorProto) -> Option<impl Iterator<Item = u16>> {
    let words = tensor
        .int32_data
        .iter()
        .map(|&word| u16::try_from(word).ok())
        .collect::<Option<Vec<_>>>()?;
    Some(words.into_iter())
}
