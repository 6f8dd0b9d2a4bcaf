//! From the logits back through the unembedding to the last norm.

use std::collections::HashSet;

use super::super::operators::{Role, role};
use super::broken;
use super::linear;
use super::norm;
use super::reach::Reach;
use super::value::{Value, behind_quantised, behind_transparent, is_codes};
use crate::fault::Result;

/// What lies between the residual stream and the logits.
#[derive(Clone, Copy)]
pub(super) struct Head<'g> {
    /// The last norm's output with gain and bias; `None` if the unembedding reads the stream itself.
    pub norm: Option<&'g str>,
    /// The stream that the norm (or the unembedding) reads.
    pub stream: Value<'g>,
    /// The node that multiplies with the unembedding.
    pub unembedding: usize,
}

/// Follows the logits back.
///
/// # Errors
/// There is no unembedding, or something between it and the stream that is not known.
pub(super) fn trace<'g>(reach: &Reach<'_, 'g>, logits: &'g str) -> Result<Head<'g>> {
    let mut path = vec![logits];
    let mut unembedding = None;
    let mut at = logits;
    loop {
        reach.step()?;
        let Some((node, slot)) = reach.index.producer(at) else {
            return Err(broken(
                format!("the way back from `{logits}` ends at the input `{at}`"),
                "an unembedding and a last norm on the way",
            ));
        };
        if let (Some(stream), Some(unembedding)) = (norm::input(reach, at), unembedding) {
            return Ok(Head {
                norm: Some(with_gain(reach, &path)),
                stream,
                unembedding,
            });
        }
        let place = || reach.index.describe(node);
        let op = reach.index.node(node).map_or("", |node| node.op_type());
        if let (Some(_), Some(unembedding)) = (Value::Named(at).terms(reach), unembedding) {
            return Ok(Head {
                norm: None,
                stream: Value::Named(at),
                unembedding,
            });
        }
        at = if let Some(data) = linear::data(reach, node) {
            unembedding = unembedding.or(Some(node));
            data
        } else if op == "DynamicQuantizeLinear" && slot == 0 {
            first_input(reach, node, &place())?
        } else if role(op).is_some_and(is_passed) {
            passed(reach, node).ok_or_else(|| {
                broken(
                    format!("{} on the way back from `{logits}`", place()),
                    "an unembedding (MatMul, Gemm, MatMulNBits, …) of a normalised stream",
                )
            })?
        } else {
            return Err(broken(
                format!("{} on the way back from `{logits}`", place()),
                if unembedding.is_some() {
                    "a last norm (LayerNormalization, RMSNorm or their fused forms) before the unembedding"
                } else {
                    "an unembedding (MatMul, Gemm, MatMulNBits, …) of a normalised stream"
                },
            ));
        };
        path.push(at);
    }
}

/// How many operators a network between the stream and the unembedding may have.
const DEEP: usize = 64;

/// The norm before a head's own, behind products with weights and activations: the head of an encoder is such a
/// network.
pub(super) fn further<'g>(reach: &Reach<'_, 'g>, head: &Head<'g>) -> Result<Option<Head<'g>>> {
    let Value::Named(mut at) = head.stream else {
        return Ok(None);
    };
    let mut products = 0;
    for _ in 0..DEEP {
        reach.step()?;
        let Some((node, _)) = reach.index.producer(at) else {
            return Ok(None);
        };
        if products > 0 {
            if let Some(stream) = norm::input_behind_affine(reach, at) {
                // Where the products are quantised, codes stand for the norm.
                let mut norm = at;
                while is_codes(reach, norm)
                    && let Some(floats) = behind_quantised(reach, norm)
                {
                    norm = floats;
                }
                return Ok(Some(Head {
                    norm: Some(norm),
                    stream,
                    unembedding: head.unembedding,
                }));
            }
            if Value::Named(at).terms(reach).is_some() {
                return Ok(Some(Head {
                    norm: None,
                    stream: Value::Named(at),
                    unembedding: head.unembedding,
                }));
            }
        }
        let behind = if let Some(data) = linear::data(reach, node) {
            products += 1;
            Some(data)
        } else {
            behind_transparent(reach, at)
                .or_else(|| behind_quantised(reach, at))
                .or(behind_activation(reach, at)?)
        };
        let Some(behind) = behind else {
            return Ok(None);
        };
        at = behind;
    }
    Ok(None)
}

/// The one tensor that an activation, spelled out or not, is computed from.
fn behind_activation<'g>(reach: &Reach<'_, 'g>, tensor: &'g str) -> Result<Option<&'g str>> {
    let mut sources = HashSet::new();
    let mut seen = HashSet::new();
    let mut open = vec![tensor];
    while let Some(at) = open.pop() {
        reach.step()?;
        let producer = reach.index.producer(at);
        let pointwise = producer.filter(|(node, _)| {
            reach
                .index
                .node(*node)
                .and_then(|node| role(node.op_type()))
                .is_some_and(|role| matches!(role, Role::Pointwise | Role::Copy | Role::Quantise))
        });
        match pointwise {
            Some((node, _)) => {
                let live = reach.live_inputs(node);
                // The factor that a dynamic quantisation scales its product by is no source of its own.
                let product = live
                    .iter()
                    .copied()
                    .find(|name| integer_product(reach, name));
                let live = product.map_or(live, |product| vec![product]);
                open.extend(live.into_iter().filter(|name| seen.insert(*name)));
            }
            None => {
                sources.insert(at);
            }
        }
    }
    let mut sources = sources.into_iter();
    Ok(match (sources.next(), sources.next()) {
        (Some(only), None) if only != tensor => Some(only),
        _ => None,
    })
}

/// Whether the way back from the logits passes an operator by its data input.
fn is_passed(role: Role) -> bool {
    matches!(
        role,
        Role::Pointwise
            | Role::Copy
            | Role::Reshape
            | Role::Move
            | Role::Quantise
            | Role::Lookup { .. }
    )
}

/// The input that an operator on the way only scales, shifts, cuts or casts.
fn passed<'g>(reach: &Reach<'_, 'g>, node: usize) -> Option<&'g str> {
    let message = reach.index.node(node)?;
    let live = reach.live_inputs(node);
    match (message.op_type(), live.as_slice()) {
        (_, [only]) => Some(*only),
        // Which token is the last one may itself be computed from the mask.
        ("Slice" | "Gather" | "GatherND" | "Reshape", _) => {
            let data = message.input.first()?.as_str();
            reach.is_live(data).then_some(data)
        }
        // Dynamic quantisation scales the integer product by a factor that depends on the data.
        ("Mul", [a, b]) => [*a, *b]
            .into_iter()
            .find(|side| integer_product(reach, side)),
        _ => None,
    }
}

pub(super) fn integer_product(reach: &Reach<'_, '_>, tensor: &str) -> bool {
    let mut at = tensor;
    while let Some((node, _)) = reach.index.producer(at) {
        let Some(message) = reach.index.node(node) else {
            return false;
        };
        match (message.op_type(), message.input.first()) {
            ("MatMulInteger", _) => return true,
            ("Cast", Some(input)) => at = input,
            _ => return false,
        }
    }
    false
}

fn first_input<'g>(reach: &Reach<'_, 'g>, node: usize, place: &str) -> Result<&'g str> {
    reach
        .index
        .node(node)
        .and_then(|message| message.input.first())
        .map(String::as_str)
        .ok_or_else(|| broken(format!("{place} without an input"), "an input"))
}

/// The tensor after gain, bias and cast, of a path from the logits down to a norm's core.
fn with_gain<'g>(reach: &Reach<'_, 'g>, path: &[&'g str]) -> &'g str {
    let mut down = path.iter().rev().copied();
    let mut found = down.next().unwrap_or_default();
    for above in down {
        let cast = reach
            .index
            .producer(above)
            .and_then(|(node, _)| reach.index.node(node))
            .is_some_and(|node| matches!(node.op_type(), "Cast" | "Identity"));
        if !cast && norm::behind_affine(reach, above) != Some(found) {
            break;
        }
        found = above;
    }
    found
}
