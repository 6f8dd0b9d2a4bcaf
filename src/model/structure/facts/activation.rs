//! Which activation a set of nodes writes out.

use super::super::super::facts::Activation;
use super::super::super::index::attribute;
use super::super::reach::Reach;
use super::super::value::{behind_cast, behind_quantised, behind_scale};
use super::part::{factor, op};

/// Operators that make an activation what it is.
const BENDS: [&str; 22] = [
    "Gelu",
    "FastGelu",
    "BiasGelu",
    "QuickGelu",
    "Erf",
    "Tanh",
    "Sigmoid",
    "Relu",
    "LeakyRelu",
    "PRelu",
    "ThresholdedRelu",
    "Elu",
    "Selu",
    "Celu",
    "HardSigmoid",
    "HardSwish",
    "Swish",
    "Mish",
    "Softplus",
    "Softsign",
    "Exp",
    "Log",
];
/// The constant of the sigmoid that stands for GELU.
const QUICK: f32 = 1.702;
/// How far a constant may be rounded.
const ROUNDED: f32 = 0.01;

/// The activation that the nodes between two products write out; `None` where none is seen.
pub(super) fn of(reach: &Reach<'_, '_>, nodes: &[usize]) -> Option<Activation> {
    if nodes
        .iter()
        .any(|&node| op(reach, node).starts_with("QLinear"))
    {
        return None;
    }
    let mut bends: Vec<usize> = nodes
        .iter()
        .copied()
        .filter(|&node| BENDS.contains(&op(reach, node)))
        .collect();
    bends.dedup_by_key(|node| op(reach, *node));
    let [bend] = bends.as_slice() else {
        return (!bends.is_empty()).then_some(Activation::Other);
    };
    let message = reach.index.node(*bend)?;
    let stated = |name: &str| attribute(message, name);
    Some(match message.op_type() {
        "Gelu" => match stated("approximate").and_then(|kind| kind.s.as_deref()) {
            Some(b"tanh") => Activation::GeluTanh,
            _ => Activation::Gelu,
        },
        "Erf" | "BiasGelu" => Activation::Gelu,
        "FastGelu" => Activation::GeluTanh,
        "Swish" => swish(stated("alpha").and_then(|alpha| alpha.f)),
        "QuickGelu" => swish(Some(
            stated("alpha").and_then(|alpha| alpha.f).unwrap_or(QUICK),
        )),
        "Tanh" => tanh(reach, *bend),
        "Sigmoid" => sigmoid(reach, *bend),
        "Relu" if squared(reach, *bend) => Activation::SquaredRelu,
        "Relu" => Activation::Relu,
        _ => Activation::Other,
    })
}

/// `x · σ(alpha x)`, with 1 for an alpha that is not stated.
pub(super) fn swish(alpha: Option<f32>) -> Activation {
    let alpha = alpha.unwrap_or(1.0);
    if (alpha - 1.0).abs() < ROUNDED {
        Activation::Silu
    } else if (alpha - QUICK).abs() < ROUNDED {
        Activation::QuickGelu
    } else {
        Activation::Other
    }
}

/// The activation that a product's own operator applies.
pub(super) fn joined(reach: &Reach<'_, '_>, product: usize) -> Option<Activation> {
    let kind = attribute(reach.index.node(product)?, "activation")?
        .s
        .as_deref()?;
    Some(match kind {
        b"Relu" => Activation::Relu,
        b"Sigmoid" => Activation::Sigmoid,
        b"Tanh" => Activation::Tanh,
        _ => Activation::Other,
    })
}

/// Nodes that read what a node makes, behind quantisation and casts.
fn readers(reach: &Reach<'_, '_>, node: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        let Some(made) = reach.index.node(node).and_then(|node| node.output.first()) else {
            continue;
        };
        for &(reader, slot) in reach.index.consumers(made) {
            let alike = slot == 0
                && matches!(
                    op(reach, reader),
                    "Cast" | "Identity" | "QuantizeLinear" | "DequantizeLinear"
                );
            if alike && found.len() < BENDS.len() {
                open.push(reader);
            } else {
                found.push(reader);
            }
        }
    }
    found
}

/// `1 + tanh(…)` belongs to GELU.
fn tanh(reach: &Reach<'_, '_>, node: usize) -> Activation {
    if readers(reach, node)
        .iter()
        .any(|&reader| op(reach, reader) == "Add")
    {
        Activation::GeluTanh
    } else {
        Activation::Tanh
    }
}

/// The sigmoid of `x`, or of a multiple of it, times `x`.
fn sigmoid(reach: &Reach<'_, '_>, node: usize) -> Activation {
    let Some(input) = reach.index.node(node).and_then(|node| node.input.first()) else {
        return Activation::Other;
    };
    let base = |name| {
        let mut at: &str = behind_cast(reach, name);
        while let Some(behind) = behind_quantised(reach, at) {
            at = behind;
        }
        at
    };
    let own = base(input);
    let scale = reach
        .index
        .producer(own)
        .and_then(|(node, _)| factor(reach, node));
    let scaled = behind_scale(reach, own).map(base);
    for reader in readers(reach, node) {
        let Some(message) = reach
            .index
            .node(reader)
            .filter(|node| node.op_type() == "Mul")
        else {
            continue;
        };
        for other in &message.input {
            if base(other) == own {
                return Activation::Silu;
            }
            if scaled.is_some() && Some(base(other)) == scaled {
                return match scale {
                    Some(scale) if (scale - QUICK).abs() < ROUNDED => Activation::QuickGelu,
                    _ => Activation::Other,
                };
            }
        }
    }
    Activation::Sigmoid
}

fn squared(reach: &Reach<'_, '_>, node: usize) -> bool {
    readers(reach, node).iter().any(|&reader| {
        let Some(message) = reach.index.node(reader) else {
            return false;
        };
        match (message.op_type(), message.input.as_slice()) {
            ("Mul", [a, b]) => behind_cast(reach, a) == behind_cast(reach, b),
            ("Pow", [_, power]) => super::scalar::of(reach.index, power)
                .is_some_and(|power| (power - 2.0).abs() < ROUNDED),
            _ => false,
        }
    })
}
