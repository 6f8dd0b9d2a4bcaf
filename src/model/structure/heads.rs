//! Heads and head sizes of an attention, where its operator, its shapes or its reshapes tell them.

use std::collections::HashSet;

use super::super::index::attribute;
use super::linear;
use super::reach::Reach;
use super::shape;

/// How many tensors are looked at on the way from the scores to the reshape of the queries.
const FAR: usize = 64;

/// Query heads of the attention whose softmax or fused operator is `node`.
pub(super) fn of(reach: &Reach<'_, '_>, node: usize) -> Option<usize> {
    let message = reach.index.node(node)?;
    let stated = integer(reach, node, "num_heads").or_else(|| integer(reach, node, "q_num_heads"));
    if stated.is_some() {
        return stated;
    }
    let data = message.input.first()?;
    if message.op_type() != "Softmax" {
        // ONNX's own Attention takes queries as `[batch, head, seq, d_head]` where it states no heads.
        return match shape::dims(reach.index, data)?.as_slice() {
            [_, heads, _, _] => *heads,
            _ => None,
        };
    }
    match shape::dims(reach.index, data).as_deref() {
        Some([_, Some(heads), _, _]) => Some(*heads),
        _ => reshaped(reach, data),
    }
}

/// The integer attribute of a node.
pub(super) fn integer(reach: &Reach<'_, '_>, node: usize, name: &str) -> Option<usize> {
    let value = attribute(reach.index.node(node)?, name)?.i?;
    usize::try_from(value).ok().filter(|&count| count > 0)
}

/// The first `[batch, seq, head, d_head]` reshape that the queries pass, back from their product with the keys.
fn reshaped(reach: &Reach<'_, '_>, scores: &str) -> Option<usize> {
    let mut at = scores;
    for _ in 0..FAR {
        let (node, _) = reach.index.producer(at)?;
        let message = reach.index.node(node)?;
        if let Some([queries, keys]) = linear::factors(reach, node)
            && reach.is_live(queries)
            && reach.is_live(keys)
        {
            return from_queries(reach, queries);
        }
        at = message.input.iter().find(|name| reach.is_live(name))?;
    }
    None
}

fn from_queries<'g>(reach: &Reach<'_, 'g>, queries: &'g str) -> Option<usize> {
    let mut seen = HashSet::new();
    let mut open = vec![queries];
    while let Some(at) = open.pop() {
        let Some((node, _)) = reach.index.producer(at) else {
            continue;
        };
        let Some(message) = reach.index.node(node) else {
            continue;
        };
        if seen.len() > FAR || !seen.insert(node) || linear::data(reach, node).is_some() {
            continue;
        }
        if message.op_type() == "Reshape" {
            let pieces = message
                .input
                .get(1)
                .and_then(|s| shape::pieces(reach.index, s));
            let data = message.input.first();
            if let Some(heads) = pieces.and_then(|pieces| heads_of(reach, &pieces, data?)) {
                return Some(heads);
            }
        }
        open.extend(reach.live_inputs(node));
    }
    None
}

/// Heads of a reshape to `[batch, seq, head, …, d_head]`, where the heads may be left to the size of `data`.
fn heads_of(reach: &Reach<'_, '_>, pieces: &[Option<i64>], data: &str) -> Option<usize> {
    let [_, _, heads, inner @ ..] = pieces else {
        return None;
    };
    let mut size = 1_usize;
    for piece in inner {
        size = size.checked_mul(usize::try_from((*piece)?).ok()?)?;
    }
    match (*heads)? {
        -1 => shape::width(reach, data)?.checked_div(size),
        _ if inner.is_empty() => None,
        heads => usize::try_from(heads).ok(),
    }
    .filter(|&heads| heads > 0)
}
