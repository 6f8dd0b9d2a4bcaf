//! Forward passes in which every reader has an input of its own.

use std::collections::HashMap;

use ndarray::{Array2, Array3, ArrayView2, Axis, s};

use super::graph::{Graph, Node, Receiver};
use super::pieces::Pieces;
use super::subgraph::Senders;
use super::verify::only_head;
use crate::fault::{Fault, Result};

/// Pairs whose prompts have one length.
pub(super) struct Group {
    /// Indices of the pairs.
    pub pairs: Vec<usize>,
    /// Clean prompts `[pairs, seq]`.
    pub clean: Array2<i64>,
    /// Corrupt prompts `[pairs, seq]`.
    pub corrupt: Array2<i64>,
    /// What each node is ablated to: `[pairs or 1, seq, d_model]`; `None` for nothing.
    pub ablated: Vec<Option<Array3<f32>>>,
    /// For each block what its attention adds whatever its heads gather: `[1, seq, d_model]`.
    pub biases: Vec<Array3<f32>>,
    /// For each step the stream if every node were ablated: `[pairs or 1, seq, d_model]`.
    pub ground: Vec<Array3<f32>>,
}

/// What each node wrote less what it is ablated to, `[rows, seq, d_model]`; `None` where it was not computed.
pub(super) type Deltas = Vec<Option<Array3<f32>>>;

/// What was computed so far.
pub(super) struct Written {
    pub deltas: Deltas,
    /// For each pass the sum of the deltas of the nodes that its circuit uses, of those that wrote before step `upto`.
    total: Array3<f32>,
    upto: usize,
}

/// A pass of one pair under one circuit.
#[derive(Clone, Copy)]
pub(super) struct Pass {
    /// Index into the circuits' senders.
    pub circuit: usize,
    /// Index within the group.
    pub pair: usize,
}

/// Several passes, computed step by step.
pub(super) struct Forward<'a> {
    pub pieces: &'a dyn Pieces,
    pub graph: &'a Graph,
    pub group: &'a Group,
    pub passes: &'a [Pass],
    /// For each circuit and receiver the senders that are kept.
    pub senders: &'a [Senders],
    /// For each circuit whether any receiver hears a node.
    pub used: Vec<Vec<bool>>,
    /// The first step that is computed; what nodes wrote before it is `base`, one row for each pair.
    pub from: usize,
    pub base: &'a Deltas,
    /// Whether the unembedding may be run on the last token alone.
    pub last_alone: bool,
}

impl Forward<'_> {
    /// What every node wrote from step `from` on.
    pub fn written(&self) -> Result<Written> {
        let (_, seq) = self.group.clean.dim();
        let shape = (self.passes.len(), seq, self.pieces.anatomy().d_model);
        let mut written = Written {
            deltas: vec![None; self.graph.nodes.len()],
            total: Array3::zeros(shape),
            upto: 0,
        };
        if self.from == 0
            && let Some(first) = written.deltas.first_mut()
        {
            let ids = self.ids(self.passes);
            *first = Some(self.less(0, self.pieces.embed(ids.view())?));
        }
        for layer in 0..self.pieces.anatomy().layers.len() {
            if 1 + 2 * layer >= self.from {
                self.attention(layer, &mut written)?;
            }
            if 2 + 2 * layer >= self.from {
                self.mlp(layer, &mut written)?;
            }
        }
        Ok(written)
    }

    /// Logits `[passes, vocab]` at the last position.
    pub fn logits(&self, written: &mut Written) -> Result<Array2<f32>> {
        let receiver = self.graph.receivers.len().saturating_sub(1);
        let requests: Vec<(usize, usize)> =
            (0..self.passes.len()).map(|row| (row, receiver)).collect();
        let stream = self.streams(&requests, written);
        let ids = self.ids(self.passes);
        let last = ids.ncols().saturating_sub(1);
        let logits = if self.last_alone {
            let (ids, stream) = (ids.slice(s![.., last..]), stream.slice(s![.., last.., ..]));
            let stream = stream.to_owned();
            self.pieces.logits(ids.to_owned().view(), stream.view())?
        } else {
            self.pieces.logits(ids.view(), stream.view())?
        };
        // Some models put out the logits of the last token alone.
        let at = logits.dim().1.saturating_sub(1);
        Ok(logits.index_axis(Axis(1), at).to_owned())
    }

    fn ids(&self, passes: &[Pass]) -> Array2<i64> {
        let rows: Vec<usize> = passes.iter().map(|pass| pass.pair).collect();
        self.group.clean.select(Axis(0), &rows)
    }

    fn kept(&self, row: usize, receiver: usize) -> &[usize] {
        let pass = self.passes.get(row);
        let of_circuit = pass.and_then(|pass| self.senders.get(pass.circuit));
        of_circuit
            .and_then(|receivers| receivers.get(receiver))
            .map_or(&[], Vec::as_slice)
    }

    /// Whether any pass needs what a node writes.
    fn wanted(&self, node: usize) -> bool {
        self.used
            .iter()
            .any(|used| used.get(node).copied().unwrap_or(false))
    }

    fn less(&self, node: usize, mut wrote: Array3<f32>) -> Array3<f32> {
        if let Some(Some(ablated)) = self.group.ablated.get(node) {
            for (mut row, pass) in wrote.outer_iter_mut().zip(self.passes) {
                row -= &of_pair(ablated, pass.pair);
            }
        }
        wrote
    }

    /// What each of `(row, receiver)` reads: `[requests, seq, d_model]`. The receivers are of one step.
    fn streams(&self, requests: &[(usize, usize)], written: &mut Written) -> Array3<f32> {
        let step = requests
            .first()
            .map_or(0, |(_, receiver)| self.graph.read_step(*receiver));
        self.sum_up(step, written);
        let (_, seq) = self.group.clean.dim();
        let width = self.pieces.anatomy().d_model;
        let mut streams = Array3::zeros((requests.len(), seq, width));
        for (mut stream, &(row, receiver)) in streams.outer_iter_mut().zip(requests) {
            let pair = self.passes.get(row).map_or(0, |pass| pass.pair);
            if let Some(ground) = self.group.ground.get(step) {
                stream.assign(&of_pair(ground, pair));
            }
            let kept = self.kept(row, receiver);
            let before = (0..self.graph.nodes.len())
                .take_while(|&node| self.graph.node_step(node) < step)
                .filter(|&node| self.uses(row, node));
            let left: Vec<usize> = before
                .filter(|node| kept.binary_search(node).is_err())
                .collect();
            // The sum of what is kept, by way of whichever has fewer terms.
            if left.len() < kept.len() {
                stream += &written.total.index_axis(Axis(0), row);
                for node in left {
                    if let Some(delta) = self.delta(&written.deltas, node, row) {
                        stream -= &delta;
                    }
                }
            } else {
                for &node in kept {
                    if let Some(delta) = self.delta(&written.deltas, node, row) {
                        stream += &delta;
                    }
                }
            }
        }
        streams
    }

    /// What a node wrote in a pass, less what it is ablated to.
    fn delta<'d>(
        &'d self,
        deltas: &'d Deltas,
        node: usize,
        row: usize,
    ) -> Option<ArrayView2<'d, f32>> {
        if let Some(own) = deltas.get(node).and_then(Option::as_ref) {
            return Some(own.index_axis(Axis(0), row));
        }
        let base = self.base.get(node).and_then(Option::as_ref)?;
        let pass = self.passes.get(row)?;
        Some(base.index_axis(Axis(0), pass.pair))
    }

    /// Brings the totals up to a step.
    fn sum_up(&self, step: usize, written: &mut Written) {
        let nodes = (0..self.graph.nodes.len())
            .filter(|&node| (written.upto..step).contains(&self.graph.node_step(node)));
        for node in nodes {
            for row in 0..self.passes.len() {
                if self.uses(row, node)
                    && let Some(delta) = self.delta(&written.deltas, node, row)
                {
                    let mut total = written.total.index_axis_mut(Axis(0), row);
                    total += &delta;
                }
            }
        }
        written.upto = written.upto.max(step);
    }

    /// Whether the circuit of a pass uses what a node writes.
    fn uses(&self, row: usize, node: usize) -> bool {
        let pass = self.passes.get(row);
        let of_circuit = pass.and_then(|pass| self.used.get(pass.circuit));
        of_circuit.is_some_and(|used| used.get(node).copied().unwrap_or(false))
    }

    fn attention(&self, layer: usize, written: &mut Written) -> Result<()> {
        let step = 1 + 2 * layer;
        let heads = self.graph.nodes.iter().enumerate();
        let heads: Vec<(usize, usize)> = heads
            .filter_map(|(node, what)| match what {
                Node::Head { layer: own, head } if *own == layer => Some((node, *head)),
                _ => None,
            })
            .filter(|(node, _)| self.wanted(*node))
            .collect();
        if heads.is_empty() {
            return Ok(());
        }
        let receivers: Vec<usize> = self.graph.of_step(step).collect();
        let (requests, asked) = self.shared(&receivers);
        let streams = self.streams(&requests, written);
        let passes: Vec<Pass> = requests
            .iter()
            .filter_map(|(row, _)| self.passes.get(*row).copied())
            .collect();
        let ids = self.ids(&passes);
        let qkv = self.pieces.qkv(layer, ids.view(), streams.view())?;
        let qkv = if requests.len() == self.passes.len() {
            qkv
        } else {
            self.joined(layer, &receivers, &asked, &qkv)
        };
        let ids = self.ids(self.passes);
        let z = self.pieces.attend(layer, ids.view(), qkv)?;
        let d_head = (self.pieces.anatomy().layers.get(layer)).map_or(0, |parts| parts.d_head);
        let bias = self.group.biases.get(layer);
        for (node, head) in heads {
            let own = only_head(z.view(), head, d_head);
            let mut wrote = self.pieces.attn_out(layer, ids.view(), own.view())?;
            if let Some(bias) = bias {
                wrote -= bias;
            }
            if let Some(slot) = written.deltas.get_mut(node) {
                *slot = Some(self.less(node, wrote));
            }
        }
        Ok(())
    }

    /// One request for each different input within a row, at least one a row; and for each row and receiver its request.
    fn shared(&self, receivers: &[usize]) -> (Vec<(usize, usize)>, Vec<Vec<usize>>) {
        let (mut requests, mut asked) = (Vec::new(), Vec::with_capacity(self.passes.len()));
        for row in 0..self.passes.len() {
            let mut known: HashMap<&[usize], usize> = HashMap::new();
            let of_row = receivers.iter().map(|&receiver| {
                *known.entry(self.kept(row, receiver)).or_insert_with(|| {
                    requests.push((row, receiver));
                    requests.len() - 1
                })
            });
            asked.push(of_row.collect());
        }
        (requests, asked)
    }

    /// Puts together what enters the attention from the channels of each reader's own run.
    fn joined(
        &self,
        layer: usize,
        receivers: &[usize],
        asked: &[Vec<usize>],
        qkv: &[Array3<f32>],
    ) -> Vec<Array3<f32>> {
        let first: Vec<usize> = asked.iter().filter_map(|of| of.first().copied()).collect();
        let mut joined: Vec<Array3<f32>> = qkv
            .iter()
            .map(|part| part.select(Axis(0), &first))
            .collect();
        let parts = self.pieces.anatomy().layers.get(layer);
        let inputs = parts.map_or(&[][..], |parts| parts.inputs.as_slice());
        for (place, receiver) in receivers.iter().enumerate() {
            let Some(Receiver::Head { part, heads, .. }) = self.graph.receivers.get(*receiver)
            else {
                continue;
            };
            let input = inputs
                .iter()
                .find(|input| input.part == *part && input.heads == *heads);
            for &(tensor, channel) in input.map_or(&[][..], |input| input.channels.as_slice()) {
                let (Some(to), Some(of)) = (joined.get_mut(tensor), qkv.get(tensor)) else {
                    continue;
                };
                for (row, of_row) in asked.iter().enumerate() {
                    if let Some(request) = of_row.get(place) {
                        to.slice_mut(s![row, .., channel]).assign(&of.slice(s![
                            *request,
                            ..,
                            channel
                        ]));
                    }
                }
            }
        }
        joined
    }

    fn mlp(&self, layer: usize, written: &mut Written) -> Result<()> {
        let node = Node::Mlp { layer };
        let node = self.graph.nodes.iter().position(|own| *own == node);
        let receiver = self.graph.of_step(2 + 2 * layer).next();
        let (Some(node), Some(receiver)) = (node, receiver) else {
            return Ok(());
        };
        if !self.wanted(node) {
            return Ok(());
        }
        let requests: Vec<(usize, usize)> =
            (0..self.passes.len()).map(|row| (row, receiver)).collect();
        let stream = self.streams(&requests, written);
        let ids = self.ids(self.passes);
        let wrote = self.pieces.mlp_out(layer, ids.view(), stream.view())?;
        if let Some(slot) = written.deltas.get_mut(node) {
            *slot = Some(self.less(node, wrote));
        }
        Ok(())
    }
}

/// A pair's part of what is the same for all of them or not.
pub(super) fn of_pair(values: &Array3<f32>, pair: usize) -> ArrayView2<'_, f32> {
    values.index_axis(Axis(0), if values.dim().0 == 1 { 0 } else { pair })
}

/// Logit difference of each row.
pub(super) fn differences(
    logits: &Array2<f32>,
    sides: impl Iterator<Item = (usize, usize)>,
) -> Result<Vec<f64>> {
    logits
        .outer_iter()
        .zip(sides)
        .map(|(logits, (answer, foil))| {
            let value = crate::causal::logit_difference(logits, answer, foil);
            if value.is_finite() {
                Ok(value)
            } else {
                Err(Fault::failed("running a circuit", format!("a logit difference of {value}"))
                    .expected("a number")
                    .hint("zero ablation can take a model where it divides by nothing; try `mean` or `corrupt`"))
            }
        })
        .collect()
}
