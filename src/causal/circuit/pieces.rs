//! A model as circuits need it: pieces between its nodes, and whose each channel before an attention is.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, s};

use super::verify::verify;
use crate::fault::{Fault, Result};
use crate::model::{Layout, Point, SiteName};
use crate::run::{AttentionPart, Blocks, Qkv};

/// The parts of one block.
#[derive(Debug, Clone)]
pub struct LayerParts {
    /// Query heads.
    pub heads: usize,
    /// Width of a head.
    pub d_head: usize,
    /// Whether the MLP reads what the attention reads.
    pub parallel: bool,
    /// Whether there is an MLP.
    pub mlp: bool,
    /// What enters the attention, by part and by the heads that it reaches.
    pub inputs: Vec<HeadInput>,
}

/// The queries of one head, or the keys or values of one or, under grouped queries, of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadInput {
    /// Queries, keys or values.
    pub part: AttentionPart,
    /// The query heads that they reach.
    pub heads: Vec<usize>,
    /// Where they are: tensor and channel of what enters the attention.
    pub channels: Vec<(usize, usize)>,
}

impl HeadInput {
    /// Copies its channels from one attention's input `[rows, seq, width]` to another's, row by row.
    pub(in crate::causal) fn copy(&self, from: &[Array3<f32>], to: &mut [Array3<f32>]) {
        for &(tensor, channel) in &self.channels {
            if let (Some(from), Some(to)) = (from.get(tensor), to.get_mut(tensor)) {
                to.slice_mut(s![.., .., channel])
                    .assign(&from.slice(s![.., .., channel]));
            }
        }
    }
}

/// The parts of a model.
#[derive(Debug, Clone)]
pub struct Anatomy {
    /// One entry a block.
    pub layers: Vec<LayerParts>,
    /// Width of the stream.
    pub d_model: usize,
    /// Size of the vocabulary.
    pub vocab: usize,
}

/// A model in pieces. Ids are `[rows, seq]`, streams `[rows, seq, d_model]`.
pub trait Pieces {
    /// What there is.
    fn anatomy(&self) -> &Anatomy;
    /// The stream as it enters the first block.
    ///
    /// # Errors
    /// A run fails; so for all methods.
    fn embed(&self, ids: ArrayView2<'_, i64>) -> Result<Array3<f32>>;
    /// What enters the attention of a block while each token stands for itself, from what it reads of the stream.
    ///
    /// # Errors
    /// See [`Pieces::embed`].
    fn qkv(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        stream: ArrayView3<'_, f32>,
    ) -> Result<Vec<Array3<f32>>>;
    /// What the heads gather, side by side: `[rows, seq, heads × d_head]`.
    ///
    /// # Errors
    /// See [`Pieces::embed`].
    fn attend(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        qkv: Vec<Array3<f32>>,
    ) -> Result<Array3<f32>>;
    /// What the attention adds to the stream.
    ///
    /// # Errors
    /// See [`Pieces::embed`].
    fn attn_out(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        z: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>>;
    /// What the MLP adds to the stream, from what it reads of it.
    ///
    /// # Errors
    /// See [`Pieces::embed`].
    fn mlp_out(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        stream: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>>;
    /// The stream as it leaves a block, from what its heads gather and the stream as it enters, without taking the block
    /// apart.
    ///
    /// # Errors
    /// See [`Pieces::embed`].
    fn resid_post(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        z: ArrayView3<'_, f32>,
        resid_pre: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>>;
    /// Logits `[rows, seq, vocab]` from the stream as it leaves the last block.
    ///
    /// # Errors
    /// See [`Pieces::embed`].
    fn logits(&self, ids: ArrayView2<'_, i64>, stream: ArrayView3<'_, f32>) -> Result<Array3<f32>>;
}

/// [`Blocks`] whose heads can be told apart.
pub struct BlockPieces<'b> {
    blocks: &'b Blocks,
    anatomy: Anatomy,
}

impl<'b> BlockPieces<'b> {
    /// Asks what each channel belongs to, in every block, and measures whether the stream is the sum of what the nodes write.
    ///
    /// # Errors
    /// Usage: the queries, keys and values of the heads cannot be told apart, or the stream is no such sum. Failed: a run fails.
    pub fn new(blocks: &'b Blocks) -> Result<Self> {
        let arch = blocks.arch();
        let layers = (0..arch.n_layers)
            .map(|layer| {
                let (heads, d_head) = heads_of(blocks, layer)?;
                let inputs = inputs(blocks, layer, heads)?;
                let mlp = SiteName::block(layer, Point::MlpOut);
                Ok(LayerParts {
                    heads,
                    d_head,
                    parallel: arch.blocks.get(layer).is_some_and(|block| block.parallel),
                    mlp: arch.site(mlp).is_some(),
                    inputs,
                })
            })
            .collect::<Result<_>>()?;
        let pieces = Self {
            blocks,
            anatomy: Anatomy {
                layers,
                d_model: arch.d_model,
                vocab: arch.vocab_size,
            },
        };
        verify(&pieces, few_ids(arch.vocab_size).view())?;
        Ok(pieces)
    }
}

/// A short prompt of tokens spread over the vocabulary.
fn few_ids(vocab: usize) -> Array2<i64> {
    Array2::from_shape_fn((1, 4), |(_, at)| {
        i64::try_from((at + 1) * vocab / 6).unwrap_or(0)
    })
}

fn apart(layer: usize) -> String {
    format!("telling the heads of block {layer} apart")
}

fn heads_of(blocks: &Blocks, layer: usize) -> Result<(usize, usize)> {
    let site = SiteName::block(layer, Point::HookZ);
    match blocks.arch().site(site).map(|site| site.layout) {
        Some(Layout::Heads { heads, d_head }) => Ok((heads, d_head)),
        _ => Err(Fault::usage(
            apart(layer),
            blocks
                .arch()
                .why_absent(site)
                .unwrap_or("the model does not show them"),
        )),
    }
}

fn inputs(blocks: &Blocks, layer: usize, heads: usize) -> Result<Vec<HeadInput>> {
    let mut found: BTreeMap<_, Vec<(usize, usize)>> = BTreeMap::new();
    for (tensor, channels) in blocks.channels(layer)?.iter().enumerate() {
        for (index, channel) in channels.iter().enumerate() {
            // A channel that changes nothing may hold anything.
            if !channel.heads.is_empty() {
                let key = (channel.part, channel.heads.clone());
                found.entry(key).or_default().push((tensor, index));
            }
        }
    }
    for head in 0..heads {
        for (part, name) in [
            (AttentionPart::Query, "queries"),
            (AttentionPart::Key, "keys"),
            (AttentionPart::Value, "values"),
        ] {
            let own = found
                .keys()
                .filter(|(of, heads): &&(AttentionPart, Vec<usize>)| {
                    *of == part && heads.contains(&head)
                })
                .count();
            if own != 1 {
                return Err(Fault::usage(
                    apart(layer),
                    format!("{own} sets of channels that hold the {name} of head {head}"),
                )
                .expected("one for each head: queries, keys and values computed by projections of their own")
                .hint("attention that compresses keys and values together, or a fused operator that projects them inside, has no input of a head's own"));
            }
        }
    }
    Ok(found
        .into_iter()
        .map(|((part, heads), channels)| HeadInput {
            part,
            heads,
            channels,
        })
        .collect())
}

impl Pieces for BlockPieces<'_> {
    fn anatomy(&self) -> &Anatomy {
        &self.anatomy
    }

    fn embed(&self, ids: ArrayView2<'_, i64>) -> Result<Array3<f32>> {
        self.blocks.embed(ids)
    }

    fn qkv(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        stream: ArrayView3<'_, f32>,
    ) -> Result<Vec<Array3<f32>>> {
        self.blocks.qkv(layer, ids, stream).map(|Qkv(parts)| parts)
    }

    fn attend(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        qkv: Vec<Array3<f32>>,
    ) -> Result<Array3<f32>> {
        self.blocks.attend(layer, ids, &Qkv(qkv))
    }

    fn attn_out(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        z: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        self.blocks.attn_out(layer, ids, z)
    }

    fn mlp_out(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        stream: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        self.blocks.mlp_out(layer, ids, stream)
    }

    fn resid_post(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        z: ArrayView3<'_, f32>,
        resid_pre: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        self.blocks.resid_post(layer, ids, z, resid_pre)
    }

    fn logits(&self, ids: ArrayView2<'_, i64>, stream: ArrayView3<'_, f32>) -> Result<Array3<f32>> {
        self.blocks.logits(ids, stream)
    }
}
