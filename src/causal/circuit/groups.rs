//! Pairs of one length, made ready: what stands in for each node, and the stream of nothing but that.

use ndarray::{Array2, Array3, Axis, concatenate, s};

use super::ablation::Ablation;
use super::forward::Group;
use super::graph::Graph;
use super::pieces::Pieces;
use super::verify::only_head;
use crate::fault::{Fault, Result};
use crate::interrupt;

/// Makes groups.
pub(super) struct Maker<'a> {
    pub pieces: &'a dyn Pieces,
    pub graph: &'a Graph,
    pub ablation: Ablation,
    /// Prompts of one batch.
    pub rows: usize,
}

impl Maker<'_> {
    /// A group of pairs, by their indices and prompts `[pairs, seq]`.
    pub fn group(
        &self,
        pairs: Vec<usize>,
        clean: Array2<i64>,
        corrupt: Array2<i64>,
    ) -> Result<Group> {
        let one = clean.slice(s![..1, ..]).to_owned();
        let layers = self.pieces.anatomy().layers.iter().enumerate();
        let biases = layers.map(|(layer, parts)| {
            let z = Array3::zeros((1, one.ncols(), parts.heads * parts.d_head));
            self.pieces.attn_out(layer, one.view(), z.view())
        });
        let mut group = Group {
            biases: biases.collect::<Result<_>>()?,
            ablated: vec![None; self.graph.nodes.len()],
            ground: Vec::new(),
            pairs,
            clean,
            corrupt,
        };
        group.ablated = match self.ablation {
            Ablation::Zero => group.ablated,
            Ablation::Corrupt => {
                let wrote = self.wrote(&group, &group.corrupt)?;
                wrote.into_iter().map(Some).collect()
            }
            Ablation::Mean => {
                let clean = self.wrote(&group, &group.clean)?;
                let corrupt = self.wrote(&group, &group.corrupt)?;
                let both = clean.iter().zip(&corrupt);
                both.map(|(clean, corrupt)| Some(mean(clean, corrupt)))
                    .collect()
            }
        };
        group.ground = self.ground(&group);
        Ok(group)
    }

    /// The stream at each step if every node were ablated.
    fn ground(&self, group: &Group) -> Vec<Array3<f32>> {
        let width = self.pieces.anatomy().d_model;
        let mut stream = Array3::zeros((1, group.clean.ncols(), width));
        let mut all = Vec::with_capacity(self.graph.last_step() + 1);
        let mut node = 0;
        for step in 0..=self.graph.last_step() {
            all.push(stream.clone());
            while node < self.graph.nodes.len() && self.graph.node_step(node) == step {
                if let Some(Some(ablated)) = group.ablated.get(node) {
                    stream = &stream + ablated;
                }
                node += 1;
            }
            // What the attention adds whatever its heads gather is nobody's, and always there.
            if step % 2 == 1
                && let Some(bias) = group.biases.get(step / 2)
            {
                stream = &stream + bias;
            }
        }
        all
    }

    /// What every node writes on prompts, the model being whole: `[prompts, seq, d_model]` each.
    fn wrote(&self, group: &Group, ids: &Array2<i64>) -> Result<Vec<Array3<f32>>> {
        let mut parts: Vec<Vec<Array3<f32>>> = vec![Vec::new(); self.graph.nodes.len()];
        for start in (0..ids.nrows()).step_by(self.rows) {
            interrupt::check()?;
            let end = (start + self.rows).min(ids.nrows());
            let ids = ids.slice(s![start..end, ..]).to_owned();
            let mut stream = self.pieces.embed(ids.view())?;
            let mut written = vec![stream.clone()];
            for layer in 0..self.pieces.anatomy().layers.len() {
                self.block(layer, &ids, &mut stream, group, &mut written)?;
            }
            for (all, own) in parts.iter_mut().zip(written) {
                all.push(own);
            }
        }
        let whole = parts.iter().map(|parts| stacked(parts));
        whole
            .map(|part| part.map(Option::unwrap_or_default))
            .collect()
    }

    /// Adds what the heads and the MLP of a block write, in the order of the nodes; the stream moves on.
    fn block(
        &self,
        layer: usize,
        ids: &Array2<i64>,
        stream: &mut Array3<f32>,
        group: &Group,
        written: &mut Vec<Array3<f32>>,
    ) -> Result<()> {
        let Some(parts) = self.pieces.anatomy().layers.get(layer) else {
            return Ok(());
        };
        let qkv = self.pieces.qkv(layer, ids.view(), stream.view())?;
        let z = self.pieces.attend(layer, ids.view(), qkv)?;
        for head in 0..parts.heads {
            let own = only_head(z.view(), head, parts.d_head);
            let wrote = self.pieces.attn_out(layer, ids.view(), own.view())?;
            written.push(match group.biases.get(layer) {
                Some(bias) => wrote - bias,
                None => wrote,
            });
        }
        let mid = &*stream + &self.pieces.attn_out(layer, ids.view(), z.view())?;
        *stream = if parts.mlp {
            let read = if parts.parallel { &*stream } else { &mid };
            let mlp = self.pieces.mlp_out(layer, ids.view(), read.view())?;
            let post = mid + &mlp;
            written.push(mlp);
            post
        } else {
            mid
        };
        Ok(())
    }
}

/// The mean over all prompts of both, by position: `[1, seq, d_model]`.
fn mean(clean: &Array3<f32>, corrupt: &Array3<f32>) -> Array3<f32> {
    let sum = clean.sum_axis(Axis(0)) + corrupt.sum_axis(Axis(0));
    #[allow(clippy::cast_precision_loss, reason = "a count of prompts")]
    let n = (clean.dim().0 + corrupt.dim().0) as f32;
    (sum / n).insert_axis(Axis(0))
}

/// Whether the unembedding does the same to the last token alone as to the whole prompt.
pub(super) fn last_is_alone(pieces: &dyn Pieces, ids: &Array2<i64>) -> Result<bool> {
    let stream = pieces.embed(ids.view())?;
    let last = ids.ncols().saturating_sub(1);
    let whole = pieces.logits(ids.view(), stream.view())?;
    let alone = pieces.logits(
        ids.slice(s![.., last..]).to_owned().view(),
        stream.slice(s![.., last.., ..]).to_owned().view(),
    );
    let Ok(alone) = alone else { return Ok(false) };
    let of_whole = whole.index_axis(Axis(1), whole.dim().1.saturating_sub(1));
    let of_alone = alone.index_axis(Axis(1), alone.dim().1.saturating_sub(1));
    let most = of_whole.iter().fold(1.0_f32, |most, x| most.max(x.abs()));
    let same = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * most;
    Ok(of_whole.iter().zip(of_alone.iter()).all(same))
}

/// Batches one after the other; `None` where there is none.
pub(super) fn stacked(parts: &[Array3<f32>]) -> Result<Option<Array3<f32>>> {
    if parts.is_empty() {
        return Ok(None);
    }
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    concatenate(Axis(0), &views)
        .map(Some)
        .map_err(|error| Fault::failed("joining batches", error.to_string()))
}
