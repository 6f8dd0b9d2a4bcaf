//! Norms: fused operators, and the arithmetic that exporters write instead of them.

use super::super::index::attribute;
use super::super::operators::{Role, role};
use super::reach::Reach;
use super::shape;
use super::value::{Value, behind_cast, behind_quantised, behind_transparent};

/// How many operators a norm may be spread over, one after the other.
const FAR: usize = 16;

/// What a norm normalises, if `tensor` is the direct output of one (before gain and bias where those are apart).
pub(super) fn input<'g>(reach: &Reach<'_, 'g>, tensor: &'g str) -> Option<Value<'g>> {
    let (node, slot) = reach.index.producer(tensor)?;
    let message = reach.index.node(node)?;
    let op = message.op_type();
    if slot == 0 {
        match role(op) {
            Some(Role::SkipNorm { .. }) => return Some(Value::skip_sum(reach.index, node)),
            Some(Role::Norm { .. }) => {
                return message.input.first().map(|name| Value::Named(name));
            }
            _ => {}
        }
    }
    // value × 1/√(mean of value²), or value ÷ √(…): one factor is a statistic of the other.
    let (value, statistic) = match (op, reach.live_inputs(node).as_slice()) {
        ("Mul", [a, b]) => match statistic_of(reach, b) {
            Some(base) if same(reach, base, a) => (*a, base),
            _ => (*b, statistic_of(reach, a)?),
        },
        ("Div", [a, b]) if message.input.first().map(String::as_str) == Some(*a) => {
            (*a, statistic_of(reach, b)?)
        }
        _ => return None,
    };
    if !same(reach, statistic, value) {
        return None;
    }
    let value = behind_cast(reach, value);
    Some(Value::Named(centred(reach, value).unwrap_or(value)))
}

/// What is normalised if `tensor` is a norm's output after its gain, bias and casts.
pub(super) fn input_behind_affine<'g>(reach: &Reach<'_, 'g>, tensor: &'g str) -> Option<Value<'g>> {
    let mut at = tensor;
    for _ in 0..FAR {
        if let Some(found) = input(reach, at) {
            return Some(found);
        }
        at = behind_affine(reach, at)
            .or_else(|| behind_transparent(reach, at))
            .or_else(|| behind_quantised(reach, at))?;
    }
    None
}

/// The tensor behind a gain or a bias: one that has a value for each feature, so that a scalar factor is none.
pub(super) fn behind_affine<'g>(reach: &Reach<'_, 'g>, tensor: &str) -> Option<&'g str> {
    let (node, _) = reach.index.producer(tensor)?;
    let message = reach.index.node(node)?;
    let [a, b] = message.input.as_slice() else {
        return None;
    };
    let (live, fixed) = match (reach.is_live(a), reach.is_live(b)) {
        (true, false) => (a, b),
        (false, true) => (b, a),
        _ => return None,
    };
    let vector = shape::elements(reach.index, fixed) != Some(1);
    (matches!(message.op_type(), "Mul" | "Add") && vector).then_some(live.as_str())
}

fn same<'g>(reach: &Reach<'_, 'g>, a: &'g str, b: &'g str) -> bool {
    behind_cast(reach, a) == behind_cast(reach, b)
}

/// From a statistic such as `1/√(mean(x²) + ε)` to the `x` it is taken of.
fn statistic_of<'g>(reach: &Reach<'_, 'g>, tensor: &'g str) -> Option<&'g str> {
    let mut at = tensor;
    for _ in 0..FAR {
        let (node, _) = reach.index.producer(at)?;
        let message = reach.index.node(node)?;
        let live = reach.live_inputs(node);
        let first = live.first().copied();
        match message.op_type() {
            "ReduceMean" | "ReduceSum" | "ReduceL2" | "ReduceSumSquare" => {
                let of = first.filter(|of| is_over_features(reach, node, of))?;
                let squares = matches!(message.op_type(), "ReduceMean" | "ReduceSum");
                return if squares {
                    squared(reach, of)
                } else {
                    Some(of)
                };
            }
            "Sqrt" | "Reciprocal" | "Pow" | "Add" | "Mul" | "Div" | "Max" | "Clip" | "Cast"
            | "Identity" | "Unsqueeze" | "Reshape" | "Expand" | "QuantizeLinear"
            | "DequantizeLinear"
                if live.len() == 1 =>
            {
                at = first?;
            }
            _ => return None,
        }
    }
    None
}

/// Whether a statistic is taken over the last axis, as far as the graph tells.
fn is_over_features(reach: &Reach<'_, '_>, node: usize, of: &str) -> bool {
    let Some(message) = reach.index.node(node) else {
        return false;
    };
    let axes = match message.input.get(1) {
        Some(axes) => reach.index.integers(axes),
        None => attribute(message, "axes").map(|axes| axes.ints.clone()),
    };
    let rank = shape::rank(reach, of).and_then(|rank| i64::try_from(rank).ok());
    axes.is_none_or(|axes| match axes.as_slice() {
        [axis] => *axis == -1 || rank.is_none_or(|rank| *axis == rank - 1),
        _ => false,
    })
}

/// `x` of `x²`.
fn squared<'g>(reach: &Reach<'_, 'g>, tensor: &'g str) -> Option<&'g str> {
    let (node, _) = reach.index.producer(behind_cast(reach, tensor))?;
    let message = reach.index.node(node)?;
    let live = reach.live_inputs(node);
    (matches!(message.op_type(), "Pow" | "Mul") && live.len() == 1)
        .then(|| live.first().copied())
        .flatten()
}

/// `x` of `x − mean(x)`.
fn centred<'g>(reach: &Reach<'_, 'g>, tensor: &str) -> Option<&'g str> {
    let (node, _) = reach.index.producer(tensor)?;
    let message = reach.index.node(node)?;
    let [x, mean] = message.input.as_slice() else {
        return None;
    };
    let (source, _) = reach.index.producer(behind_cast(reach, mean))?;
    let source = reach.index.node(source)?;
    let is_mean = message.op_type() == "Sub" && source.op_type() == "ReduceMean";
    let of = source.input.first().filter(|_| is_mean)?;
    same(reach, of, x).then(|| behind_cast(reach, x))
}
