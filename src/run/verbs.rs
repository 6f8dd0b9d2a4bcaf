//! What a researcher asks of a model in pieces: each part of a block by itself, on whole rows.

use std::collections::HashMap;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis, concatenate, s};

use super::blocks::{Blocks, Qkv};
use super::channels::{self, Channel};
use crate::fault::{Fault, Result};
use crate::instrument::Cut;

impl Blocks {
    /// `blocks.0.hook_resid_pre` `[rows, seq, d_model]` of `ids` `[rows, seq]`.
    ///
    /// # Errors
    /// A run fails.
    pub fn embed(&self, ids: ArrayView2<'_, i64>) -> Result<Array3<f32>> {
        self.one(&[], Cut::Stream(0), ids)
    }

    /// What enters the attention of a block, from `hook_resid_pre` `[rows, seq, d_model]`.
    ///
    /// # Errors
    /// A run fails, or shapes do not fit.
    pub fn qkv(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        resid: ArrayView3<'_, f32>,
    ) -> Result<Qkv> {
        let crossing = Cut::Crossing(layer);
        self.computed(&[(Cut::Stream(layer), vec![resid])], crossing, ids)
            .map(Qkv)
    }

    /// `attn.hook_z` with its heads side by side, `[rows, seq, heads × d_head]`, from what enters the attention.
    ///
    /// # Errors
    /// A run fails, or shapes do not fit.
    pub fn attend(&self, layer: usize, ids: ArrayView2<'_, i64>, qkv: &Qkv) -> Result<Array3<f32>> {
        let given = qkv.0.iter().map(|values| values.view()).collect();
        self.one(&[(Cut::Crossing(layer), given)], Cut::Gathered(layer), ids)
    }

    /// `hook_attn_out` `[rows, seq, d_model]` from `attn.hook_z`.
    ///
    /// # Errors
    /// A run fails, shapes do not fit, or the graph does not show what the attention adds.
    pub fn attn_out(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        z: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        self.one(&[(Cut::Gathered(layer), vec![z])], Cut::AttnOut(layer), ids)
    }

    /// `hook_mlp_out` `[rows, seq, d_model]` from the stream that the MLP reads: `hook_resid_mid`, or `hook_resid_pre` in a
    /// parallel block.
    ///
    /// # Errors
    /// A run fails, shapes do not fit, or the graph does not show what the MLP adds.
    pub fn mlp_out(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        stream: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        let parallel = self
            .arch
            .blocks
            .get(layer)
            .is_some_and(|block| block.parallel);
        let from = if parallel {
            Cut::Stream(layer)
        } else {
            Cut::Mid(layer)
        };
        if !parallel {
            self.piece(&self.before_branches(layer), &[from])?;
        }
        self.one(&[(from, vec![stream])], Cut::MlpOut(layer), ids)
    }

    /// `hook_resid_post` `[rows, seq, d_model]` from `attn.hook_z` and `hook_resid_pre`, the block not taken apart further.
    ///
    /// # Errors
    /// A run fails, or shapes do not fit.
    pub fn resid_post(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        z: ArrayView3<'_, f32>,
        resid_pre: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        let given = [
            (Cut::Gathered(layer), vec![z]),
            (Cut::Stream(layer), vec![resid_pre]),
        ];
        self.one(&given, Cut::Stream(layer + 1), ids)
    }

    /// Logits `[rows, seq, vocab]` from the last `hook_resid_post`; `[rows, 1, vocab]` where the model puts out those of the last
    /// token alone and its tokens cannot be run apart.
    ///
    /// # Errors
    /// A run fails, or shapes do not fit.
    pub fn logits(
        &self,
        ids: ArrayView2<'_, i64>,
        resid: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        let (rows, seq) = ids.dim();
        let last = Cut::Stream(self.arch.n_layers);
        let piece = self.piece(&[last], &[Cut::Logits])?;
        if !piece.packs {
            return self.one(&[(last, vec![resid])], Cut::Logits, ids);
        }
        let apart =
            |error: ndarray::ShapeError| Fault::failed("computing logits", error.to_string());
        let by_token = ids.to_shape((rows * seq, 1)).map_err(apart)?;
        let resid = resid
            .to_shape((rows * seq, 1, resid.dim().2))
            .map_err(apart)?;
        let logits = self.one(&[(last, vec![resid.view()])], Cut::Logits, by_token.view())?;
        let vocab = logits.dim().2;
        logits
            .into_shape_with_order((rows, seq, vocab))
            .map_err(apart)
    }

    /// For each tensor of a [`Qkv`] and each of its channels, whose it is. Measured when it is first asked for.
    ///
    /// # Errors
    /// A run fails.
    pub fn channels(&self, layer: usize) -> Result<&[Vec<Channel>]> {
        let slot = self.channels.get(layer).ok_or_else(|| {
            Fault::usage("looking into an attention", format!("block {layer}"))
                .expected(format!("a block below {}", self.arch.n_layers))
        })?;
        if let Some(known) = slot.get() {
            return Ok(known);
        }
        let ids = self.trial_ids(1, channels::TOKENS);
        let stream = self.stream(layer, ids.view())?;
        let qkv = self.qkv(layer, ids.view(), stream.view())?;
        let found = channels::measure(self, layer, &ids, &qkv)?;
        Ok(slot.get_or_init(|| found))
    }

    /// The stream of plain runs as it enters block `layer`, as it leaves the last one for the number of layers.
    pub(super) fn stream(&self, layer: usize, ids: ArrayView2<'_, i64>) -> Result<Array3<f32>> {
        let mut stream = self.embed(ids)?;
        for layer in 0..layer {
            let qkv = self.qkv(layer, ids, stream.view())?;
            let z = self.attend(layer, ids, &qkv)?;
            let given = [
                (Cut::Gathered(layer), vec![z.view()]),
                (Cut::Stream(layer), vec![stream.view()]),
            ];
            stream = self.one(&given, Cut::Stream(layer + 1), ids)?;
        }
        Ok(stream)
    }

    /// The sum of what is held at a cut, `[rows, seq, width]`.
    fn one(
        &self,
        given: &[(Cut, Vec<ArrayView3<'_, f32>>)],
        wanted: Cut,
        ids: ArrayView2<'_, i64>,
    ) -> Result<Array3<f32>> {
        let parts = self.computed(given, wanted, ids)?.into_iter();
        parts
            .reduce(|sum, part| sum + part)
            .ok_or_else(|| Fault::failed("running a piece of the model", "nothing is held there"))
    }

    /// What is held at a cut, computed from what is given, for rows of equal length.
    fn computed(
        &self,
        given: &[(Cut, Vec<ArrayView3<'_, f32>>)],
        wanted: Cut,
        ids: ArrayView2<'_, i64>,
    ) -> Result<Vec<Array3<f32>>> {
        let (rows, seq) = ids.dim();
        let cuts: Vec<Cut> = given.iter().map(|(cut, _)| *cut).collect();
        let piece = self.piece(&cuts, &[wanted])?;
        let mut named: Vec<(&str, ArrayView3<'_, f32>)> = Vec::new();
        for (cut, values) in given {
            let names = self.tensors(*cut)?;
            if names.len() != values.len()
                || values
                    .iter()
                    .any(|value| (value.dim().0, value.dim().1) != (rows, seq))
            {
                return Err(Fault::failed(
                    "running a piece of the model",
                    format!(
                        "{} arrays for {} tensors, or not of {rows} rows and {seq} tokens",
                        values.len(),
                        names.len()
                    ),
                ));
            }
            named.extend(names.iter().map(String::as_str).zip(values.iter().copied()));
        }
        let batches: Vec<std::ops::Range<usize>> = if piece.together {
            std::iter::once(0..rows).collect()
        } else {
            (0..rows).map(|row| row..row + 1).collect()
        };
        let names = self.tensors(wanted)?;
        let mut parts: Vec<Vec<Array3<f32>>> = vec![Vec::new(); names.len()];
        for batch in batches {
            let own = ids.slice(s![batch.clone(), ..]).to_owned();
            let flat = named
                .iter()
                .map(|(name, values)| {
                    let values = values.slice(s![batch.clone(), .., ..]);
                    let shape = (batch.len() * seq, values.dim().2);
                    let values = values.to_shape(shape).map(ndarray::ArrayBase::into_owned);
                    Ok((
                        *name,
                        values.map_err(|error| {
                            Fault::failed("running a piece of the model", error.to_string())
                        })?,
                    ))
                })
                .collect::<Result<Vec<_>>>()?;
            let views: Vec<(&str, ArrayView2<'_, f32>)> = flat
                .iter()
                .map(|(name, values)| (*name, values.view()))
                .collect();
            let mut made: HashMap<&str, Array2<f32>> = HashMap::new();
            piece.run(&own, &views, |name, values| {
                let name = names
                    .iter()
                    .find(|own| *own == name)
                    .map_or("", String::as_str);
                made.insert(name, values.to_owned());
                Ok(())
            })?;
            for (name, parts) in names.iter().zip(&mut parts) {
                let values = made.remove(name.as_str()).or_else(|| {
                    let given = flat.iter().find(|(own, _)| own == name);
                    given.map(|(_, values)| values.clone())
                });
                let values = values.ok_or_else(|| {
                    Fault::failed("running a piece of the model", format!("no `{name}`"))
                })?;
                let (tokens, width) = values.dim();
                let shape = (batch.len(), tokens / batch.len().max(1), width);
                parts.push(values.into_shape_with_order(shape).map_err(|error| {
                    Fault::failed("running a piece of the model", error.to_string())
                })?);
            }
        }
        parts
            .iter()
            .map(|parts| {
                let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
                concatenate(Axis(0), &views).map_err(|error| {
                    Fault::failed("running a piece of the model", error.to_string())
                })
            })
            .collect()
    }
}
