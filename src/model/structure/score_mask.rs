//! A mask over the attention scores: which value lets a token be attended to.

use std::collections::HashSet;

use super::super::architecture::{Element, Open, ScoreMask};
use super::super::onnx::{NodeProto, ValueInfoProto};
use super::super::tensor;
use super::branch::is_attention;
use super::reach::Reach;
use super::shape;

/// How many operators are looked at.
const FAR: usize = 512;

/// The mask that an input `[batch, head, query, key]` is, if what reads it tells.
pub(super) fn of(
    reach: &Reach<'_, '_>,
    input: &ValueInfoProto,
    element: Element,
) -> Option<ScoreMask> {
    let dims = shape::of_info(input)?;
    let [_, heads, queries, _] = dims.as_slice() else {
        return None;
    };
    Some(ScoreMask {
        heads: heads.unwrap_or(1),
        by_query: *queries != Some(1),
        open: open(reach, input.name(), element.is_float())?,
    })
}

/// Follows the mask to the scores that it is added to or that it chooses from.
fn open(reach: &Reach<'_, '_>, input: &str, float: bool) -> Option<Open> {
    let mut seen = HashSet::new();
    let mut todo = vec![(input, false, false)];
    while let Some((at, negated, added)) = todo.pop() {
        for &(consumer, slot) in reach.index.consumers(at) {
            let Some(node) = reach.index.node(consumer) else {
                continue;
            };
            let mut state = (negated, added);
            match node.op_type() {
                op if is_attention(op) => {
                    return Some(if float { Open::Zero } else { opened(!negated) });
                }
                "Softmax" if float && added => return Some(Open::Zero),
                "Add" if float => state.1 = true,
                "Not" => state.0 = !negated,
                "Where" if slot == 0 && !float => {
                    return Some(opened(chosen(reach, node)? != negated));
                }
                "Where" if float => {}
                // A truth value that becomes a number may be added or multiplied, so that nothing is told.
                "Cast" if to_bool(node) == float => continue,
                "Cast" | "Identity" | "Reshape" | "Unsqueeze" | "Squeeze" | "Expand" | "Slice"
                | "And" | "Transpose" => {}
                _ => continue,
            }
            if seen.len() < FAR && seen.insert(consumer) {
                let outputs = node.output.iter().map(String::as_str);
                todo.extend(outputs.map(|output| (output, state.0, state.1)));
            }
        }
    }
    None
}

fn opened(is_true: bool) -> Open {
    if is_true { Open::True } else { Open::False }
}

fn to_bool(node: &NodeProto) -> bool {
    use super::super::index::attribute;
    use super::super::onnx::tensor_proto::DataType;
    attribute(node, "to").and_then(|to| to.i) == Some(DataType::Bool as i64)
}

/// Whether the first of the two values that a `Where` chooses from stands for what may be attended to: the scores
/// themselves, or the larger of two constants.
fn chosen(reach: &Reach<'_, '_>, node: &NodeProto) -> Option<bool> {
    let (yes, no) = (node.input.get(1)?, node.input.get(2)?);
    match (reach.is_live(yes), reach.is_live(no)) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => Some(number(reach, yes)? > number(reach, no)?),
    }
}

fn number(reach: &Reach<'_, '_>, name: &str) -> Option<f32> {
    let constant = reach.index.constant(name)?;
    let values = tensor::floats(constant, constant.raw_data.as_deref())?;
    values.first().copied()
}
