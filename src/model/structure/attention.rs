//! Inside an attention: what its heads have gathered, and the weights that they gathered by.

use std::collections::HashSet;

use super::super::architecture::Layout;
use super::super::index::attribute;
use super::super::onnx::NodeProto;
use super::super::operators::{Role, role};
use super::blocks::Layer;
use super::branch::is_attention;
use super::order::Weights;
use super::reach::Reach;
use super::{heads, linear, order, shape};
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

/// Looks between a layer's softmax, or its fused operator, and the branch that it ends in.
///
/// # Errors
/// The graph is too tangled.
pub(super) fn look<'g>(
    reach: &Reach<'_, 'g>,
    layer: &Layer<'g>,
    tokens: &str,
) -> Result<Inside<'g>> {
    let node = layer.attention;
    let branch = layer.branch;
    let (nodes, mixed) = reach.after(node, branch)?;
    // What the output projection reads: it is the first product with a weight behind the attention.
    let projection = nodes.iter().find_map(|&node| {
        let data = linear::data(reach, node).filter(|data| mixed.contains(data))?;
        Some((data, linear::read(reach, node, data)))
    });
    let read = projection.as_ref().and_then(|(_, read)| read.as_ref().ok());
    let op = reach.index.node(node).map_or("", |node| node.op_type());
    let gathering = if is_attention(op) {
        Ok(None)
    } else {
        gathering(reach, &nodes, &mixed).map(Some)
    };
    let mut heads = read
        .and_then(|read| read.heads)
        .or_else(|| heads::of(reach, node, read.and_then(|read| read.width)));
    let mut straight = true;
    let mut in_order = Ok(());
    if let (Ok(product), Some((data, _))) = (&gathering, &projection) {
        let from = product.as_ref().map_or(node, |product| product.node);
        let (between, _) = reach.after(from, data)?;
        straight = between.iter().all(|&node| keeps_order(reach, node));
        if let Some(product) = product {
            let order = order::of(reach, (from, product.is_left), &between, data);
            straight &= order.values;
            if let Some(whole) = read.and_then(|read| read.width).filter(|_| straight) {
                let sized = by_size(reach, product, &between, &layer.beside, whole);
                // Several attentions beside each other have a part of the heads each.
                let told = heads.filter(|_| !order.grouped && layer.beside.is_empty());
                heads = sized.or(told);
            }
            // Where two axes of heads come out of one, queries were folded into it.
            let folded = order.grouped && shape::rank(reach, product.weights) == Some(4);
            let told = match order.weights {
                Weights::InOrder => !folded,
                Weights::IfAlone => heads == Some(1),
                Weights::Unknown => false,
            };
            in_order = told.then_some(()).ok_or(UNTOLD);
        }
    }
    let projection = match projection {
        Some((data, Ok(read))) => Ok((data, read.width)),
        Some((_, Err(why))) => Err(why),
        None => Err("no product with a weight follows the attention in its branch"),
    };
    let whole = |through: &str| -> Result<bool> {
        Ok(layer.beside.is_empty() || !reach.around(&layer.beside, branch, through)?)
    };
    let z = match projection {
        Ok((data, _)) if !whole(data)? => Err(ONE_OF_SEVERAL.into()),
        _ => z(reach, projection, straight, heads),
    };
    let pattern = match gathering {
        Ok(None) => Err(format!(
            "the fused operator `{op}` keeps its attention weights to itself"
        )),
        Ok(Some(product)) if !whole(product.weights)? => Err(ONE_OF_SEVERAL.into()),
        Ok(Some(product)) => match in_order {
            Ok(()) => pattern(reach, &product, heads, tokens),
            Err(why) => Err(why.into()),
        },
        Err(why) => Err(why.into()),
    };
    Ok(Inside { heads, z, pattern })
}

/// Heads by the size of a head's values, where they come to the projection as they are gathered.
fn by_size(
    reach: &Reach<'_, '_>,
    product: &Gathering<'_>,
    between: &[usize],
    beside: &[usize],
    width: usize,
) -> Option<usize> {
    let plain = between.iter().all(|&node| {
        let op = reach.index.node(node).map_or("", |node| node.op_type());
        // Joined to those of other attentions, or added to them, they are as wide as before.
        let joins = op == "Concat" || role(op) == Some(Role::Pointwise);
        let joins = joins && !beside.is_empty();
        op == "Transpose"
            || joins
            || matches!(role(op), Some(Role::Copy | Role::Reshape | Role::Quantise))
    });
    let size = shape::width(reach, product.values).filter(|&size| plain && size > 0)?;
    width.is_multiple_of(size).then(|| width / size)
}

const ONE_OF_SEVERAL: &str = "the branch holds several attentions, and this is but one of them";
const UNTOLD: &str = "the graph does not show the attention weights as [batch, head, query, key]: by what comes after them, their axes stand in another order";
const NO_HEADS: &str = "the graph does not tell the number of heads";
const SCATTERED: &str =
    "what the heads have gathered is divided or reordered before it is projected";

/// The product of attention weights and values.
struct Gathering<'g> {
    node: usize,
    weights: &'g str,
    values: &'g str,
    is_left: bool,
}

fn gathering<'g>(
    reach: &Reach<'_, 'g>,
    nodes: &[usize],
    mixed: &HashSet<&'g str>,
) -> std::result::Result<Gathering<'g>, &'static str> {
    let mut products = nodes.iter().filter_map(|&node| {
        let [a, b] = linear::factors(reach, node)?;
        let (left, right) = (mixed.contains(a), mixed.contains(b));
        let both_live = reach.is_live(a) && reach.is_live(b);
        (both_live && left != right).then_some(Gathering {
            node,
            weights: if left { a } else { b },
            values: if left { b } else { a },
            is_left: left,
        })
    });
    products
        .next()
        .ok_or("no product of attention weights and values follows the softmax")
}

/// What the output projection reads, with its width, by heads.
fn z<'g>(
    reach: &Reach<'_, 'g>,
    projection: std::result::Result<(&'g str, Option<usize>), &'static str>,
    straight: bool,
    heads: Option<usize>,
) -> Shown<'g> {
    let (data, width) = projection?;
    if !straight {
        return Err(SCATTERED.into());
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

/// Whether the values of a head stay side by side, and those of a token at its place but for exchanged axes.
fn keeps_order(reach: &Reach<'_, '_>, node: usize) -> bool {
    let Some(message) = reach.index.node(node) else {
        return false;
    };
    match (message.op_type(), role(message.op_type())) {
        ("Transpose", _) => {
            let perm = attribute(message, "perm");
            let split = perm.and_then(|perm| perm.ints.split_last());
            split.is_some_and(|(last, before)| usize::try_from(*last) == Ok(before.len()))
        }
        // Values of several heads side by side, one of each in turn.
        ("Unsqueeze", _) => !makes_last(reach, message),
        // Heads may come apart and together again, padding is cut off; statistics are those of a norm.
        ("Split" | "Concat" | "Slice" | "ReduceMean" | "ReduceSum" | "ReduceL2", _) => true,
        (_, Some(role)) => matches!(
            role,
            Role::Copy | Role::Reshape | Role::Quantise | Role::Pointwise | Role::Norm { .. }
        ),
        (_, None) => false,
    }
}

/// Whether an axis of one is inserted behind all others, as far as the graph tells.
fn makes_last(reach: &Reach<'_, '_>, unsqueeze: &NodeProto) -> bool {
    let axes = match unsqueeze.input.get(1) {
        Some(axes) => reach.index.integers(axes),
        None => attribute(unsqueeze, "axes").map(|axes| axes.ints.clone()),
    };
    let data = unsqueeze.input.first();
    // The axis behind a token's features, where nothing is said.
    let rank = data.and_then(|data| shape::rank(reach, data)).unwrap_or(3);
    axes.is_none_or(|axes| {
        let last = i64::try_from(rank + axes.len()).unwrap_or(i64::MAX) - 1;
        axes.iter().any(|&axis| axis == -1 || axis >= last)
    })
}

/// The left factor of the product of weights and values.
fn pattern<'g>(
    reach: &Reach<'_, 'g>,
    product: &Gathering<'g>,
    heads: Option<usize>,
    tokens: &str,
) -> Shown<'g> {
    let op = reach
        .index
        .node(product.node)
        .map_or("", |node| node.op_type());
    if !product.is_left && op != "Einsum" {
        return Err("the attention weights stand transposed in their product".into());
    }
    let heads = heads.ok_or(NO_HEADS)?;
    let tensor = unquantised(reach, product.weights);
    if !by_head(reach, tensor, heads, tokens) {
        return Err("the attention weights are not laid out as [batch, head, query, key]".into());
    }
    Ok((tensor, Layout::Pattern { heads }))
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
