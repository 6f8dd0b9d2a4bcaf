//! A tensor on the stream, and the operators that only hand it on.

use super::super::index::GraphIndex;
use super::super::onnx::tensor_proto::DataType;
use super::super::operators::{Role, role};
use super::reach::Reach;
use super::{shape, turn};

/// A value of the graph: a named tensor, or the sum inside a fused skip norm that has no name yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'g> {
    Named(&'g str),
    /// Index of the fused node.
    SkipSum(usize),
}

/// Output slot of the sum inside a fused skip norm.
pub(super) const SKIP_SUM_SLOT: usize = 3;

/// Whether an operator normalises a sum that it makes itself.
pub(super) fn is_skip_norm(op_type: &str) -> bool {
    matches!(role(op_type), Some(Role::SkipNorm { .. }))
}

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
        let Some(Role::SkipNorm { bias, .. }) = role(message.op_type()) else {
            return None;
        };
        let bias = message.input.get(bias).filter(|bias| !bias.is_empty());
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
            op => is_skip_norm(op) && slot == SKIP_SUM_SLOT,
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
    let transparent = matches!(role(message.op_type()), Some(Role::Copy | Role::Reshape))
        || turn::is_turn(reach.index, node);
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
    let quantises = role(message.op_type()) == Some(Role::Quantise);
    message
        .input
        .first()
        .filter(|name| quantises && slot == 0 && reach.is_live(name))
        .map(String::as_str)
}

/// Whether a tensor holds codes of a quantisation, and not values.
pub(super) fn is_codes(reach: &Reach<'_, '_>, tensor: &str) -> bool {
    let is_integer = |kind: i32| {
        matches!(
            DataType::try_from(kind),
            Ok(DataType::Int8
                | DataType::Uint8
                | DataType::Int16
                | DataType::Uint16
                | DataType::Int4
                | DataType::Uint4)
        )
    };
    let mut at = tensor;
    for _ in 0..CASTS {
        let stored = reach.index.constant(at).and_then(|tensor| tensor.data_type);
        let stated = reach.index.info(at).and_then(shape::tensor_type);
        if let Some(kind) = stored.or(stated.and_then(|tensor| tensor.elem_type)) {
            return is_integer(kind);
        }
        let producer = reach.index.producer(at);
        let Some(message) = producer.and_then(|(node, _)| reach.index.node(node)) else {
            return false;
        };
        match (message.op_type(), role(message.op_type())) {
            ("QuantizeLinear" | "DynamicQuantizeLinear", _) => return true,
            (_, Some(Role::Copy | Role::Reshape | Role::Move | Role::Lookup { .. })) => {}
            _ => return false,
        }
        match message.input.first() {
            Some(input) if message.op_type() != "Cast" => at = input,
            _ => return false,
        }
    }
    false
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
        match (role(message.op_type()), message.input.first()) {
            (Some(Role::Copy | Role::Quantise), Some(input)) => at = input,
            _ => break,
        }
    }
    at
}
