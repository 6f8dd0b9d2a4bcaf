//! What crosses from the stream into an attention while every token still stands for itself: as a rule queries, keys and values
//! before heads are told apart and positions are turned in.

use std::collections::HashMap;

use super::super::index::attribute;
use super::super::operators::{Role, role};
use super::reach::Reach;
use super::{linear, scalar, shape};
use crate::fault::Result;

/// Tensors between `stream` and `end` (the values that an attention gathers) of which each token's part is computed from that
/// token alone, and from which the next operator computes something else. In the order in which they are made; `stream`
/// itself may be among them.
///
/// # Errors
/// The graph is too tangled.
pub(super) fn between<'g>(
    reach: &Reach<'_, 'g>,
    stream: &'g str,
    width: usize,
    end: &'g str,
) -> Result<Vec<String>> {
    let nodes = reach.region(end, Some(stream))?;
    let computed = reach.computed_from(stream, &nodes);
    let mut by_token: HashMap<&'g str, usize> = HashMap::new();
    for name in reach.same_value(stream) {
        by_token.insert(name, width);
    }
    let mut crossing: Vec<String> = Vec::new();
    for &node in &nodes {
        let read: Vec<&str> = reach
            .index
            .reads(node)
            .filter(|name| computed.contains(name))
            .collect();
        let Some(message) = reach.index.node(node).filter(|_| !read.is_empty()) else {
            continue;
        };
        let widths: Vec<usize> = read
            .iter()
            .filter_map(|name| by_token.get(name).copied())
            .collect();
        let widest = widths.iter().copied().max().unwrap_or(0);
        let all = widths.len() == read.len();
        let made = message.output.iter().filter(|name| !name.is_empty());
        match kept(reach, node, widest, message.output.len()).filter(|_| all) {
            Some(width) => by_token.extend(made.map(|name| (name.as_str(), width))),
            None => {
                for name in read {
                    if by_token.contains_key(name) && crossing.iter().all(|known| known != name) {
                        crossing.push(name.to_owned());
                    }
                }
            }
        }
    }
    Ok(crossing)
}

/// How wide the outputs are of an operator that treats each token by itself, given how wide its widest input is.
fn kept(reach: &Reach<'_, '_>, node: usize, width: usize, outputs: usize) -> Option<usize> {
    let message = reach.index.node(node)?;
    let data = message.input.first()?;
    match message.op_type() {
        "Einsum" | "DynamicQuantizeLinear" => None,
        "Split" => {
            let axis = attribute(message, "axis")
                .and_then(|axis| axis.i)
                .unwrap_or(0);
            (outputs > 0 && is_last(reach, data, axis)).then_some(width / outputs)
        }
        "ReduceMean" | "ReduceSum" | "ReduceL2" => {
            let axes = message
                .input
                .get(1)
                .and_then(|axes| reach.index.integers(axes))
                .or_else(|| Some(attribute(message, "axes")?.ints.clone()))?;
            let keeps = attribute(message, "keepdims").and_then(|keep| keep.i) != Some(0);
            let last = matches!(axes.as_slice(), [axis] if is_last(reach, data, *axis));
            (keeps && last).then_some(1)
        }
        op => match role(op)? {
            Role::Norm { .. } | Role::SkipNorm { .. } | Role::Copy | Role::Quantise => Some(width),
            Role::Pointwise => {
                let beside = message.input.iter().filter(|name| !reach.is_live(name));
                let wider =
                    beside.filter_map(|name| shape::dims(reach.index, name)?.last().copied()?);
                Some(wider.max().unwrap_or(1).max(width))
            }
            Role::Product(_) => {
                let turned = attribute(message, "transA").and_then(|value| value.i);
                let [_, weight] = linear::factors(reach, node)?;
                let is_weight = linear::data(reach, node).is_some_and(|data| data != weight);
                let flat = shape::dims(reach.index, weight).is_none_or(|dims| dims.len() <= 2)
                    || attribute(message, "K").is_some();
                let wanted = is_weight && flat && turned.unwrap_or(0) == 0;
                linear::width(reach, node).filter(|_| wanted)
            }
            // Batch and sequence may be one axis for a while; heads may not be told apart.
            Role::Reshape if op == "Reshape" => {
                let pieces = scalar::pieces(reach, message.input.get(1)?)?;
                let last = usize::try_from((*pieces.last()?)?).ok()?;
                (matches!(pieces.len(), 2 | 3) && last == width).then_some(width)
            }
            _ => None,
        },
    }
}

fn is_last(reach: &Reach<'_, '_>, tensor: &str, axis: i64) -> bool {
    let rank = shape::rank(reach, tensor).and_then(|rank| i64::try_from(rank).ok());
    axis == -1 || rank.is_some_and(|rank| axis + 1 == rank)
}
