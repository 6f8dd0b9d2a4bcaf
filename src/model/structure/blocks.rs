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
    pub parallel: bool,
    /// `None` where the addition itself adds a bias.
    pub attn_out: Option<&'g str>,
    /// `None` in models of attention alone, where several MLPs are added apart, and with a bias as above.
    pub mlp_out: Option<&'g str>,
    /// `None` in parallel blocks and in models of attention alone.
    pub mid: Option<Value<'g>>,
    pub post: Value<'g>,
}

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
        let only_mlp = match mlps.as_slice() {
            [only] if !step.biased => Some(*only),
            _ => None,
        };
        match (attentions(step).as_slice(), mlps.len(), waiting.take()) {
            ([(node, out)], 0, None) => {
                let layer = Layer {
                    attention: *node,
                    parallel: false,
                    attn_out: Some(*out).filter(|_| !step.biased),
                    mlp_out: None,
                    mid: None,
                    post: step.after,
                };
                if attention_only {
                    layers.push(layer);
                } else {
                    waiting = Some(layer);
                }
            }
            ([(node, out)], 1.., None) => layers.push(Layer {
                attention: *node,
                parallel: true,
                attn_out: Some(*out).filter(|_| !step.biased),
                mlp_out: only_mlp,
                mid: None,
                post: step.after,
            }),
            ([], 1.., Some(layer)) => layers.push(Layer {
                mlp_out: only_mlp,
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

fn attentions<'g>(step: &Step<'g>) -> Vec<(usize, &'g str)> {
    let found = step.branches.iter().filter_map(|branch| match branch.kind {
        Kind::Attention { node } => Some((node, branch.output)),
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
