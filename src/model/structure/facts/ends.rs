//! What lies below the first block and above the last one.

use std::collections::HashSet;

use super::super::super::architecture::InputRole;
use super::super::super::facts::ModelFacts;
use super::super::reach::Reach;
use super::super::value::{Value, behind_quantised, behind_scale, behind_transparent};
use super::super::{inputs, linear, norm, shape};
use super::Whole;
use super::part::{factor, op};
use super::{attention, norms, unused};

/// How many operators are looked at on the way to a position, a table or a weight.
const FAR: usize = 64;

pub(super) fn facts<'g>(reach: &Reach<'_, 'g>, whole: &Whole<'_, 'g>) -> ModelFacts {
    let (after, _) = reach
        .after(whole.unembedding, whole.logits)
        .unwrap_or_default();
    let logit_cap = attention::cap(reach, &after);
    let tables = below(reach, whole.embedding);
    ModelFacts {
        added_positions: positions(reach, whole, &tables),
        embedding_norm: norms::passed(reach, whole.embedding),
        embedding_scale: whole
            .token_embedding()
            .and_then(|tensor| scale(reach, tensor)),
        final_norm: whole.ln_final.and_then(|name| norms::passed(reach, name)),
        tied: tied(reach, whole, &tables),
        logit_cap,
        logit_scale: after
            .iter()
            .find_map(|&node| factor(reach, node))
            .filter(|_| logit_cap.is_none()),
        unused: unused::count(reach, whole.logits),
    }
}

/// Every node that the embedding is computed by.
fn below<'g>(reach: &Reach<'_, 'g>, embedding: &'g str) -> Vec<usize> {
    let mut seen = HashSet::new();
    let mut open = vec![embedding];
    while let Some(at) = open.pop() {
        let Some((node, _)) = reach.index.producer(at) else {
            continue;
        };
        if seen.insert(node) {
            open.extend(reach.index.reads(node));
        }
    }
    seen.into_iter().collect()
}

/// Whether a table with a row for each position is added: one that a count, or the input of positions, looks up.
fn positions(reach: &Reach<'_, '_>, whole: &Whole<'_, '_>, below: &[usize]) -> bool {
    below.iter().any(|&node| {
        let Some(message) = reach.index.node(node) else {
            return false;
        };
        let slots = match message.op_type() {
            "Gather" | "GatherND" | "GatherBlockQuantized" => [0, 1],
            // Where the length is fixed the rows are looked up in advance.
            "Add" => return message.input.iter().any(|term| has_rows(reach, term)),
            "EmbedLayerNormalization" => {
                return message.input.get(3).is_some_and(|table| !table.is_empty());
            }
            _ => return false,
        };
        let [Some(table), Some(indices)] = slots.map(|slot| message.input.get(slot)) else {
            return false;
        };
        stored(reach, table).is_some() && counts(reach, whole, indices)
    })
}

/// Whether a constant has a row for each position.
fn has_rows(reach: &Reach<'_, '_>, term: &str) -> bool {
    let dims = reach
        .index
        .constant(term)
        .and(shape::dims(reach.index, term));
    let rows = dims.and_then(|dims| dims.get(dims.len().checked_sub(2)?).copied().flatten());
    rows.is_some_and(|rows| rows > 1)
}

fn counts(reach: &Reach<'_, '_>, whole: &Whole<'_, '_>, indices: &str) -> bool {
    let mut at = indices;
    for _ in 0..FAR {
        if whole.is_fed(at, &InputRole::PositionIds) {
            return true;
        }
        if let Some(values) = reach.index.integers(at) {
            return values.len() > 2
                && values
                    .windows(2)
                    .all(|pair| matches!(pair, [a, b] if a.checked_add(1) == Some(*b)));
        }
        let Some((node, _)) = reach.index.producer(at) else {
            return false;
        };
        match op(reach, node) {
            "Range" | "CumSum" => return true,
            "Add" | "Sub" | "Mul" | "Cast" | "Identity" | "Unsqueeze" | "Squeeze" | "Reshape"
            | "Slice" | "Expand" => {}
            _ => return false,
        }
        let reads: Vec<&str> = reach.index.reads(node).collect();
        let computed = reads.iter().find(|name| {
            reach
                .index
                .integers(name)
                .is_none_or(|values| values.len() > 2)
        });
        let Some(next) = computed.or(reads.first()) else {
            return false;
        };
        at = next;
    }
    false
}

/// The factor on the way from the lookup to the stream.
fn scale(reach: &Reach<'_, '_>, embedding: &str) -> Option<f32> {
    let (node, slot) = reach.index.producer(embedding)?;
    let mut at = reach.index.node(node)?.output.get(slot)?.as_str();
    for _ in 0..FAR {
        if let Some(behind) = behind_scale(reach, at) {
            let found = reach
                .index
                .producer(at)
                .and_then(|(node, _)| factor(reach, node));
            if found.is_some() {
                return found;
            }
            at = behind;
            continue;
        }
        at = behind_transparent(reach, at)
            .or_else(|| behind_quantised(reach, at))
            .or_else(|| match norm::input_behind_affine(reach, at) {
                Some(Value::Named(behind)) => Some(behind),
                _ => None,
            })?;
    }
    None
}

/// Whether the unembedding and the lookup of the tokens end in the same initialiser.
fn tied(reach: &Reach<'_, '_>, whole: &Whole<'_, '_>, below: &[usize]) -> bool {
    let unembedding = linear::factors(reach, whole.unembedding);
    let weight =
        unembedding.and_then(|factors| factors.into_iter().find(|factor| !reach.is_live(factor)));
    let Some(weight) = weight.and_then(|weight| stored(reach, weight)) else {
        return false;
    };
    below.iter().any(|&node| {
        let table = inputs::lookup(reach, node).filter(|(_, indices)| {
            inputs::fed_directly(reach, indices)
                .is_some_and(|input| whole.is_fed(input, &InputRole::TokenIds))
        });
        table.and_then(|(table, _)| stored(reach, table)) == Some(weight)
    })
}

/// The initialiser behind transpositions, casts and dequantisation.
fn stored<'g>(reach: &Reach<'_, 'g>, tensor: &'g str) -> Option<&'g str> {
    let mut at = tensor;
    for _ in 0..FAR {
        if let Some(found) = reach.index.initializer(at) {
            return Some(found.name());
        }
        let node = reach.index.node(reach.index.producer(at)?.0)?;
        match node.op_type() {
            "Transpose" | "Identity" | "Cast" | "DequantizeLinear" | "Reshape" => {
                at = node.input.first()?;
            }
            _ => return None,
        }
    }
    None
}
