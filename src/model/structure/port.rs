//! What an input other than token ids and caches means: by what reads it, and by its name only where a mask and
//! positions are not told apart by that.

use std::collections::HashSet;

use super::super::architecture::{Element, InputRole};
use super::super::index::GraphIndex;
use super::super::onnx::{NodeProto, ValueInfoProto};
use super::super::operators::{Fed, fed};
use super::inputs::unknown;
use super::reach::Reach;
use super::score_mask;
use super::shape;
use crate::fault::Result;

/// How many operators are looked at to tell what an input is for.
const FAR: usize = 512;

/// A table with fewer rows cannot hold positions: prompts are longer.
const SEGMENTS: usize = 8;

/// The role of an input.
///
/// # Errors
/// Nothing tells what has to be fed.
pub(super) fn of(
    reach: &Reach<'_, '_>,
    input: &ValueInfoProto,
    element: Element,
) -> Result<InputRole> {
    let index = reach.index;
    let dims = shape::of_info(input);
    let role = match dims.as_deref() {
        Some([] | [Some(1)]) => single(index, input.name()),
        Some([_]) => row(index, input.name()),
        Some([_, _]) | None => return by_token(index, input, element),
        Some([_, _, _]) if !element.is_float() && rotates(index, input.name()) => {
            return Err(unknown(
                input,
                &format!(
                    "of positions on several axes, [{}]",
                    shape::symbolic(input).unwrap_or_default().join(", ")
                ),
            )
            .hint("text alone has one axis of positions: export the language model without its vision part"));
        }
        Some([_, _, _, _]) => score_mask::of(reach, input, element).map(InputRole::ScoreMask),
        Some(_) => None,
    };
    role.ok_or_else(|| {
        if chooses(index, input.name()) {
            return unknown(input, "that chooses between the branches of an `If`").hint(
                "export the model with the cache always taken, or never; optimum writes both next to the merged one",
            );
        }
        if element.is_float() {
            return unknown(input, "of floats that no attention reads as its past");
        }
        unknown(
            input,
            &format!(
                "of shape [{}]",
                shape::symbolic(input).unwrap_or_default().join(", ")
            ),
        )
    })
}

/// One number for the whole batch.
fn single(index: &GraphIndex<'_>, input: &str) -> Option<InputRole> {
    if taken_for(index, input, Fed::TotalLength) {
        Some(InputRole::TotalLength)
    } else if slices(index, input) {
        Some(InputRole::LogitsToKeep)
    } else {
        row(index, input)
    }
}

/// One number for each row, or for each token of all rows.
fn row(index: &GraphIndex<'_>, input: &str) -> Option<InputRole> {
    if taken_for(index, input, Fed::LastTokens) {
        Some(InputRole::LastTokens)
    } else if rotates(index, input) || compares(index, input) {
        Some(InputRole::CachePositions)
    } else if slices(index, input) {
        Some(InputRole::LogitsToKeep)
    } else {
        None
    }
}

/// `[batch, seq]`, `[batch, total_seq]` or `[batch, 1]`.
fn by_token(index: &GraphIndex<'_>, input: &ValueInfoProto, element: Element) -> Result<InputRole> {
    let name = input.name();
    if taken_for(index, name, Fed::LastTokens) {
        return Ok(InputRole::LastTokens);
    }
    if element == Element::Bool || taken_for(index, name, Fed::Mask) {
        return Ok(InputRole::AttentionMask);
    }
    if element.is_float() {
        return masks(index, name)
            .then_some(InputRole::AttentionMask)
            .ok_or_else(|| unknown(input, "of floats that no attention reads as its past"));
    }
    if segments(index, name) {
        return Ok(InputRole::TokenTypes);
    }
    if taken_for(index, name, Fed::Positions) || rotates(index, name) {
        return Ok(InputRole::PositionIds);
    }
    if masks(index, name) {
        return Ok(InputRole::AttentionMask);
    }
    let lower = name.to_ascii_lowercase();
    if lower.contains("mask") {
        Ok(InputRole::AttentionMask)
    } else if lower.contains("position") {
        Ok(InputRole::PositionIds)
    } else {
        Err(unknown(
            input,
            "that is neither token ids nor used like a mask or positions",
        ))
    }
}

/// Whether an operator takes the input for that, with at most its type or shape changed.
fn taken_for(index: &GraphIndex<'_>, input: &str, what: Fed) -> bool {
    follow(index, input, |op, slot, _| match op {
        "Cast" | "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" => None,
        _ => Some(fed(op, slot) == Some(what)),
    })
}

/// Whether an input indexes a table that is too small for positions.
fn segments(index: &GraphIndex<'_>, input: &str) -> bool {
    let small = |node: &NodeProto| {
        let table = node.input.first();
        table
            .and_then(|table| shape::dims(index, table))
            .and_then(|dims| dims.first().copied().flatten())
            .is_some_and(|rows| rows < SEGMENTS)
    };
    taken_for(index, input, Fed::Segments)
        || follow(index, input, |op, slot, node| match op {
            "Cast" | "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => None,
            "Gather" => Some(slot == 1 && small(node)),
            _ => Some(false),
        })
}

/// Whether an input becomes angles or indexes a table without being counted up first, as positions do.
fn rotates(index: &GraphIndex<'_>, input: &str) -> bool {
    follow(index, input, |op, slot, node| match op {
        "Cos" | "Sin" => Some(true),
        "RotaryEmbedding" | "GemmaRotaryEmbedding" => (slot > 0).then_some(true),
        _ if fed(op, slot) == Some(Fed::Positions) => Some(true),
        "Gather" | "GatherBlockQuantized" => Some(
            slot == 1
                && node
                    .input
                    .first()
                    .is_some_and(|table| index.constant(table).is_some()),
        ),
        "Cast" | "Identity" | "Reshape" | "Unsqueeze" | "Squeeze" | "Expand" | "Mul" | "MatMul"
        | "Transpose" | "Concat" | "Slice" | "Add" | "Where" | "Flatten" | "Einsum" => None,
        _ => Some(false),
    })
}

/// Whether an input is compared with other places, as places in a cache are.
fn compares(index: &GraphIndex<'_>, input: &str) -> bool {
    follow(index, input, |op, slot, _| match op {
        "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" => Some(true),
        // Where the new keys and values are written to.
        "ScatterND" | "ScatterElements" => Some(slot == 1),
        "Cast" | "Identity" | "Reshape" | "Unsqueeze" | "Squeeze" | "Expand" | "Add" | "Sub"
        | "Flatten" => None,
        _ => Some(false),
    })
}

/// Whether an input says from where on a tensor is kept.
fn slices(index: &GraphIndex<'_>, input: &str) -> bool {
    follow(index, input, |op, slot, _| match op {
        "Slice" => Some(slot == 1 || slot == 2),
        "Cast" | "Identity" | "Reshape" | "Unsqueeze" | "Squeeze" | "Neg" | "Sub" | "Add"
        | "Mul" | "Concat" | "Where" => None,
        _ => Some(false),
    })
}

/// Whether an input is the condition of an `If`.
fn chooses(index: &GraphIndex<'_>, input: &str) -> bool {
    follow(index, input, |op, slot, _| match op {
        "If" => Some(slot == 0),
        "Cast" | "Identity" | "Reshape" | "Squeeze" | "Not" | "Equal" | "Greater" => None,
        _ => Some(false),
    })
}

/// Whether an input decides between values, or is counted, as masks do.
fn masks(index: &GraphIndex<'_>, input: &str) -> bool {
    follow(index, input, |op, slot, _| match op {
        "And" | "Not" | "ReduceSum" | "CumSum" | "Equal" | "Greater" | "Softmax" | "Or" | "Sub" => {
            Some(true)
        }
        "Where" => (slot == 0).then_some(true),
        "Gather" | "GatherND" | "Cast" | "Identity" | "Reshape" | "Unsqueeze" | "Squeeze"
        | "Expand" | "Mul" | "Add" | "Slice" | "Concat" | "Flatten" | "Transpose" => None,
        _ => Some(super::branch::is_attention(op)),
    })
}

/// Follows a tensor forward until the judge says yes; `None` from it means to go on, `Some(false)` to stop there.
fn follow<'g>(
    index: &GraphIndex<'g>,
    input: &str,
    judge: impl Fn(&str, usize, &'g NodeProto) -> Option<bool>,
) -> bool {
    let mut seen = HashSet::new();
    let Some(first) = index.input(input) else {
        return false;
    };
    let mut open = vec![first.name()];
    while let Some(at) = open.pop() {
        for &(consumer, slot) in index.consumers(at) {
            let Some(node) = index.node(consumer) else {
                continue;
            };
            match judge(node.op_type(), slot, node) {
                Some(true) => return true,
                Some(false) => {}
                None => {
                    if seen.len() < FAR && seen.insert(consumer) {
                        open.extend(node.output.iter().map(String::as_str));
                    }
                }
            }
        }
    }
    false
}
