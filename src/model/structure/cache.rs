//! Key and value caches: the shape of an empty one, and the graph output that returns it grown by the new tokens.
//!
//! A cache is known by what reads it: the operator that joins the past with the present.

use std::collections::HashSet;

use super::super::index::attribute;
use super::super::onnx::{NodeProto, ValueInfoProto};
use super::super::operators::returned_cache;
use super::heads::integer;
use super::inputs::unknown;
use super::reach::Reach;
use super::shape;
use crate::fault::Result;

/// How many operators may stand between a cache and its reader, or between the grown cache and the graph's output.
const FAR: usize = 16;

/// A cache that is fed into the graph.
pub(super) struct Cache {
    /// Dimensions of an empty one, with `None` for the batch.
    pub dims: Vec<Option<usize>>,
    /// The graph output that returns it.
    pub grown: Option<String>,
}

/// The node that joins the past with the present.
struct Reader<'g> {
    node: usize,
    /// The axis of the past, as the input counts axes.
    past: usize,
    /// The joint value.
    joined: &'g str,
    /// For each axis of the joint value, the input's.
    axes: Vec<usize>,
}

/// The cache that the input is, if an attention reads it as its past.
///
/// # Errors
/// A dimension cannot be told.
pub(super) fn read(reach: &Reach<'_, '_>, input: &ValueInfoProto) -> Result<Option<Cache>> {
    let stated = shape::of_info(input).unwrap_or_default();
    let Some(reader) = reader(reach, input.name(), stated.len()).filter(|_| stated.len() >= 3)
    else {
        return Ok(None);
    };
    // Keys and values in one tensor have an axis of their own before the batch.
    let batch = stated.len().saturating_sub(4);
    let mut dims = Vec::new();
    for (axis, size) in stated.iter().enumerate() {
        dims.push(if axis == reader.past {
            Some(window(reach, reader.node).unwrap_or(0))
        } else if axis <= batch {
            *size
        } else {
            let implied = || {
                if axis + 1 == stated.len() {
                    head_size(reach, &reader)
                } else {
                    kv_heads(reach, reader.node)
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
    let grown = grown(reach, &reader).filter(|output| same_type(reach, input, output));
    Ok(Some(Cache { dims, grown }))
}

fn reader<'g>(reach: &Reach<'_, 'g>, input: &'g str, rank: usize) -> Option<Reader<'g>> {
    let mut at = input;
    let mut axes: Vec<usize> = (0..rank).collect();
    for _ in 0..FAR {
        let consumers = reach.index.consumers(at);
        for &(node, slot) in consumers {
            let message = reach.index.node(node)?;
            // A concatenation of a single part, as the cache of a tuple of tensors makes them, hands it on.
            if message.op_type() == "Concat" && message.input.len() > 1 {
                let axis = attribute(message, "axis")?.i?;
                let rank = i64::try_from(rank).ok()?;
                let axis = if axis < 0 {
                    axis.checked_add(rank)?
                } else {
                    axis
                };
                return Some(Reader {
                    node,
                    past: *axes.get(usize::try_from(axis).ok()?)?,
                    joined: message.output.first().filter(|_| slot == 0)?,
                    axes,
                });
            }
            if let Some(output) = returned_cache(message.domain(), message.op_type(), slot) {
                return Some(Reader {
                    node,
                    // `[batch, head, past, d_head]` in all of them.
                    past: *axes.get(rank.checked_sub(2)?)?,
                    joined: message.output.get(output).map_or("", String::as_str),
                    axes,
                });
            }
        }
        let through = consumers
            .iter()
            .filter_map(|&(node, _)| reach.index.node(node))
            .find(|message| passes(message))?;
        axes = moved(through, &axes)?;
        at = through.output.first()?;
    }
    None
}

/// Whether an operator hands a cache on, at most in another layout or type.
fn passes(message: &NodeProto) -> bool {
    match message.op_type() {
        "Cast" | "Identity" | "Dropout" | "Transpose" => true,
        "Concat" => message.input.len() == 1,
        _ => false,
    }
}

/// The axes behind an operator that passes a tensor with these axes on.
fn moved(message: &NodeProto, axes: &[usize]) -> Option<Vec<usize>> {
    if message.op_type() != "Transpose" {
        return Some(axes.to_vec());
    }
    match attribute(message, "perm") {
        None => Some(axes.iter().rev().copied().collect()),
        Some(perm) => perm
            .ints
            .iter()
            .map(|axis| axes.get(usize::try_from(*axis).ok()?).copied())
            .collect(),
    }
}

/// The graph output that is the joint value, in the input's layout.
fn grown(reach: &Reach<'_, '_>, reader: &Reader<'_>) -> Option<String> {
    let mut seen = HashSet::new();
    let mut open = vec![(reader.joined, reader.axes.clone())];
    while let Some((at, axes)) = open.pop() {
        let is_output = || {
            let mut outputs = reach.index.graph().output.iter();
            outputs.any(|output| output.name() == at)
        };
        if axes.is_sorted() && is_output() {
            return Some(at.to_owned());
        }
        for &(node, slot) in reach.index.consumers(at) {
            let Some(message) = reach.index.node(node) else {
                continue;
            };
            if slot == 0
                && passes(message)
                && seen.len() < FAR
                && seen.insert(node)
                && let (Some(output), Some(axes)) = (message.output.first(), moved(message, &axes))
            {
                open.push((output, axes));
            }
        }
    }
    None
}

/// Whether what the output returns can be fed into the input as it is.
fn same_type(reach: &Reach<'_, '_>, input: &ValueInfoProto, output: &str) -> bool {
    let kind = |info| shape::tensor_type(info).and_then(|tensor| tensor.elem_type);
    let output = reach
        .index
        .graph()
        .output
        .iter()
        .find(|found| found.name() == output);
    output
        .and_then(kind)
        .is_some_and(|of| kind(input) == Some(of))
}

/// The length of the buffer that the operator slides over the tokens; it takes no shorter past, not even an empty one.
fn window(reach: &Reach<'_, '_>, reader: usize) -> Option<usize> {
    integer(reach, reader, "sliding_window_cache")?;
    integer(reach, reader, "local_window_size")
}

fn kv_heads(reach: &Reach<'_, '_>, reader: usize) -> Option<usize> {
    ["kv_num_heads", "num_heads"]
        .iter()
        .find_map(|name| integer(reach, reader, name))
}

/// `d_head` from the width of the projection that the fused operator reads, or from the new part of a concatenation.
fn head_size(reach: &Reach<'_, '_>, reader: &Reader<'_>) -> Option<usize> {
    let message = reach.index.node(reader.node)?;
    if message.op_type() == "Concat" {
        let last = reader.axes.len().checked_sub(1)?;
        let place = reader.axes.iter().position(|axis| *axis == last)?;
        return message
            .input
            .iter()
            .skip(1)
            .find_map(|part| *shape::dims(reach.index, part)?.get(place)?);
    }
    let heads = integer(reach, reader.node, "num_heads")
        .or_else(|| integer(reach, reader.node, "q_num_heads"))?;
    let kv_heads = kv_heads(reach, reader.node).unwrap_or(heads);
    let keys = message.input.get(1).filter(|keys| !keys.is_empty());
    if let Some(keys) = keys {
        return shape::width(reach, keys)?.checked_div(kv_heads);
    }
    let packed = heads.checked_add(kv_heads.checked_mul(2)?)?;
    shape::width(reach, message.input.first()?)?.checked_div(packed)
}
