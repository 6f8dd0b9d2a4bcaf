//! Whether the stream of a model is the sum that circuits take it for: measured, once for each model.

use ndarray::{Array3, ArrayView2, ArrayView3, s};

use super::pieces::Pieces;
use crate::fault::{Fault, Result};

/// How far a sum may be from the whole, relative to the largest value of the stream: float32 sums in another order.
const SAME: f32 = 1e-4;

/// Refuses a model in which the heads' parts do not add up to what the attention adds, or the branches not to the stream.
///
/// # Errors
/// Usage: they do not; the message says where. Failed: a run fails.
pub(super) fn verify(pieces: &dyn Pieces, ids: ArrayView2<'_, i64>) -> Result<()> {
    let anatomy = pieces.anatomy();
    let mut stream = pieces.embed(ids)?;
    for (layer, parts) in anatomy.layers.iter().enumerate() {
        let qkv = pieces.qkv(layer, ids, stream.view())?;
        let z = pieces.attend(layer, ids, qkv)?;
        let whole = pieces.attn_out(layer, ids, z.view())?;
        let bias = pieces.attn_out(layer, ids, Array3::zeros(z.dim()).view())?;
        let mut heads = bias.clone();
        for head in 0..parts.heads {
            let own = only_head(z.view(), head, parts.d_head);
            heads += &(pieces.attn_out(layer, ids, own.view())? - &bias);
        }
        let post = pieces.resid_post(layer, ids, z.view(), stream.view())?;
        let mid = &stream + &whole;
        let mlp = if parts.mlp {
            let read = if parts.parallel { &stream } else { &mid };
            pieces.mlp_out(layer, ids, read.view())?
        } else {
            Array3::zeros(mid.dim())
        };
        let most = largest(post.view()).max(largest(stream.view()));
        let off = largest((&heads - &whole).view()) / most;
        if off.is_nan() || off > SAME {
            return Err(refused(
                layer,
                format!(
                    "the parts of the heads, each alone, add up to what the attention adds only within {off:.1e} of the stream"
                ),
                "a linear projection of the heads' outputs that is added as it is (not a norm behind it, nor activations that are rounded)",
            ));
        }
        let off = largest((&mid + &mlp - &post).view()) / most;
        if off.is_nan() || off > SAME {
            return Err(refused(
                layer,
                format!(
                    "the stream, the attention and the MLP add up to what leaves the block only within {off:.1e} of it"
                ),
                "a stream to which branches are added (not one that is normalised itself)",
            ));
        }
        stream = post;
    }
    Ok(())
}

fn refused(layer: usize, found: String, expected: &str) -> Fault {
    Fault::usage(
        format!("taking the stream of block {layer} for a sum of its nodes"),
        found,
    )
    .expected(expected)
    .hint("`candor patch` works on such a model; circuits need a stream that is a sum")
}

/// What one head has gathered, zeros elsewhere.
pub(in crate::causal) fn only_head(
    z: ArrayView3<'_, f32>,
    head: usize,
    d_head: usize,
) -> Array3<f32> {
    let mut own = Array3::zeros(z.dim());
    let range = s![.., .., head * d_head..(head + 1) * d_head];
    own.slice_mut(range).assign(&z.slice(range));
    own
}

fn largest(values: ArrayView3<'_, f32>) -> f32 {
    values.iter().fold(0.0, |most: f32, value| {
        // `max` would pass over NaN.
        if value.is_nan() {
            f32::NAN
        } else {
            most.max(value.abs())
        }
    })
}
