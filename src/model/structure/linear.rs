//! Products with a weight matrix, plain and quantised.

use super::super::index::attribute;
use super::super::operators::{Role, role};
use super::reach::Reach;
use super::shape;

/// The two factors of a matrix product.
pub(super) fn factors<'g>(reach: &Reach<'_, 'g>, node: usize) -> Option<[&'g str; 2]> {
    let message = reach.index.node(node)?;
    let Some(Role::Product([a, b])) = role(message.op_type()) else {
        return None;
    };
    Some([
        message.input.get(a)?.as_str(),
        message.input.get(b)?.as_str(),
    ])
}

/// The computed factor of a product with a weight; `None` if the node is no product or both factors are computed.
pub(super) fn data<'g>(reach: &Reach<'_, 'g>, node: usize) -> Option<&'g str> {
    let [a, b] = factors(reach, node)?;
    match (reach.is_live(a), reach.is_live(b)) {
        (true, false) => Some(a),
        (false, true) => Some(b),
        _ => None,
    }
}

/// Number of output features of a product with a weight.
pub(super) fn width(reach: &Reach<'_, '_>, node: usize) -> Option<usize> {
    let message = reach.index.node(node)?;
    let attr = |name: &str| attribute(message, name).and_then(|value| value.i);
    if let Some(columns) = attr("N") {
        return usize::try_from(columns).ok();
    }
    let [a, weight] = factors(reach, node)?;
    if reach.is_live(weight) || !reach.is_live(a) || message.op_type() == "Einsum" {
        return None;
    }
    let dims = shape::dims(reach.index, weight)?;
    let transposed = attr("transB").unwrap_or(0) != 0;
    let at = if transposed {
        dims.len().checked_sub(2)?
    } else {
        dims.len().checked_sub(1)?
    };
    dims.get(at).copied().flatten()
}

/// Number of input features of a product with a weight.
pub(super) fn input_width(reach: &Reach<'_, '_>, node: usize) -> Option<usize> {
    let message = reach.index.node(node)?;
    let attr = |name: &str| attribute(message, name).and_then(|value| value.i);
    if let Some(rows) = attr("K") {
        return usize::try_from(rows).ok();
    }
    let [a, weight] = factors(reach, node)?;
    if reach.is_live(weight) || !reach.is_live(a) || message.op_type() == "Einsum" {
        return None;
    }
    let dims = shape::dims(reach.index, weight)?;
    let from_end = if attr("transB").unwrap_or(0) == 0 {
        2
    } else {
        1
    };
    dims.get(dims.len().checked_sub(from_end)?)
        .copied()
        .flatten()
}
