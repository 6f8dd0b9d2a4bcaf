//! A tensor on the stream, and the operators that only hand it on.

use super::super::index::GraphIndex;
use super::reach::Reach;

/// A value of the graph: a named tensor, or the sum inside a fused skip norm that has no name yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'g> {
    Named(&'g str),
    /// Index of the fused node.
    SkipSum(usize),
}

/// Fused operators that add `input` and `skip` before they normalise; their fourth output is the sum.
pub(super) const SKIP_NORMS: [&str; 2] =
    ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"];
/// The slot of their optional third term.
const SKIP_BIAS: [(&str, usize); 2] = [(SKIP_NORMS[0], 4), (SKIP_NORMS[1], 3)];
pub(super) const SKIP_SUM_SLOT: usize = 3;

impl<'g> Value<'g> {
    /// The sum inside a fused skip norm, by its name if it has one.
    pub fn skip_sum(index: &GraphIndex<'g>, node: usize) -> Self {
        index
            .node(node)
            .and_then(|message| message.output.get(SKIP_SUM_SLOT))
            .filter(|name| !name.is_empty())
            .map_or(Self::SkipSum(node), |name| Self::Named(name))
    }

    /// The node that makes the value.
    pub fn node(self, index: &GraphIndex<'g>) -> Option<usize> {
        match self {
            Self::Named(name) => index.producer(name).map(|(node, _)| node),
            Self::SkipSum(node) => Some(node),
        }
    }

    /// The bias that a fused sum takes as its third term.
    pub fn bias(self, index: &GraphIndex<'g>) -> Option<&'g str> {
        let message = index.node(self.node(index)?)?;
        let (_, slot) = SKIP_BIAS.iter().find(|(op, _)| *op == message.op_type())?;
        let bias = message.input.get(*slot).filter(|bias| !bias.is_empty());
        bias.map(String::as_str)
    }

    /// The two computed terms if the value is a sum of such.
    pub fn terms(self, reach: &Reach<'_, 'g>) -> Option<[&'g str; 2]> {
        let (node, slot) = match self {
            Self::Named(name) => reach.index.producer(name)?,
            Self::SkipSum(node) => (node, SKIP_SUM_SLOT),
        };
        let message = reach.index.node(node)?;
        let adds = match message.op_type() {
            "Add" => slot == 0 && message.input.len() == 2,
            "Sum" => slot == 0 && message.input.iter().filter(|n| reach.is_live(n)).count() == 2,
            op => SKIP_NORMS.contains(&op) && slot == SKIP_SUM_SLOT,
        };
        if !adds {
            return None;
        }
        let mut live = message.input.iter().filter(|name| reach.is_live(name));
        let terms = [live.next()?.as_str(), live.next()?.as_str()];
        // x + x is twice x and no branch.
        (terms[0] != terms[1]).then_some(terms)
    }
}

/// The tensor behind an operator that changes at most the type or the layout.
pub(super) fn behind_transparent<'g>(reach: &Reach<'_, 'g>, tensor: &str) -> Option<&'g str> {
    let (node, slot) = reach.index.producer(tensor)?;
    let message = reach.index.node(node)?;
    let transparent = matches!(
        message.op_type(),
        "Identity" | "Cast" | "Dropout" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze"
    );
    message
        .input
        .first()
        .filter(|name| transparent && slot == 0 && reach.is_live(name))
        .map(String::as_str)
}

/// The tensor behind a quantisation, or behind the way back from one.
pub(super) fn behind_quantised<'g>(reach: &Reach<'_, 'g>, tensor: &str) -> Option<&'g str> {
    let (node, slot) = reach.index.producer(tensor)?;
    let message = reach.index.node(node)?;
    let quantises = matches!(
        message.op_type(),
        "QuantizeLinear" | "DequantizeLinear" | "DynamicQuantizeLinear"
    );
    message
        .input
        .first()
        .filter(|name| quantises && slot == 0 && reach.is_live(name))
        .map(String::as_str)
}

/// The tensor behind a multiplication with, or division by, a constant.
pub(super) fn behind_scale<'g>(reach: &Reach<'_, 'g>, tensor: &str) -> Option<&'g str> {
    let (node, _) = reach.index.producer(tensor)?;
    let message = reach.index.node(node)?;
    match (message.op_type(), reach.live_inputs(node).as_slice()) {
        ("Mul", [only]) => (message.input.first() != message.input.get(1)).then_some(*only),
        ("Div", [only]) => (message.input.first().map(String::as_str) == Some(*only)
            && message.input.get(1).map(String::as_str) != Some(*only))
        .then_some(*only),
        _ => None,
    }
}

/// How many casts may follow one another.
const CASTS: usize = 8;

/// The tensor behind casts, identities and quantisation.
pub(super) fn behind_cast<'g>(reach: &Reach<'_, 'g>, tensor: &'g str) -> &'g str {
    let mut at = tensor;
    for _ in 0..CASTS {
        let producer = reach.index.producer(at);
        let Some(message) = producer.and_then(|(node, _)| reach.index.node(node)) else {
            break;
        };
        match (message.op_type(), message.input.first()) {
            ("Cast" | "Identity" | "QuantizeLinear" | "DequantizeLinear", Some(input)) => {
                at = input
            }
            _ => break,
        }
    }
    at
}
