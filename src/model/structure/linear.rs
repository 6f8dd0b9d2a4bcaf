//! Products with a weight matrix, plain and quantised.

use super::super::index::attribute;
use super::super::operators::{Role, role};
use super::order;
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

/// What a product with a weight reads as one token's features.
pub(super) struct Read {
    pub width: Option<usize>,
    /// Heads, where the weight has an axis for them.
    pub heads: Option<usize>,
}

const APART: &str =
    "the output projection reads heads along an axis that is not beside that of their values";

/// The features that a product reads, or why they are not the last axes of its data.
pub(super) fn read(
    reach: &Reach<'_, '_>,
    node: usize,
    data: &str,
) -> std::result::Result<Read, &'static str> {
    let whole = |width| Read { width, heads: None };
    let (Some(message), Some([first, second])) = (reach.index.node(node), factors(reach, node))
    else {
        return Ok(whole(None));
    };
    let weight = if first == data { second } else { first };
    let dims = shape::dims(reach.index, weight);
    if message.op_type() != "Einsum" {
        let turned = attribute(message, "transA").and_then(|value| value.i);
        // Weights of few bits are stored in blocks, which are no axes.
        let plain = dims.filter(|_| attribute(message, "K").is_none());
        let by_head = plain.is_some_and(|dims| {
            let leading = dims
                .split_last_chunk::<2>()
                .map_or(&[][..], |(leading, _)| leading);
            leading.iter().any(|size| *size != Some(1))
        });
        if by_head || first != data || turned.unwrap_or(0) != 0 {
            return Err(APART);
        }
        return Ok(whole(
            input_width(reach, node).or_else(|| shape::width(reach, data)),
        ));
    }
    let letters = order::subscripts(message).ok_or(APART)?;
    let [ours, theirs] = match (first == data, letters.factors) {
        (true, [data, weight]) | (false, [weight, data]) => [data, weight],
    };
    let shared: Vec<char> = ours
        .iter()
        .copied()
        .filter(|letter| theirs.contains(letter))
        .collect();
    let size = |letter: &char| {
        let at = theirs.iter().position(|own| own == letter)?;
        dims.as_ref()?.get(at).copied().flatten()
    };
    let summed = shared
        .last()
        .is_some_and(|last| !letters.result.contains(last));
    if !summed || !ours.ends_with(&shared) {
        return Err(APART);
    }
    match shared.as_slice() {
        [only] => Ok(whole(size(only))),
        [head, value] => Ok(Read {
            width: size(head)
                .zip(size(value))
                .and_then(|(a, b)| a.checked_mul(b)),
            heads: size(head),
        }),
        _ => Err(APART),
    }
}
