//! What is added to scores: slopes of heads, and windows.

use std::collections::HashSet;

use super::super::reach::Reach;
use super::super::shape;
use super::part::op;
use super::scalar;

/// How many operators are looked at behind a mask.
const FAR: usize = 256;

/// The nodes that a mask is computed by.
pub(super) fn way<'g>(reach: &Reach<'_, 'g>, mask: &'g str) -> Vec<usize> {
    let mut seen = HashSet::new();
    let mut open = vec![mask];
    while let Some(at) = open.pop() {
        let Some((node, _)) = reach.index.producer(at) else {
            continue;
        };
        if seen.len() < FAR && seen.insert(node) {
            open.extend(reach.index.reads(node));
        }
    }
    seen.into_iter().collect()
}

/// Whether distances are multiplied with one slope for each head.
pub(super) fn slopes(reach: &Reach<'_, '_>, way: &[usize], heads: usize) -> bool {
    heads > 1
        && way.iter().any(|&node| {
            let Some(message) = reach
                .index
                .node(node)
                .filter(|node| node.op_type() == "Mul")
            else {
                return false;
            };
            let is_slope = |name: &String| {
                reach.index.constant(name).is_some()
                    && shape::elements(reach.index, name) == Some(heads)
            };
            let slopes = message.input.iter().filter(|name| is_slope(name)).count();
            slopes == 1
        })
}

/// The width of a window: a position is compared with another that a constant is taken from or added to.
pub(super) fn window(reach: &Reach<'_, '_>, way: &[usize]) -> Option<usize> {
    way.iter().find_map(|&node| {
        let message = reach.index.node(node)?;
        let [left, right] = message.input.as_slice() else {
            return None;
        };
        let strict = match message.op_type() {
            "Greater" | "Less" => true,
            "GreaterOrEqual" | "LessOrEqual" => false,
            _ => return None,
        };
        let greater = message.op_type().starts_with("Greater");
        // key > query − c, in either order, and query − key < c.
        let (behind, ahead) = if greater {
            (right, left)
        } else {
            (left, right)
        };
        let reach_back = shifted(reach, behind).or_else(|| {
            let distance = reach
                .index
                .producer(behind)
                .filter(|(node, _)| op(reach, *node) == "Sub");
            distance.and_then(|_| scalar::integer(reach.index, ahead))
        })?;
        let width = if strict {
            reach_back
        } else {
            reach_back.checked_add(1)?
        };
        (width > 1).then_some(width)
    })
}

/// `c` of `x − c`.
fn shifted(reach: &Reach<'_, '_>, tensor: &str) -> Option<usize> {
    let node = reach.index.node(reach.index.producer(tensor)?.0)?;
    let [_, by] = node.input.as_slice() else {
        return None;
    };
    match node.op_type() {
        "Sub" => scalar::integer(reach.index, by),
        "Add" => {
            let by = node
                .input
                .iter()
                .find_map(|name| reach.index.integers(name))?;
            match by.as_slice() {
                [by] => usize::try_from(by.checked_neg()?).ok().filter(|by| *by > 0),
                _ => None,
            }
        }
        _ => None,
    }
}
