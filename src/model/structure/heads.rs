//! Heads and head sizes of an attention, where its operator, its shapes or its reshapes tell them.

use std::collections::HashSet;

use super::super::index::attribute;
use super::super::operators::{Role, role};
use super::linear;
use super::reach::Reach;
use super::{scalar, shape};

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
    if role(message.op_type()) != Some(Role::Softmax) {
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
    let mut joined = None;
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
            let shape = message.input.get(1);
            let pieces = shape.and_then(|shape| scalar::pieces(reach, shape));
            let pieces = pieces.unwrap_or_default();
            let made = message.output.first();
            let cut = made.is_some_and(|made| cuts_heads(reach, made));
            let data = message.input.first().map(String::as_str);
            let whole = data.and_then(|data| shape::width(reach, data));
            if let Some(heads) = told(&pieces, width, whole, cut) {
                return Some(heads);
            }
            if let [_, _, Some(last)] = pieces.as_slice() {
                joined = joined.or(width.and_then(|width| parts(width, *last)));
            }
        }
        open.extend(reach.live_inputs(node));
    }
    joined
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

/// Heads of a reshape to `[batch, seq, head, …, d_head]` or `[batch, head, seq, d_head]`; `width` is that of all heads' values
/// side by side, `whole` that of what is reshaped. `cut` says that queries, keys and values share the axis of the heads.
fn told(
    pieces: &[Option<i64>],
    width: Option<usize>,
    whole: Option<usize>,
    cut: bool,
) -> Option<usize> {
    let [_, second, third, .., last] = pieces else {
        return None;
    };
    let inner = pieces.get(3..)?.iter().try_fold(1_i64, |product, piece| {
        product.checked_mul((*piece).filter(|&piece| piece > 0)?)
    })?;
    let known = |piece: Option<i64>| piece.and_then(|piece| usize::try_from(piece).ok());
    let third = match third {
        Some(-1) => whole.and_then(|whole| parts(whole, inner)),
        piece => known(*piece),
    };
    let Some(width) = width else {
        return third.filter(|&heads| heads > 0);
    };
    let make = |heads: Option<usize>, times: usize| {
        let heads = heads.filter(|&heads| heads > 0)?;
        let values = heads.checked_mul(usize::try_from(inner).ok()?)?;
        (values == width.checked_mul(times)?).then_some(heads)
    };
    let by_size = || parts(width, (*last)?);
    if cut {
        return by_size();
    }
    // Queries alone, or queries, keys and values together: in each head, or as three times as many heads.
    make(third, 1)
        .or_else(|| make(known(*second), 1))
        .or_else(|| make(third, 3).filter(|_| inner % 3 == 0))
        .or_else(by_size)
}

/// How many parts of that size make up a width.
fn parts(width: usize, size: i64) -> Option<usize> {
    let size = usize::try_from(size).ok().filter(|&size| size > 0)?;
    let whole = width > 0 && width.is_multiple_of(size);
    whole.then(|| width / size)
}

#[cfg(test)]
mod tests {
    #[test]
    fn heads_are_told_by_what_makes_up_the_width() {
        let told = |pieces: &[i64], cut| {
            let pieces: Vec<_> = pieces.iter().map(|&piece| Some(piece)).collect();
            super::told(&pieces, Some(64), Some(64), cut)
        };
        assert_eq!(told(&[2, 7, 4, 16], false), Some(4));
        assert_eq!(told(&[2, 7, -1, 16], false), Some(4));
        assert_eq!(
            told(&[2, 4, 16, 16], false),
            Some(4),
            "[batch, head, seq, d_head]"
        );
        assert_eq!(
            told(&[2, 7, 4, 48], false),
            Some(4),
            "queries, keys and values of a head"
        );
        assert_eq!(told(&[2, 7, 4, 3, 16], false), Some(4));
        assert_eq!(
            told(&[2, 7, 12, 16], false),
            Some(4),
            "as three times as many heads"
        );
        assert_eq!(
            told(&[2, 7, 6, 16], true),
            Some(4),
            "four queries, a key and a value"
        );
        assert_eq!(told(&[2, 7, 64], false), None);
    }
}
