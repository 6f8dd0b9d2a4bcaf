//! From additions to blocks: an attention and an MLP each, one after the other or side by side.

use super::branch::Kind;
use super::broken;
use super::reach::Reach;
use super::stream::{Step, Stream};
use super::value::Value;
use crate::fault::Result;

/// One block with the values at its sites.
pub(super) struct Layer<'g> {
    /// Node of the softmax or the fused attention.
    pub attention: usize,
    /// Other attentions in the same branch.
    pub beside: Vec<usize>,
    pub parallel: bool,
    /// The branch that holds the attention.
    pub branch: &'g str,
    pub attn_out: Added<'g>,
    pub mlp_out: Added<'g>,
    /// `None` in parallel blocks and in models of attention alone.
    pub mid: Option<Value<'g>>,
    pub post: Value<'g>,
}

/// The tensors whose sum a branch adds to the stream, or why no tensors hold just that.
pub(super) type Added<'g> = std::result::Result<Vec<&'g str>, &'static str>;

const NO_MLP: &str = "the block has no MLP";
const ONE_BIAS: &str = "a fused operator adds one bias for attention and MLP together";

/// Groups the additions, bottom up.
///
/// # Errors
/// An attention without its MLP (unless no block has one), or an MLP without an attention.
pub(super) fn group<'g>(reach: &Reach<'_, 'g>, stream: &Stream<'g>) -> Result<Vec<Layer<'g>>> {
    let attention_only = stream
        .steps
        .iter()
        .all(|step| matches!(attentions(step).as_slice(), [_]) && mlps(step).is_empty());
    let mut layers: Vec<Layer<'g>> = Vec::new();
    let mut waiting: Option<Layer<'g>> = None;
    for step in &stream.steps {
        let place = reach.index.describe(step.node);
        let mlps = mlps(step);
        match (attentions(step).as_slice(), mlps.len(), waiting.take()) {
            ([(node, beside, out)], 0, None) => {
                let layer = Layer {
                    attention: *node,
                    beside: beside.to_vec(),
                    parallel: false,
                    branch: out,
                    attn_out: added(step, vec![*out]),
                    mlp_out: Err(NO_MLP),
                    mid: None,
                    post: step.after,
                };
                if attention_only {
                    layers.push(layer);
                } else {
                    waiting = Some(layer);
                }
            }
            ([(node, beside, out)], 1.., None) => layers.push(Layer {
                attention: *node,
                beside: beside.to_vec(),
                parallel: true,
                branch: out,
                attn_out: added(step, vec![*out]),
                mlp_out: added(step, mlps),
                mid: None,
                post: step.after,
            }),
            ([], 1.., Some(layer)) => layers.push(Layer {
                mlp_out: added(step, mlps),
                mid: Some(layer.post),
                post: step.after,
                ..layer
            }),
            ([], _, None) => {
                return Err(broken(
                    format!(
                        "block {} adds at {place} a branch without attention scores first",
                        layers.len()
                    ),
                    "attention first: a branch with a softmax over products of queries and keys, or a fused attention operator",
                ));
            }
            (_, _, Some(_)) => {
                return Err(broken(
                    format!(
                        "block {} adds another attention at {place} where its MLP should be",
                        layers.len()
                    ),
                    "decoder blocks of one attention and one MLP",
                ));
            }
            (more, _, None) => {
                return Err(broken(
                    format!(
                        "block {} adds {} attentions at once at {place}",
                        layers.len(),
                        more.len()
                    ),
                    "one attention in a block",
                ));
            }
        }
    }
    if waiting.is_some() {
        return Err(broken(
            format!(
                "the last norm reads the stream after the attention of block {}, before any MLP",
                layers.len()
            ),
            "decoder blocks of one attention and one MLP",
        ));
    }
    Ok(layers)
}

/// A bias inside the sum belongs to the branch if there is only one.
fn added<'g>(step: &Step<'g>, outputs: Vec<&'g str>) -> Added<'g> {
    match step.bias {
        Some(_) if step.branches.len() > outputs.len() => Err(ONE_BIAS),
        bias => Ok(outputs.into_iter().chain(bias).collect()),
    }
}

fn attentions<'s, 'g>(step: &'s Step<'g>) -> Vec<(usize, &'s [usize], &'g str)> {
    let found = step
        .branches
        .iter()
        .filter_map(|branch| match &branch.kind {
            Kind::Attention { node, beside } => Some((*node, beside.as_slice(), branch.output)),
            Kind::Mlp => None,
        });
    found.collect()
}

fn mlps<'g>(step: &Step<'g>) -> Vec<&'g str> {
    let found = step
        .branches
        .iter()
        .filter(|branch| branch.kind == Kind::Mlp);
    found.map(|branch| branch.output).collect()
}
