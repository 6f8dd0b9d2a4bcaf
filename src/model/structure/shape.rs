//! Sizes of tensors: as the graph states them, or as its weights and constants imply them.

use super::super::index::{GraphIndex, attribute};
use super::super::onnx::ValueInfoProto;
use super::super::onnx::tensor_shape_proto::dimension::Value as Dim;
use super::super::onnx::type_proto::{Tensor, Value};
use super::super::operators::{Role, role};
use super::super::tensor;
use super::linear;
use super::reach::Reach;

/// How far sizes are followed back through operators that keep them.
const FAR: usize = 32;

/// The tensor type of a value.
pub(super) fn tensor_type(info: &ValueInfoProto) -> Option<&Tensor> {
    match info.r#type.as_ref()?.value.as_ref()? {
        Value::TensorType(tensor) => Some(tensor),
        _ => None,
    }
}

/// Dimensions as text, `?` where nothing is said; `None` without a shape.
pub(super) fn symbolic(info: &ValueInfoProto) -> Option<Vec<String>> {
    let shape = tensor_type(info)?.shape.as_ref()?;
    let texts = shape.dim.iter().map(|dim| match &dim.value {
        Some(Dim::DimValue(size)) => size.to_string(),
        Some(Dim::DimParam(name)) if !name.is_empty() => name.clone(),
        _ => "?".into(),
    });
    Some(texts.collect())
}

/// Dimensions as the graph states them, `None` where nothing is said; `None` without a shape.
pub(super) fn stated(info: &ValueInfoProto) -> Option<Vec<Option<&Dim>>> {
    let shape = tensor_type(info)?.shape.as_ref()?;
    Some(shape.dim.iter().map(|dim| dim.value.as_ref()).collect())
}

/// The size of a dimension that is no symbol.
pub(super) fn size(dim: Option<&Dim>) -> Option<usize> {
    match dim {
        Some(Dim::DimValue(size)) => usize::try_from(*size).ok(),
        _ => None,
    }
}

/// Dimensions of an input or output: a size, or `None` where it is symbolic.
pub(super) fn of_info(info: &ValueInfoProto) -> Option<Vec<Option<usize>>> {
    let shape = tensor_type(info)?.shape.as_ref()?;
    let sizes = shape.dim.iter().map(|dim| size(dim.value.as_ref()));
    Some(sizes.collect())
}

/// Dimensions of a tensor that is stated or constant.
pub(super) fn dims(index: &GraphIndex<'_>, name: &str) -> Option<Vec<Option<usize>>> {
    let mut at = name;
    let mut flipped = false;
    for _ in 0..FAR {
        let known = match index.constant(at) {
            Some(found) => Some(tensor::dims(found)?.0.into_iter().map(Some).collect()),
            None => index.info(at).and_then(of_info),
        };
        if let Some(mut dims) = known {
            if flipped {
                dims.reverse();
            }
            return Some(dims);
        }
        let node = index.node(index.producer(at)?.0)?;
        match node.op_type() {
            "QuantizeLinear" | "DequantizeLinear" | "Identity" | "Cast" => {}
            // Only a matrix: there the default permutation is the only one that does anything.
            "Transpose" if attribute(node, "perm").is_none_or(|perm| perm.ints == [1, 0]) => {
                flipped = !flipped;
            }
            _ => return None,
        }
        at = node.input.first()?;
    }
    None
}

/// Number of elements, where every dimension is known.
pub(super) fn elements(index: &GraphIndex<'_>, name: &str) -> Option<usize> {
    if let Some(constant) = index.constant(name) {
        return tensor::dims(constant).map(|(_, count)| count);
    }
    if let Some((node, _)) = index.producer(name) {
        let node = index.node(node)?;
        let one = ["value_float", "value_int"];
        if node.op_type() == "Constant" && one.iter().any(|key| attribute(node, key).is_some()) {
            return Some(1);
        }
    }
    dims(index, name)?
        .into_iter()
        .try_fold(1_usize, |product, dim| product.checked_mul(dim?))
}

/// Number of dimensions: stated, or implied by a reshape or a `Gemm` behind operators that keep it.
pub(super) fn rank(reach: &Reach<'_, '_>, name: &str) -> Option<usize> {
    let index = reach.index;
    let mut at = name;
    for _ in 0..FAR {
        if let Some(dims) = index.info(at).and_then(of_info) {
            return Some(dims.len());
        }
        let producer = index.producer(at)?.0;
        let node = index.node(producer)?;
        match node.op_type() {
            "Gemm" => return Some(2),
            "Reshape" => return Some(pieces(index, node.input.get(1)?)?.len()),
            "Transpose" => at = node.input.first()?,
            op => match role(op) {
                Some(Role::Lookup { table, indices }) => {
                    let info = |slot: usize| index.info(node.input.get(slot)?).and_then(of_info);
                    let table = dims(index, node.input.get(table)?)?.len();
                    return (info(indices)?.len() + table).checked_sub(1);
                }
                Some(Role::Norm { .. } | Role::Pointwise | Role::Copy | Role::Quantise) => {
                    at = node.input.iter().find(|side| reach.is_live(side))?;
                }
                _ => at = linear::data(reach, producer)?,
            },
        }
    }
    None
}

/// Size of the last dimension: stated, or implied by weights behind operators that keep it.
pub(super) fn width(reach: &Reach<'_, '_>, name: &str) -> Option<usize> {
    let index = reach.index;
    let mut at = name;
    for _ in 0..FAR {
        if let Some(last) = dims(index, at).and_then(|dims| dims.last().copied().flatten()) {
            return Some(last);
        }
        let (producer, slot) = index.producer(at)?;
        if let Some(width) = linear::width(reach, producer) {
            return Some(width);
        }
        let node = index.node(producer)?;
        let input = |slot: usize| node.input.get(slot).map(String::as_str);
        match node.op_type() {
            "Transpose" => {
                let perm = attribute(node, "perm")?.ints.as_slice();
                let (last, before) = perm.split_last()?;
                if usize::try_from(*last) != Ok(before.len()) {
                    return None;
                }
                at = input(0)?;
            }
            "Unsqueeze" => {
                let axes = input(1)
                    .and_then(|axes| index.integers(axes))
                    .or_else(|| attribute(node, "axes").map(|axes| axes.ints.clone()))?;
                let last = i64::try_from(rank(reach, input(0)?)? + axes.len()).ok()? - 1;
                if axes.iter().any(|&axis| axis == -1 || axis >= last) {
                    return None;
                }
                at = input(0)?;
            }
            "Split" => {
                let sizes = input(1)
                    .and_then(|sizes| index.integers(sizes))
                    .or_else(|| attribute(node, "split").map(|split| split.ints.clone()));
                return match sizes.and_then(|sizes| sizes.get(slot).copied()) {
                    Some(size) => usize::try_from(size).ok(),
                    None => width_of_first(reach, input(0)?).map(|whole| whole / node.output.len()),
                };
            }
            "Reshape" => {
                let last = pieces(index, input(1)?)?.last().copied().flatten()?;
                match usize::try_from(last) {
                    Ok(size) if size > 0 => return Some(size),
                    _ => return None,
                }
            }
            op => match role(op)? {
                Role::Norm { gain } => {
                    return dims(index, input(gain?)?)?.last().copied().flatten();
                }
                Role::SkipNorm { gain, .. } => {
                    return dims(index, input(gain)?)?.last().copied().flatten();
                }
                Role::Lookup { table, .. } => {
                    return dims(index, input(table)?)?.last().copied().flatten();
                }
                Role::Pointwise => {
                    let vector = node.input.iter().find_map(|side| {
                        let dims = dims(index, side)?;
                        dims.last().copied().flatten().filter(|&last| last > 1)
                    });
                    if vector.is_some() {
                        return vector;
                    }
                    at = node.input.iter().find(|side| reach.is_live(side))?;
                }
                Role::Copy | Role::Quantise | Role::Softmax => at = input(0)?,
                _ => return None,
            },
        }
    }
    None
}

/// [`width`] for a tensor that a linear layer, perhaps with a bias, makes.
fn width_of_first(reach: &Reach<'_, '_>, name: &str) -> Option<usize> {
    let node = reach.index.producer(name)?.0;
    linear::width(reach, node).or_else(|| {
        let message = reach.index.node(node)?;
        message
            .input
            .iter()
            .find_map(|side| dims(reach.index, side)?.last().copied().flatten())
    })
}

/// The elements of a shape tensor, `None` for those that are computed.
pub(super) fn pieces(index: &GraphIndex<'_>, name: &str) -> Option<Vec<Option<i64>>> {
    if let Some(all) = index.integers(name) {
        return Some(all.into_iter().map(Some).collect());
    }
    let node = index.node(index.producer(name)?.0)?;
    match node.op_type() {
        "Concat" => {
            let mut all = Vec::new();
            for part in &node.input {
                match index.integers(part) {
                    Some(values) => all.extend(values.into_iter().map(Some)),
                    None => all.push(constant_behind_unsqueeze(index, part)),
                }
            }
            Some(all)
        }
        _ => None,
    }
}

fn constant_behind_unsqueeze(index: &GraphIndex<'_>, name: &str) -> Option<i64> {
    let node = index.node(index.producer(name)?.0)?;
    let input = node
        .input
        .first()
        .filter(|_| node.op_type() == "Unsqueeze")?;
    match index.integers(input)?.as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}
