//! Inside an attention: what its heads have gathered, and the weights that they gathered by.

use std::collections::HashSet;

use super::super::architecture::Layout;
use super::super::index::attribute;
use super::reach::Reach;
use super::{heads, linear, shape};
use crate::fault::Result;

/// A tensor with the layout that its values have, or why the graph does not show it.
pub(super) type Shown<'g> = std::result::Result<(&'g str, Layout), String>;

/// What can be seen of one attention.
pub(super) struct Inside<'g> {
    /// Query heads.
    pub heads: Option<usize>,
    pub z: Shown<'g>,
    pub pattern: Shown<'g>,
}

/// How many quantisations and casts may stand before a product.
const FAR: usize = 8;

/// Looks between the softmax, or the fused operator, in `node` and the `branch` that it ends in.
///
/// # Errors
/// The graph is too tangled.
pub(super) fn look<'g>(
    reach: &Reach<'_, 'g>,
    node: usize,
    branch: &'g str,
    tokens: &str,
) -> Result<Inside<'g>> {
    let (nodes, mixed) = reach.after(node, branch)?;
    // What the output projection reads: it is the first product with a weight behind the attention.
    let projection = nodes.iter().find_map(|&node| {
        let data = linear::data(reach, node).filter(|data| mixed.contains(data))?;
        let width = linear::input_width(reach, node).or_else(|| shape::width(reach, data));
        Some((node, data, width))
    });
    let width = projection.and_then(|(_, _, width)| width);
    let heads = heads::of(reach, node, width);
    Ok(Inside {
        heads,
        z: z(reach, projection, &nodes, heads),
        pattern: pattern(reach, node, &nodes, &mixed, heads, tokens),
    })
}

const NO_HEADS: &str = "the graph does not tell the number of heads";

/// What the output projection reads, with its width, by heads.
fn z<'g>(
    reach: &Reach<'_, 'g>,
    projection: Option<(usize, &'g str, Option<usize>)>,
    nodes: &[usize],
    heads: Option<usize>,
) -> Shown<'g> {
    let (projection, data, width) =
        projection.ok_or("no product with a weight follows the attention in its branch")?;
    let before = nodes.iter().take_while(|&&node| node != projection);
    if before.into_iter().any(|&node| scatters(reach, node)) {
        return Err("the values of a head do not stand side by side in what is projected".into());
    }
    let heads = heads.ok_or(NO_HEADS)?;
    let width =
        width.ok_or("the graph does not tell the width that the output projection reads")?;
    if width == 0 || !width.is_multiple_of(heads) {
        return Err(format!(
            "the output projection reads {width} values, which {heads} heads do not divide"
        ));
    }
    let d_head = width / heads;
    Ok((unquantised(reach, data), Layout::Heads { heads, d_head }))
}

/// Whether a node moves the last axis, in which the values of a head stand.
fn scatters(reach: &Reach<'_, '_>, node: usize) -> bool {
    let node = reach.index.node(node);
    let node = node.filter(|node| node.op_type() == "Transpose");
    let perm = node.and_then(|node| attribute(node, "perm"));
    let split = perm.and_then(|perm| perm.ints.split_last());
    split.is_some_and(|(last, before)| usize::try_from(*last) != Ok(before.len()))
}

/// The left factor of the product of weights and values.
fn pattern<'g>(
    reach: &Reach<'_, 'g>,
    attention: usize,
    nodes: &[usize],
    mixed: &HashSet<&'g str>,
    heads: Option<usize>,
    tokens: &str,
) -> Shown<'g> {
    let op = reach
        .index
        .node(attention)
        .map_or("", |node| node.op_type());
    if super::branch::is_attention(op) {
        return Err(format!(
            "the fused operator `{op}` keeps its attention weights to itself"
        ));
    }
    let product = nodes.iter().find_map(|&node| {
        let [a, b] = linear::factors(reach, node)?;
        let (left, right) = (mixed.contains(a), mixed.contains(b));
        (reach.is_live(a) && reach.is_live(b) && left != right).then_some((node, a, left))
    });
    let (product, weights, is_left) =
        product.ok_or("no product of attention weights and values follows the softmax")?;
    if !is_left || !keys_last(reach, product) {
        return Err("the attention weights stand transposed in their product".into());
    }
    let heads = heads.ok_or(NO_HEADS)?;
    let tensor = unquantised(reach, weights);
    if !by_head(reach, tensor, heads, tokens) {
        return Err("the attention weights are not laid out as [batch, head, query, key]".into());
    }
    Ok((tensor, Layout::Pattern { heads }))
}

/// Of an `Einsum` of weights and values: whether it sums over the last axis of the weights and keeps the one before.
fn keys_last(reach: &Reach<'_, '_>, product: usize) -> bool {
    let Some(node) = reach.index.node(product) else {
        return false;
    };
    if node.op_type() != "Einsum" {
        return true;
    }
    let equation = attribute(node, "equation").and_then(|equation| equation.s.as_deref());
    let text = equation.and_then(|text| std::str::from_utf8(text).ok());
    let parts = text.and_then(|text| {
        let (factors, result) = text.split_once("->")?;
        let (weights, _) = factors.split_once(',')?;
        let mut letters = weights.trim().chars().rev();
        Some((letters.next()?, letters.next()?, result))
    });
    parts.is_some_and(|(key, query, result)| !result.contains(key) && result.contains(query))
}

/// Whether the stated shape, if any, can be `[batch, head, query, key]` with axes joined or split but not exchanged.
/// Code for a single key/value head lays weights out as `[batch, query × head, key]`, which has as many elements.
fn by_head(reach: &Reach<'_, '_>, tensor: &str, heads: usize, tokens: &str) -> bool {
    let stated = |name: &str| shape::stated(reach.index.info(name)?);
    let Some(dims) = stated(tensor) else {
        return true;
    };
    match dims.as_slice() {
        [joined, _, _] => {
            let batch = stated(tokens).and_then(|dims| dims.first().copied().flatten());
            joined.is_none() || *joined != batch
        }
        [_, head, _, _] => shape::size(*head).is_none_or(|size| size == heads),
        [_, groups, shared, _, _] => {
            let known = shape::size(*groups).zip(shape::size(*shared));
            known.is_none_or(|(groups, shared)| groups.checked_mul(shared) == Some(heads))
        }
        _ => false,
    }
}

/// The float tensor that a quantised product reads.
fn unquantised<'g>(reach: &Reach<'_, 'g>, tensor: &'g str) -> &'g str {
    let mut at = tensor;
    let mut floats = tensor;
    for _ in 0..FAR {
        let Some(node) = reach
            .index
            .producer(at)
            .and_then(|(node, _)| reach.index.node(node))
        else {
            break;
        };
        let Some(input) = node.input.first() else {
            break;
        };
        match node.op_type() {
            "DynamicQuantizeLinear" | "QuantizeLinear" => {
                at = input;
                floats = input;
            }
            "DequantizeLinear" => at = input,
            _ => break,
        }
    }
    floats
}
