//! What a branch beside the stream is: attention if it mixes positions by scores, otherwise an MLP.

use std::collections::HashSet;

use super::super::operators::{Role, role};
use super::broken;
use super::linear;
use super::norm;
use super::reach::Reach;
use super::value::{Value, behind_quantised, behind_scale, behind_transparent};
use crate::fault::Result;

/// How many operators may stand between a softmax and the product that its scores are from.
const FAR: usize = 256;

/// Whether an operator is a whole attention.
pub(super) fn is_attention(op_type: &str) -> bool {
    role(op_type) == Some(Role::Attention)
}

/// Whether scores may pass an operator between the product of queries and keys and their softmax.
fn passes_scores(op_type: &str) -> bool {
    matches!(
        role(op_type),
        Some(Role::Pointwise | Role::Copy | Role::Reshape | Role::Move | Role::Quantise)
    )
}

/// What a branch does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Scores over positions; the node is the softmax or the fused operator, and others may stand beside it.
    Attention {
        node: usize,
        beside: Vec<usize>,
    },
    Mlp,
}

/// A branch: the tensor that is added to the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Branch<'g> {
    pub output: &'g str,
    pub kind: Kind,
}

/// Classifies what is computed from `stream` and added to it; a sum of attention and MLP comes apart.
pub(super) fn read<'g>(
    reach: &Reach<'_, 'g>,
    output: &'g str,
    stream: &'g str,
) -> Result<Vec<Branch<'g>>> {
    let kind = classify(reach, output, stream)?;
    if kind != Kind::Mlp {
        let mut sum = output;
        while let Some(behind) =
            behind_transparent(reach, sum).or_else(|| behind_quantised(reach, sum))
        {
            sum = behind;
        }
        if let Some(terms) = Value::Named(sum).terms(reach) {
            let parts = [
                classify(reach, terms[0], stream)?,
                classify(reach, terms[1], stream)?,
            ];
            let apart = parts.iter().filter(|kind| **kind == Kind::Mlp).count() == 1
                && reach.is_ancestor(stream, terms[0])?
                && reach.is_ancestor(stream, terms[1])?;
            if apart {
                let branch = |(output, kind)| Branch { output, kind };
                return Ok(terms.into_iter().zip(parts).map(branch).collect());
            }
        }
    }
    Ok(vec![Branch { output, kind }])
}

fn classify<'g>(reach: &Reach<'_, 'g>, output: &'g str, stream: &'g str) -> Result<Kind> {
    let region = reach.region(output, Some(stream))?;
    let computed = reach.computed_from(stream, &region);
    let mut attentions = region
        .iter()
        .copied()
        .filter(|&node| attends(reach, node, &computed));
    let Some(node) = attentions.next() else {
        return Ok(Kind::Mlp);
    };
    let beside: Vec<usize> = attentions.collect();
    // Two attentions side by side may be one; one after the other, they are layers, and the sum a bridge over them.
    let made = reach.index.node(node).and_then(|node| node.output.first());
    let after = made.map_or_else(HashSet::new, |made| reach.computed_from(made, &region));
    let is_after = |&&later: &&usize| reach.index.reads(later).any(|name| after.contains(name));
    if let Some(&later) = beside.iter().find(is_after) {
        return Err(broken(
            format!(
                "{} behind {}, both between `{stream}` and what is added to it as `{output}`",
                reach.index.describe(later),
                reach.index.describe(node)
            ),
            "one attention in a branch: a stream that is added to again after several layers is not followed",
        ));
    }
    Ok(Kind::Attention { node, beside })
}

/// Whether a node is an attention over what is computed from the stream.
fn attends<'g>(reach: &Reach<'_, 'g>, node: usize, computed: &HashSet<&'g str>) -> bool {
    let Some(message) = reach.index.node(node) else {
        return false;
    };
    let mut inputs = message.input.iter();
    if !inputs.any(|name| computed.contains(name.as_str())) {
        return false;
    }
    let scores = message
        .input
        .first()
        .filter(|_| role(message.op_type()) == Some(Role::Softmax));
    is_attention(message.op_type())
        || scores.is_some_and(|scores| of_a_product(reach, scores, computed))
}

/// Whether scores come from a product of queries and keys. A router of experts has a softmax too, but over a product with
/// a weight. Keys may be those of an earlier layer, and so not be computed from this stream.
fn of_a_product<'g>(reach: &Reach<'_, 'g>, scores: &'g str, computed: &HashSet<&'g str>) -> bool {
    let mut seen = HashSet::new();
    let mut open = vec![scores];
    while let Some(at) = open.pop() {
        let Some((node, _)) = reach.index.producer(at) else {
            continue;
        };
        if !computed.contains(at) || seen.len() > FAR || !seen.insert(node) {
            continue;
        }
        if let Some(factors) = linear::factors(reach, node) {
            if factors.iter().all(|factor| reach.is_live(factor)) {
                return true;
            }
        } else if reach
            .index
            .node(node)
            .is_some_and(|node| passes_scores(node.op_type()))
        {
            open.extend(reach.live_inputs(node));
        }
    }
    false
}

/// How many operators are looked at behind a module's last product.
const TAIL: usize = 32;

/// What is done to a module's output before it reaches `tensor`: a module ends in a product with its bias, or in the
/// lookup of an embedding.
pub(super) fn processed(reach: &Reach<'_, '_>, tensor: &str) -> Option<&'static str> {
    let mut at = reach.index.producer(tensor).and(Some(tensor))?.to_owned();
    for _ in 0..TAIL {
        let name = at.as_str();
        let (node, _) = reach.index.producer(name)?;
        let made = reach.index.node(node)?.output.first()?;
        if linear::data(reach, node).is_some() {
            return None;
        }
        if norm::input_behind_affine(reach, made).is_some() {
            return Some("a norm");
        }
        let behind = behind_transparent(reach, name)
            .or_else(|| behind_quantised(reach, name))
            .or_else(|| norm::behind_affine(reach, name));
        match behind {
            Some(behind) => at = behind.to_owned(),
            None => return behind_scale(reach, name).map(|_| "a factor"),
        }
    }
    None
}

/// Whether a region holds any softmax or fused attention, whatever it is over.
pub(super) fn first_attention(reach: &Reach<'_, '_>, region: &[usize]) -> Option<usize> {
    region.iter().copied().find(|&node| {
        reach.index.node(node).is_some_and(|message| {
            matches!(
                role(message.op_type()),
                Some(Role::Softmax | Role::Attention)
            )
        })
    })
}
