//! Heads and head sizes of an attention, where its operator, its shapes or its reshapes tell them.

use std::collections::HashSet;

use super::super::index::attribute;
use super::linear;
use super::reach::Reach;
use super::shape;

/// How many tensors are looked at on the way from the scores to the reshape of the queries.
const FAR: usize = 64;

/// Query heads of the attention whose softmax or fused operator is `node`; `width` is that of all heads' values side by
/// side, where it is known.
pub(super) fn of(reach: &Reach<'_, '_>, node: usize, width: Option<usize>) -> Option<usize> {
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
        _ => reshaped(reach, data, width),
    }
}

/// The integer attribute of a node.
pub(super) fn integer(reach: &Reach<'_, '_>, node: usize, name: &str) -> Option<usize> {
    let value = attribute(reach.index.node(node)?, name)?.i?;
    usize::try_from(value).ok().filter(|&count| count > 0)
}

/// The first `[batch, seq, head, d_head]` reshape that the queries pass, back from their product with the keys.
fn reshaped(reach: &Reach<'_, '_>, scores: &str, width: Option<usize>) -> Option<usize> {
    let mut at = scores;
    for _ in 0..FAR {
        let (node, _) = reach.index.producer(at)?;
        let message = reach.index.node(node)?;
        if let Some([queries, keys]) = linear::factors(reach, node)
            && reach.is_live(queries)
            && reach.is_live(keys)
        {
            return from_queries(reach, queries, width);
        }
        at = message.input.iter().find(|name| reach.is_live(name))?;
    }
    None
}

fn from_queries<'g>(
    reach: &Reach<'_, 'g>,
    queries: &'g str,
    width: Option<usize>,
) -> Option<usize> {
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
            let cut = message
                .output
                .first()
                .is_some_and(|made| cuts_heads(reach, made));
            let found = pieces.and_then(|pieces| {
                let size = d_head(&pieces)?;
                let by_size = || width.filter(|width| width.is_multiple_of(size));
                let by_size = || {
                    by_size()
                        .map(|width| width / size)
                        .filter(|&heads| heads > 0)
                };
                // Queries, keys and values may share the axis of the heads: then only the size of a head is told.
                if cut {
                    return by_size();
                }
                heads_of(reach, &pieces, data?).or_else(by_size)
            });
            if let Some(heads) = found {
                return Some(heads);
            }
        }
        open.extend(reach.live_inputs(node));
    }
    None
}

/// Whether something takes a part of the heads in a tensor `[batch, seq, head, d_head]`.
fn cuts_heads(reach: &Reach<'_, '_>, tensor: &str) -> bool {
    const HEADS: i64 = 2;
    reach.index.consumers(tensor).iter().any(|&(node, _)| {
        let Some(message) = reach.index.node(node) else {
            return false;
        };
        let stated = |name: &str| attribute(message, name).and_then(|axis| axis.i);
        match message.op_type() {
            "Gather" | "Split" => stated("axis") == Some(HEADS),
            "Slice" => match message.input.get(3) {
                Some(axes) => reach.index.integers(axes).as_deref() == Some(&[HEADS]),
                None => attribute(message, "axes").is_some_and(|axes| axes.ints == [HEADS]),
            },
            _ => false,
        }
    })
}

/// The last piece of a reshape to `[batch, seq, head, …, d_head]`.
fn d_head(pieces: &[Option<i64>]) -> Option<usize> {
    match pieces {
        [_, _, _, .., Some(last)] => usize::try_from(*last).ok().filter(|&size| size > 0),
        _ => None,
    }
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
