//! Arithmetic on sizes that exporters leave in the graph, such as the width of a tensor divided by the number of heads.

use super::super::index::attribute;
use super::reach::Reach;
use super::shape;

/// How many operators a size may be computed by, one after the other.
const DEEP: usize = 16;

/// The elements of a shape tensor, `None` for those that are not known.
pub(super) fn pieces(reach: &Reach<'_, '_>, name: &str) -> Option<Vec<Option<i64>>> {
    if let Some(all) = reach.index.integers(name) {
        return Some(all.into_iter().map(Some).collect());
    }
    let node = reach.index.node(reach.index.producer(name)?.0)?;
    if node.op_type() != "Concat" {
        return shape::pieces(reach.index, name);
    }
    let mut all = Vec::new();
    for part in &node.input {
        match reach.index.integers(part) {
            Some(values) => all.extend(values.into_iter().map(Some)),
            None => all.push(value(reach, part, DEEP)),
        }
    }
    Some(all)
}

/// A single size, if constants and stated widths tell it.
fn value(reach: &Reach<'_, '_>, name: &str, deep: usize) -> Option<i64> {
    let deep = deep.checked_sub(1)?;
    if let Some(constant) = reach.index.integers(name) {
        return match constant.as_slice() {
            [only] => Some(*only),
            _ => None,
        };
    }
    let node = reach.index.node(reach.index.producer(name)?.0)?;
    let input = |slot: usize| node.input.get(slot).map(String::as_str);
    let of = |slot: usize| value(reach, input(slot)?, deep);
    match node.op_type() {
        "Unsqueeze" | "Squeeze" | "Cast" | "Identity" | "Reshape" | "Floor" => of(0),
        "Mul" => of(0)?.checked_mul(of(1)?),
        "Div" => of(0)?.checked_div(of(1)?),
        "Add" => of(0)?.checked_add(of(1)?),
        "Sub" => of(0)?.checked_sub(of(1)?),
        "Gather" => {
            let shape = reach.index.node(reach.index.producer(input(0)?)?.0)?;
            let measured = shape
                .input
                .first()
                .filter(|_| shape.op_type() == "Shape" && attribute(shape, "start").is_none())?;
            let axis = of(1)?;
            let rank = shape::rank(reach, measured).and_then(|rank| i64::try_from(rank).ok());
            let is_last = axis == -1 || rank.is_some_and(|rank| axis + 1 == rank);
            let width = shape::width(reach, measured).filter(|_| is_last)?;
            i64::try_from(width).ok()
        }
        _ => None,
    }
}
