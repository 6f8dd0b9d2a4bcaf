//! Kind, width and activation of an MLP.

use super::super::super::facts::{Activation, MlpFacts, MlpKind};
use super::super::super::index::attribute;
use super::super::reach::Reach;
use super::super::{heads, shape};
use super::part::{Part, Product, op};
use super::{activation, scalar};

/// Operators that are a whole mixture of experts.
const MIXTURES: [&str; 2] = ["MoE", "QMoE"];

/// What the outputs of a branch without attention are made by.
pub(super) fn facts<'g>(reach: &Reach<'_, 'g>, part: &Part<'g>, outputs: &[&'g str]) -> MlpFacts {
    if let Some(&node) = part
        .nodes
        .iter()
        .find(|&&node| MIXTURES.contains(&op(reach, node)))
    {
        return operator(reach, node).unwrap_or_default();
    }
    let (last, _) = part.products(reach, outputs);
    // Later choices among the values of one router are made with the results of the earlier ones.
    let choice = part
        .nodes
        .iter()
        .rev()
        .copied()
        .find(|&node| op(reach, node) == "TopK");
    match choice {
        Some(choice) => experts(reach, part, choice, last).unwrap_or_default(),
        None => match last.as_slice() {
            [down] if !chooses(reach, part) => dense(reach, part, down),
            _ => MlpFacts::default(),
        },
    }
}

/// Whether a branch chooses among weights in a way that is not known.
fn chooses(reach: &Reach<'_, '_>, part: &Part<'_>) -> bool {
    let choosing = [
        "ArgMax", "NonZero", "OneHot", "Softmax", "If", "Loop", "Scan",
    ];
    part.nodes
        .iter()
        .any(|&node| choosing.contains(&op(reach, node)))
}

/// One fused operator; its router is a product before it.
fn operator(reach: &Reach<'_, '_>, node: usize) -> Option<MlpFacts> {
    let message = reach.index.node(node)?;
    let weights = shape::dims(reach.index, message.input.get(2)?)?;
    let count = weights.first().copied().flatten()?;
    let kind = attribute(message, "activation_type").and_then(|kind| kind.s.as_deref());
    let (activation, gated) = match kind {
        Some(b"gelu") => (Some(Activation::Gelu), Some(false)),
        Some(b"silu") => (Some(Activation::Silu), Some(false)),
        Some(b"relu") | None => (Some(Activation::Relu), Some(false)),
        Some(b"swiglu") => {
            let alpha = attribute(message, "activation_alpha").and_then(|alpha| alpha.f);
            (Some(activation::swish(alpha)), Some(true))
        }
        Some(_) => (None, None),
    };
    // A third product beside the two makes each expert gated.
    let third =
        message.input.get(6).is_some_and(|name| !name.is_empty()) && message.op_type() == "MoE";
    // `[expert, d_model, inner]`; quantised ones are packed.
    let second = message
        .input
        .get(4)
        .and_then(|name| shape::dims(reach.index, name));
    let width = second
        .and_then(|dims| dims.get(2).copied().flatten())
        .filter(|_| message.op_type() == "MoE");
    Some(MlpFacts {
        kind: Some(MlpKind::Experts {
            count,
            chosen: heads::integer(reach, node, "k").or(Some(1)),
            gated: if third { Some(true) } else { gated },
            shared: false,
        }),
        width,
        activation,
    })
}

/// In, activation, out, with `down` as the last product.
fn dense<'g>(reach: &Reach<'_, 'g>, part: &Part<'g>, down: &Product<'g>) -> MlpFacts {
    let width = down.input;
    let (up, between) = part.products(reach, &[down.data]);
    let gated = match up.as_slice() {
        [one] => match (one.output, width) {
            (Some(made), Some(width)) if made == width => Some(false),
            (Some(made), Some(width)) if Some(made) == width.checked_mul(2) => Some(true),
            _ => None,
        },
        [_, _] => Some(true),
        _ => None,
    };
    MlpFacts {
        kind: gated.map(|gated| {
            if gated {
                MlpKind::Gated
            } else {
                MlpKind::Plain
            }
        }),
        width,
        activation: gated.and_then(|_| {
            let joined = || {
                up.iter()
                    .find_map(|product| activation::joined(reach, product.node))
            };
            activation::of(reach, &between).or_else(joined)
        }),
    }
}

/// Products behind the choice are experts, another one beside them is shared by all tokens.
fn experts<'g>(
    reach: &Reach<'_, 'g>,
    part: &Part<'g>,
    choice: usize,
    last: Vec<Product<'g>>,
) -> Option<MlpFacts> {
    let message = reach.index.node(choice)?;
    let (routers, _) = part.products(reach, &[message.input.first()?.as_str()]);
    let [router] = routers.as_slice() else {
        return None;
    };
    let count = router.output.filter(|count| *count > 1)?;
    let (after, _) = part.after(reach, choice);
    // The router itself is met on the way of its weights, and a product of width one is a gate.
    let (routed, others): (Vec<_>, Vec<_>) = last
        .into_iter()
        .filter(|product| product.node != router.node && product.output != Some(1))
        .partition(|product| after.contains(&product.node));
    let (expert, shared) = match (routed.as_slice(), others.as_slice()) {
        ([expert, ..], []) => (expert, false),
        ([expert, ..], [_]) => (expert, true),
        // Every expert answers every token, and the choice only weighs the answers.
        ([], all @ [expert, ..]) if all.len() == count => (expert, false),
        ([], all @ [expert, ..]) if Some(all.len()) == count.checked_add(1) => (expert, true),
        _ => return None,
    };
    let inner = dense(reach, part, expert);
    let gated = match inner.kind {
        Some(MlpKind::Gated) => Some(true),
        Some(MlpKind::Plain) => Some(false),
        _ => None,
    };
    Some(MlpFacts {
        kind: Some(MlpKind::Experts {
            count: expert
                .choices
                .filter(|choices| *choices > 1)
                .unwrap_or(count),
            chosen: message
                .input
                .get(1)
                .and_then(|k| scalar::integer(reach.index, k)),
            gated,
            shared,
        }),
        ..inner
    })
}
