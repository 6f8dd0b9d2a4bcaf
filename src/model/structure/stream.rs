//! The residual stream: a chain of additions in which one side is the stream and the others are computed from it.

use std::collections::VecDeque;

use super::branch::{self, Branch};
use super::reach::Reach;
use super::value::{Value, behind_quantised, behind_scale, behind_transparent, is_codes};
use super::{broken, norm, shape};
use crate::fault::Result;

/// How many terms of a sum are looked at before it counts as no addition to the stream.
const TERMS: usize = 32;

/// One addition (or several at once) to the stream.
pub(super) struct Step<'g> {
    /// Where the sum is made, for messages.
    pub node: usize,
    /// What is added.
    pub branches: Vec<Branch<'g>>,
    /// A bias that the sum adds too, so that no single tensor holds all that is added.
    pub bias: Option<&'g str>,
    /// The stream afterwards.
    pub after: Value<'g>,
}

/// The chain, bottom up.
pub(super) struct Stream<'g> {
    /// The stream before the first block.
    pub embedding: &'g str,
    /// At least one.
    pub steps: Vec<Step<'g>>,
    /// Whether the stream itself passes norms between additions (post-norm models).
    pub post_norm: bool,
    /// Whether it has passed such a norm already where the walk begins, so that the norm above is another.
    pub ends_in_norm: bool,
}

/// Walks from the last norm's input down to the embedding.
///
/// # Errors
/// The chain breaks above the embedding, or there is no chain.
pub(super) fn walk<'g>(reach: &Reach<'_, 'g>, top: Value<'g>) -> Result<Stream<'g>> {
    let mut steps = Vec::new();
    let mut post_norm = false;
    let mut ends_in_norm = false;
    let mut at = top;
    loop {
        let way = descend(reach, at);
        let split = match way.sum.terms(reach) {
            Some(terms) => split(reach, terms)?,
            None => None,
        };
        let Some((stream, outputs)) = split else {
            let embedding = bottom(reach, &way)?;
            if steps.is_empty() {
                return Err(broken(
                    format!("no branch is added to `{embedding}`, which the last norm reads"),
                    "a residual stream: additions of attention and MLP outputs to the embedding",
                ));
            }
            steps.reverse();
            return Ok(Stream {
                embedding,
                steps,
                post_norm,
                ends_in_norm,
            });
        };
        let mut branches = Vec::new();
        for output in outputs {
            branches.extend(branch::read(reach, output, stream)?);
            if holds(reach, output, stream) {
                return Err(broken(
                    format!(
                        "`{stream}` is added to `{output}`, which is a sum of it and of a branch already",
                    ),
                    "a stream that goes into each sum once: one that is added again after a layer is not followed",
                ));
            }
        }
        post_norm |= way.normed && !steps.is_empty();
        ends_in_norm |= way.normed && steps.is_empty();
        steps.push(Step {
            node: way.sum.node(reach.index).unwrap_or_default(),
            branches,
            bias: way.sum.bias(reach.index),
            after: way.point,
        });
        at = Value::Named(stream);
    }
}

/// The way from the tensor that readers of the stream use down to the sum that makes it.
struct Way<'g> {
    sum: Value<'g>,
    /// The tensor to read or write the stream at.
    point: Value<'g>,
    normed: bool,
}

fn descend<'g>(reach: &Reach<'_, 'g>, from: Value<'g>) -> Way<'g> {
    let mut at = from;
    let mut normed = false;
    // What is the same but for type and layout, from the readers' side down to the first operator that changes values.
    let mut alike: Vec<&'g str> = Vec::new();
    let mut changed = false;
    while let Value::Named(name) = at {
        if !changed {
            alike.push(name);
        }
        if at.terms(reach).is_some() {
            break;
        }
        if let Some(behind) = behind_transparent(reach, name) {
            at = Value::Named(behind);
        } else if let Some(behind) = behind_quantised(reach, name) {
            // What is rounded to codes is read at the floats before, what is made of codes at the floats behind.
            if is_codes(reach, name) && !changed {
                alike.clear();
            } else {
                changed = true;
            }
            at = Value::Named(behind);
        } else if let Some(behind) = norm::input_behind_affine(reach, name) {
            changed = true;
            normed = true;
            at = behind;
        } else if let Some(behind) = behind_scale(reach, name) {
            changed = true;
            at = Value::Named(behind);
        } else {
            break;
        }
    }
    let point = match from {
        Value::SkipSum(_) => from,
        Value::Named(name) => {
            let cubic = |name: &&&str| shape::rank(reach, name) == Some(3);
            let nearest = alike.iter().rev().find(cubic).or(alike.last());
            Value::Named(nearest.copied().unwrap_or(name))
        }
    };
    Way {
        sum: at,
        point,
        normed,
    }
}

/// Tells the stream from the branches among the terms of a sum: every other term is computed from the stream.
/// Sums within sums count as one, because parallel branches are added in any order.
fn split<'g>(
    reach: &Reach<'_, 'g>,
    terms: [&'g str; 2],
) -> Result<Option<(&'g str, Vec<&'g str>)>> {
    let [a, b] = terms;
    let mut open = VecDeque::from([(a, vec![b]), (b, vec![a])]);
    let mut looked_at = 0;
    while let Some((term, others)) = open.pop_front() {
        looked_at += 1;
        if looked_at > TERMS {
            break;
        }
        let mut candidate = term;
        let mut scaled = false;
        loop {
            let mut all = true;
            for other in &others {
                all = all && reach.is_ancestor(candidate, other)?;
            }
            if all {
                return Ok(Some((candidate, others)));
            }
            let alike = behind_transparent(reach, candidate);
            if let Some(behind) = alike.or_else(|| behind_quantised(reach, candidate)) {
                candidate = behind;
            } else if let Some(behind) = behind_scale(reach, candidate) {
                candidate = behind;
                scaled = true;
            } else {
                break;
            }
        }
        // Terms of a scaled sum are not what is added.
        let inner = Value::Named(candidate).terms(reach).filter(|_| !scaled);
        if let Some([c, d]) = inner {
            for (inner, rest) in [(c, d), (d, c)] {
                let mut others = others.clone();
                others.push(rest);
                open.push_back((inner, others));
            }
        }
    }
    Ok(None)
}

/// Whether the stream itself is a term of what is added to it.
fn holds(reach: &Reach<'_, '_>, added: &str, stream: &str) -> bool {
    let mut open = vec![added];
    for _ in 0..TERMS {
        let Some(at) = open.pop() else { break };
        if at == stream {
            return true;
        }
        let behind = behind_transparent(reach, at)
            .or_else(|| behind_quantised(reach, at))
            .or_else(|| behind_scale(reach, at));
        match (behind, Value::Named(at).terms(reach)) {
            (Some(behind), _) => open.push(behind),
            (None, Some(terms)) => open.extend(terms),
            (None, None) => {}
        }
    }
    false
}

/// The chain ends: that must be the embedding, with no attention below it and token ids looked up in a table.
fn bottom<'g>(reach: &Reach<'_, 'g>, way: &Way<'g>) -> Result<&'g str> {
    let place = || {
        way.sum.node(reach.index).map_or_else(
            || "a graph input".to_string(),
            |node| reach.index.describe(node),
        )
    };
    let Value::Named(embedding) = way.point else {
        return Err(broken(
            format!("the chain of additions ends inside {}", place()),
            "an embedding of the token ids",
        ));
    };
    let below = reach.region(embedding, None)?;
    if let Some(attention) = branch::first_attention(reach, &below) {
        return Err(broken(
            format!(
                "the chain of additions breaks at {}, above the attention in {}",
                place(),
                reach.index.describe(attention)
            ),
            "a sum of the stream and a branch that is computed from it",
        ));
    }
    let looked_up = below
        .iter()
        .any(|&node| super::inputs::lookup(reach, node).is_some());
    if !looked_up {
        return Err(broken(
            format!(
                "the chain of additions ends at {}, below which no token ids are looked up",
                place()
            ),
            "an embedding: token ids that index a table of floats",
        ));
    }
    Ok(embedding)
}
