//! Heads, projections, positions, windows and caps of an attention.

use std::collections::HashSet;

use super::super::super::architecture::Layout;
use super::super::super::facts::{AttentionFacts, Positions};
use super::super::super::index::attribute;
use super::super::attention::Inside;
use super::super::reach::Reach;
use super::super::value::behind_transparent;
use super::super::{branch, heads, linear, norm};
use super::part::{Part, Product, op};
use super::{mask, norms, scalar};

/// How many operators are looked at on the way to an angle.
const FAR: usize = 128;

/// The tensors that an attention compares and gathers.
struct Operands<'g> {
    queries: &'g str,
    keys: &'g str,
    values: Option<&'g str>,
    /// Nodes between the product of queries and keys and the softmax.
    on_scores: Vec<usize>,
    /// What is added to the scores, or chooses among them, and is not computed from the stream.
    masks: Vec<&'g str>,
}

pub(super) fn facts<'g>(
    reach: &Reach<'_, 'g>,
    part: &Part<'g>,
    node: usize,
    inside: &Inside<'g>,
) -> AttentionFacts {
    let d_head = match inside.z {
        Ok((_, Layout::Heads { d_head, .. })) => Some(d_head),
        _ => None,
    };
    let mut facts = AttentionFacts {
        heads: inside.heads,
        kv_heads: heads::integer(reach, node, "kv_num_heads"),
        d_head,
        window: heads::integer(reach, node, "local_window_size"),
        score_cap: float(reach, node, "softcap"),
        positions: heads::integer(reach, node, "do_rotary").map(|_| Positions::Rotary),
        ..AttentionFacts::default()
    };
    let op = op(reach, node);
    let is_own = reach
        .index
        .node(node)
        .is_some_and(|node| matches!(node.domain(), "" | "ai.onnx"));
    if matches!(op, "Attention" | "QAttention") && !is_own {
        // It multiplies with the weights of queries, keys and values itself.
        let sizes = reach
            .index
            .node(node)
            .and_then(|node| attribute(node, "qkv_hidden_sizes"));
        facts.kv_heads = inside.heads.filter(|_| sizes.is_none());
        facts.fused_qkv = Some(true);
        return facts;
    }
    let operands = if op == "Softmax" {
        spelled(reach, part, node)
    } else {
        fused(reach, part, node)
    };
    let Some(operands) = operands else {
        return facts;
    };
    let of = |name| part.products(reach, &[name]);
    let (queries, between) = of(operands.queries);
    let keys = of(operands.keys).0;
    let values = operands.values.map_or_else(Vec::new, |values| of(values).0);
    if let ([q], [k], [v]) = (queries.as_slice(), keys.as_slice(), values.as_slice()) {
        let projections = Projections { q, k, v };
        facts.fused_qkv = projections.fused();
        let counted = || projections.kv_heads(inside.heads?, d_head?);
        facts.kv_heads = facts.kv_heads.or_else(counted);
    }
    let normed = between
        .iter()
        .flat_map(|&node| super::part::outputs_of(reach, node));
    facts.qk_norm = normed
        .filter(|name| norm::input(reach, name).is_some())
        .find_map(|name| norms::kind(reach, name));
    if rotates(reach, part, &between) {
        facts.positions = Some(Positions::Rotary);
    }
    for mask in &operands.masks {
        let way = mask::way(reach, mask);
        if facts.positions.is_none()
            && inside
                .heads
                .is_some_and(|heads| mask::slopes(reach, &way, heads))
        {
            facts.positions = Some(Positions::Alibi);
        }
        facts.window = facts.window.or_else(|| mask::window(reach, &way));
    }
    facts.score_cap = facts.score_cap.or_else(|| cap(reach, &operands.on_scores));
    facts
}

/// The products that make queries, keys and values.
struct Projections<'p, 'g> {
    q: &'p Product<'g>,
    k: &'p Product<'g>,
    v: &'p Product<'g>,
}

impl Projections<'_, '_> {
    fn fused(&self) -> Option<bool> {
        let (q, k, v) = (self.q.node, self.k.node, self.v.node);
        if q == k && k == v {
            Some(true)
        } else {
            (q != k && k != v && q != v).then_some(false)
        }
    }

    /// From widths: those of keys and values in heads of `d_head`.
    fn kv_heads(&self, heads: usize, d_head: usize) -> Option<usize> {
        let in_heads = |width: usize| {
            let heads = width.checked_div(d_head)?;
            width.is_multiple_of(d_head).then_some(heads)
        };
        let count = if self.k.node != self.v.node {
            in_heads(self.v.output?)?
        } else if self.q.node == self.k.node {
            in_heads(self.v.output?)?
                .checked_sub(heads)?
                .checked_div(2)?
        } else {
            in_heads(self.v.output?)?.checked_div(2)?
        };
        (count > 0 && heads.is_multiple_of(count)).then_some(count)
    }
}

fn float(reach: &Reach<'_, '_>, node: usize, name: &str) -> Option<f32> {
    attribute(reach.index.node(node)?, name)?
        .f
        .filter(|value| *value > 0.0)
}

/// Operands of a fused operator that reads queries, keys and values.
fn fused<'g>(reach: &Reach<'_, 'g>, part: &Part<'g>, node: usize) -> Option<Operands<'g>> {
    let message = reach.index.node(node)?;
    let at = |slot: usize| {
        message
            .input
            .get(slot)
            .map(String::as_str)
            .filter(|name| part.holds(name))
    };
    let queries = at(0).filter(|_| branch::is_attention(message.op_type()))?;
    let mask = message.input.get(3).map(String::as_str);
    let is_own = matches!(message.domain(), "" | "ai.onnx");
    Some(Operands {
        queries,
        keys: at(1).unwrap_or(queries),
        values: Some(at(2).unwrap_or(queries)),
        on_scores: Vec::new(),
        masks: mask
            .filter(|name| is_own && !name.is_empty())
            .into_iter()
            .collect(),
    })
}

/// Operands of an attention that is written out around its softmax.
fn spelled<'g>(reach: &Reach<'_, 'g>, part: &Part<'g>, softmax: usize) -> Option<Operands<'g>> {
    let mut on_scores = Vec::new();
    let mut masks = Vec::new();
    let mut seen = HashSet::new();
    let mut factors = None;
    let mut open = vec![reach.index.node(softmax)?.input.first()?.as_str()];
    while let Some(at) = open.pop() {
        let Some((node, _)) = reach.index.producer(at) else {
            continue;
        };
        if !part.holds(at) {
            masks.push(at);
            continue;
        }
        if part.is_stream(at) || !seen.insert(node) {
            continue;
        }
        if let Some([a, b]) = linear::factors(reach, node)
            && part.holds(a)
            && part.holds(b)
        {
            factors = Some([a, b]);
            continue;
        }
        on_scores.push(node);
        open.extend(reach.index.reads(node));
    }
    let [queries, keys] = factors?;
    let (_, mixed) = part.after(reach, softmax);
    let values = part.nodes.iter().find_map(|&node| {
        let [a, b] = linear::factors(reach, node)?;
        let both = part.holds(a) && part.holds(b);
        match (mixed.contains(a), mixed.contains(b)) {
            (true, false) if both => Some(b),
            (false, true) if both => Some(a),
            _ => None,
        }
    });
    Some(Operands {
        queries,
        keys,
        values,
        on_scores,
        masks,
    })
}

/// Whether queries are multiplied with angles, or turned by a quarter, on their way from their projection.
fn rotates(reach: &Reach<'_, '_>, part: &Part<'_>, between: &[usize]) -> bool {
    between.iter().any(|&node| match op(reach, node) {
        "RotaryEmbedding" | "GemmaRotaryEmbedding" => true,
        "Mul" => reach
            .index
            .reads(node)
            .any(|name| !part.holds(name) && is_angle(reach, name)),
        "Concat" => turns(reach, node),
        _ => false,
    })
}

/// Whether one half of what is put together was negated.
fn turns(reach: &Reach<'_, '_>, concat: usize) -> bool {
    let negated: Vec<bool> = reach
        .live_inputs(concat)
        .into_iter()
        .map(|part| {
            let behind = behind_transparent(reach, part).unwrap_or(part);
            let made = reach.index.producer(behind);
            made.is_some_and(|(node, _)| op(reach, node) == "Neg")
        })
        .collect();
    matches!(negated.as_slice(), [true, false] | [false, true])
}

fn is_angle<'g>(reach: &Reach<'_, 'g>, tensor: &'g str) -> bool {
    let mut seen = HashSet::new();
    let mut open = vec![tensor];
    while let Some(at) = open.pop() {
        let Some((node, _)) = reach.index.producer(at) else {
            continue;
        };
        if matches!(op(reach, node), "Cos" | "Sin") {
            return true;
        }
        if seen.len() < FAR && seen.insert(node) {
            open.extend(reach.index.reads(node));
        }
    }
    false
}

/// `c` of `c · tanh(…)` on the way.
pub(super) fn cap(reach: &Reach<'_, '_>, nodes: &[usize]) -> Option<f32> {
    let tanh = nodes.iter().find(|&&node| op(reach, node) == "Tanh")?;
    let made = reach.index.node(*tanh)?.output.first()?;
    reach.index.consumers(made).iter().find_map(|&(node, _)| {
        let message = reach
            .index
            .node(node)
            .filter(|node| node.op_type() == "Mul")?;
        message
            .input
            .iter()
            .find_map(|name| scalar::of(reach.index, name))
    })
}
