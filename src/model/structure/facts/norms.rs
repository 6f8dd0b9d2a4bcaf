//! Kinds of norms and where they stand.

use super::super::super::facts::{Norm, Norms};
use super::super::norm;
use super::super::reach::Reach;
use super::super::value::{Value, behind_cast, behind_quantised, behind_transparent, is_skip_norm};
use super::part::{Part, op, outputs_of};

/// How many operators may stand between a norm and what reads it.
const FAR: usize = 16;

/// The kind of the norm whose direct output `tensor` is.
pub(super) fn kind<'g>(reach: &Reach<'_, 'g>, tensor: &'g str) -> Option<Norm> {
    let base = norm::input(reach, tensor)?;
    let (node, _) = reach.index.producer(tensor)?;
    match op(reach, node) {
        "LayerNormalization" | "SkipLayerNormalization" => Some(Norm::Layer),
        "SimplifiedLayerNormalization"
        | "SkipSimplifiedLayerNormalization"
        | "RMSNormalization" => Some(Norm::Rms),
        "Mul" | "Div" => {
            let Value::Named(base) = base else {
                return None;
            };
            let base = behind_cast(reach, base);
            // Where the mean is taken off first, what is scaled is a difference.
            let whole = reach
                .live_inputs(node)
                .into_iter()
                .any(|side| behind_cast(reach, side) == base);
            Some(if whole { Norm::Rms } else { Norm::Layer })
        }
        _ => None,
    }
}

/// The norm that `tensor` has just passed, but for its gain and bias.
pub(super) fn passed<'g>(reach: &Reach<'_, 'g>, tensor: &'g str) -> Option<Norm> {
    let mut at = tensor;
    for _ in 0..FAR {
        if norm::input(reach, at).is_some() {
            return kind(reach, at);
        }
        let (node, slot) = reach.index.producer(at)?;
        if op(reach, node) == "EmbedLayerNormalization" && slot == 0 {
            return Some(Norm::Layer);
        }
        at = norm::behind_affine(reach, at)
            .or_else(|| behind_transparent(reach, at))
            .or_else(|| behind_quantised(reach, at))?;
    }
    None
}

/// Norms around a branch whose sum with the stream is `sum`.
pub(super) fn around<'g>(
    reach: &Reach<'_, 'g>,
    part: &Part<'g>,
    output: &'g str,
    sum: Option<Value<'g>>,
) -> Norms {
    Norms {
        before: before(reach, part),
        after: passed(reach, output).filter(|_| part.holds(output)),
        stream: match sum {
            Some(Value::Named(name)) => passed(reach, name),
            _ => None,
        },
    }
}

fn before<'g>(reach: &Reach<'_, 'g>, part: &Part<'g>) -> Option<Norm> {
    let of_stream = |name: &'g str| match norm::input(reach, name) {
        Some(Value::Named(base)) => {
            let behind = behind_transparent(reach, base).unwrap_or(base);
            part.is_like_stream(reach, base) || part.is_like_stream(reach, behind)
        }
        _ => false,
    };
    let own = part
        .nodes
        .iter()
        .flat_map(|&node| outputs_of(reach, node))
        .find(|name| of_stream(name));
    // A fused operator makes the stream and its norm at once.
    let fused = || {
        let mut read = part.nodes.iter().flat_map(|&node| reach.index.reads(node));
        read.find(|name| {
            let made = reach.index.producer(name);
            part.is_stream(name)
                && made.is_some_and(|(node, slot)| {
                    slot == 0 && is_skip_norm(op(reach, node)) && has_sum(reach, node)
                })
        })
    };
    own.or_else(fused).and_then(|name| kind(reach, name))
}

/// Whether the sum inside a fused norm is put out, and so the stream, and not its norm.
fn has_sum(reach: &Reach<'_, '_>, node: usize) -> bool {
    matches!(Value::skip_sum(reach.index, node), Value::Named(_))
}
