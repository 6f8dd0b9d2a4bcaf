//! Dimensions of an empty key or value cache, for models that only come with one.

use super::super::index::attribute;
use super::super::onnx::ValueInfoProto;
use super::heads::integer;
use super::inputs::unknown;
use super::reach::Reach;
use super::shape;
use crate::fault::Result;

/// How many casts may stand between a cache and its reader.
const FAR: usize = 16;

/// Dimensions with `None` for the batch and `Some(0)` for the past.
///
/// # Errors
/// Nothing reads the input as a cache, or a dimension cannot be told.
pub(super) fn dims(reach: &Reach<'_, '_>, input: &ValueInfoProto) -> Result<Vec<Option<usize>>> {
    let stated = shape::of_info(input).unwrap_or_default();
    let (reader, past) = reader(reach, input.name(), stated.len())
        .filter(|_| stated.len() >= 3)
        .ok_or_else(|| unknown(input, "of floats that no attention reads as its past"))?;
    let mut dims = Vec::new();
    for (axis, size) in stated.iter().enumerate() {
        dims.push(if axis == past {
            Some(0)
        } else if axis == 0 {
            *size
        } else {
            let implied = || {
                if axis + 1 == stated.len() {
                    head_size(reach, reader, past)
                } else {
                    kv_heads(reach, reader)
                }
            };
            let known = size.or_else(implied).ok_or_else(|| {
                unknown(
                    input,
                    &format!(
                        "of shape [{}], whose dimension {axis} nothing tells",
                        shape::symbolic(input).unwrap_or_default().join(", ")
                    ),
                )
            })?;
            Some(known)
        });
    }
    Ok(dims)
}

/// The node that joins the past with the present, and the axis of the past.
fn reader(reach: &Reach<'_, '_>, input: &str, rank: usize) -> Option<(usize, usize)> {
    let mut at = input;
    for _ in 0..FAR {
        let consumers = reach.index.consumers(at);
        for &(node, _) in consumers {
            let message = reach.index.node(node)?;
            match message.op_type() {
                "Concat" => {
                    let axis = attribute(message, "axis")?.i?;
                    let rank = i64::try_from(rank).ok()?;
                    let axis = if axis < 0 {
                        axis.checked_add(rank)?
                    } else {
                        axis
                    };
                    return Some((node, usize::try_from(axis).ok()?));
                }
                // `[batch, head, past, d_head]` in all of them.
                op if super::branch::is_attention(op) => {
                    return Some((node, rank.checked_sub(2)?));
                }
                _ => {}
            }
        }
        let through = consumers.iter().find_map(|&(node, _)| {
            let message = reach.index.node(node)?;
            matches!(message.op_type(), "Cast" | "Identity" | "Dropout").then_some(message)
        })?;
        at = through.output.first()?;
    }
    None
}

fn kv_heads(reach: &Reach<'_, '_>, reader: usize) -> Option<usize> {
    integer(reach, reader, "kv_num_heads").or_else(|| integer(reach, reader, "num_heads"))
}

/// `d_head` from the width of the projection that the fused operator reads, or from the new part of a concatenation.
fn head_size(reach: &Reach<'_, '_>, reader: usize, past: usize) -> Option<usize> {
    let message = reach.index.node(reader)?;
    if message.op_type() == "Concat" {
        return message
            .input
            .iter()
            .filter(|part| reach.index.input(part).is_none())
            .find_map(|part| {
                let dims = shape::dims(reach.index, part)?;
                dims.last()
                    .copied()
                    .flatten()
                    .filter(|_| past + 1 != dims.len())
            });
    }
    let heads = integer(reach, reader, "num_heads")?;
    let kv_heads = integer(reach, reader, "kv_num_heads").unwrap_or(heads);
    let keys = message.input.get(1).filter(|keys| !keys.is_empty());
    if let Some(keys) = keys {
        return shape::width(reach, keys)?.checked_div(kv_heads);
    }
    let packed = heads.checked_add(kv_heads.checked_mul(2)?)?;
    shape::width(reach, message.input.first()?)?.checked_div(packed)
}
