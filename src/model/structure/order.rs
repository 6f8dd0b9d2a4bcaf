//! In which order the axes stand of what heads have gathered. Batch, heads and positions are told by where they end: the
//! output projection reads every token with its heads side by side, so that the exchanges of axes before it say what
//! the axes were. Sizes tell nothing, because any of them may be the same.

use super::super::index::attribute;
use super::super::onnx::NodeProto;
use super::reach::Reach;
use super::shape;

/// An axis of the product of weights and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    /// Batch and heads, in the order in which the weights have them.
    Lead(usize),
    Query,
    /// Within a head.
    Value,
}

/// Whether attention weights are `[batch, head, query, key]`, with axes joined or split at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weights {
    InOrder,
    /// Only if there is a single head.
    IfAlone,
    Unknown,
}

/// What the axes between a product of weights and values and the output projection tell.
pub(super) struct Order {
    pub weights: Weights,
    /// Whether the projection reads the values of a head side by side.
    pub values: bool,
    /// Whether heads lie along two axes, those that share a key and those that do not.
    pub grouped: bool,
}

/// Follows the axes of `product`, in which the weights are the left factor or not, through the nodes `between` it and what
/// the projection reads, `data`.
pub(super) fn of(
    reach: &Reach<'_, '_>,
    (product, is_left): (usize, bool),
    between: &[usize],
    data: &str,
) -> Order {
    let perms: Vec<Vec<usize>> = between
        .iter()
        .filter_map(|&node| perm(reach.index.node(node)?))
        .collect();
    let Some(node) = reach.index.node(product) else {
        return Order::unknown();
    };
    let mut laid_out = true;
    let start = if node.op_type() == "Einsum" {
        subscripts(node).and_then(|letters| {
            let [first, second] = &letters.factors;
            let (weights, values) = if is_left {
                (first, second)
            } else {
                (second, first)
            };
            let (axes, query_and_key) = summed(weights, values, &letters.result)?;
            laid_out = weights.ends_with(&query_and_key);
            Some(axes)
        })
    } else if is_set(node, "transBatchA") || is_set(node, "transBatchB") {
        return Order::unknown();
    } else {
        laid_out = !is_set(node, "transA");
        perms.first().and_then(|perm| stacked(perm.len(), is_left))
    };
    let Some(mut axes) = start else {
        // Without an exchange, tokens stand before their heads already, or there is one head.
        let plain = node.op_type() != "Einsum" && is_left && perms.is_empty();
        return Order {
            weights: if plain && laid_out {
                Weights::IfAlone
            } else {
                Weights::Unknown
            },
            values: plain && shape::rank(reach, data) != Some(4),
            grouped: false,
        };
    };
    for perm in perms {
        if perm.len() == axes.len() {
            axes = perm
                .iter()
                .filter_map(|&from| axes.get(from).copied())
                .collect();
        } else if !matches!(perm.as_slice(), [1, 0, ..]) {
            return Order::unknown();
        }
    }
    let weights = if laid_out && is_by_token(&axes) {
        Weights::InOrder
    } else {
        Weights::Unknown
    };
    Order {
        weights,
        grouped: axes.len() == 5,
        values: axes.last() == Some(&Axis::Value),
    }
}

impl Order {
    fn unknown() -> Self {
        Self {
            weights: Weights::Unknown,
            values: false,
            grouped: false,
        }
    }
}

/// `[batch, query, heads, value]`, or the same with the sequence first.
fn is_by_token(axes: &[Axis]) -> bool {
    let leads: Vec<usize> = axes
        .iter()
        .filter_map(|axis| match axis {
            Axis::Lead(number) => Some(*number),
            _ => None,
        })
        .collect();
    let in_order = leads.windows(2).all(|pair| pair[0] < pair[1]);
    let query = axes.iter().position(|axis| *axis == Axis::Query);
    in_order && matches!(query, Some(0 | 1)) && axes.last() == Some(&Axis::Value)
}

/// The axes of a matrix product of that many.
fn stacked(rank: usize, weights_are_left: bool) -> Option<Vec<Axis>> {
    let leads = rank.checked_sub(2).filter(|&leads| leads > 0)?;
    let last = if weights_are_left {
        [Axis::Query, Axis::Value]
    } else {
        [Axis::Value, Axis::Query]
    };
    Some((0..leads).map(Axis::Lead).chain(last).collect())
}

/// Whether a fused product takes a factor in another order of axes.
fn is_set(node: &NodeProto, name: &str) -> bool {
    attribute(node, name).and_then(|value| value.i).unwrap_or(0) != 0
}

fn perm(node: &NodeProto) -> Option<Vec<usize>> {
    if node.op_type() != "Transpose" {
        return None;
    }
    let perm = attribute(node, "perm").map_or(&[][..], |perm| &perm.ints);
    Some(
        perm.iter()
            .map(|&axis| usize::try_from(axis).unwrap_or(usize::MAX))
            .collect(),
    )
}

/// The letters of an `Einsum` of two factors; an ellipsis counts as one.
pub(super) struct Subscripts {
    pub factors: [Vec<char>; 2],
    pub result: Vec<char>,
}

/// Reads an equation.
pub(super) fn subscripts(node: &NodeProto) -> Option<Subscripts> {
    let equation = attribute(node, "equation")?.s.as_deref()?;
    let text = std::str::from_utf8(equation).ok()?;
    let text: String = text.replace("...", ".").split_whitespace().collect();
    let (factors, result) = text.split_once("->")?;
    let (first, second) = factors.split_once(',')?;
    let letters = |part: &str| part.chars().collect::<Vec<char>>();
    (!second.contains(',')).then(|| Subscripts {
        factors: [letters(first), letters(second)],
        result: letters(result),
    })
}

/// The axes of the result of an `Einsum` of weights and values, and the letters of query and key.
fn summed(weights: &[char], values: &[char], result: &[char]) -> Option<(Vec<Axis>, [char; 2])> {
    let key = *weights.iter().find(|letter| !result.contains(letter))?;
    // Heads that share their values are not among the axes of the values either; they stand before the positions.
    let mut own = weights.iter().filter(|letter| !values.contains(letter));
    let query = *own.next_back().filter(|letter| result.contains(letter))?;
    let mut leads = weights
        .iter()
        .filter(|letter| ![query, key].contains(letter));
    let axis = |letter: &char| {
        if *letter == query {
            Some(Axis::Query)
        } else if let Some(number) = leads.clone().position(|lead| lead == letter) {
            Some(Axis::Lead(number))
        } else {
            values.contains(letter).then_some(Axis::Value)
        }
    };
    let axes = result.iter().map(axis).collect::<Option<Vec<_>>>()?;
    let gathers = values.contains(&key) && leads.all(|lead| result.contains(lead));
    gathers.then_some((axes, [query, key]))
}
