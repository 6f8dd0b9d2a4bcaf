//! Gemma Scope (Lieberum et al. 2024, arXiv 2408.05147): one `params.npz` with `W_enc`, `W_dec`, `b_enc`, `b_dec` and
//! `threshold`, and no config. JumpReLU, nothing is subtracted from the input. The site is not in the file.

use super::{Asked, Format, Listing, Read};
use crate::detect::sae::SaeConfig;
use crate::detect::sae::parts::{Own, Parts};
use crate::fault::Result;
use crate::model::Point;

pub(super) const FORMAT: Format = Format {
    name: "gemma_scope",
    about: "`params.npz` with W_enc, W_dec, b_enc, b_dec and threshold, without a config",
    conversion: "numpy.savez(\"params.npz\", **{name: tensor.numpy() for name, tensor in torch.load(\"params.pt\", weights_only=True).items()})",
    recognise: |listing| {
        listing.any(|weights| {
            weights.is_npz()
                && weights.has("threshold")
                && ENCODER.iter().any(|name| weights.has(name))
        })
    },
    read,
};

/// Some releases spell them in lower case.
const ENCODER: [&str; 2] = ["W_enc", "w_enc"];
const DECODER: [&str; 2] = ["W_dec", "w_dec"];

fn read(listing: &Listing, asked: &Asked) -> Result<Read> {
    let weights = listing.the_weights(&FORMAT, "params.npz", &ENCODER)?;
    let mut tensors = weights.open()?;
    let (encoder, decoder) = (tensors.spelled(&ENCODER), tensors.spelled(&DECODER));
    let [d_in, d_sae] = weights.sides(encoder)?;
    let [_, d_out] = weights.sides(decoder)?;
    let transcodes = asked.site_out.is_some();
    let architecture = if transcodes {
        "jumprelu_transcoder"
    } else {
        "jumprelu"
    };
    let config = SaeConfig {
        d_out: if transcodes { d_out } else { d_in },
        ..SaeConfig::of(architecture, d_in, d_sae)
    };
    let d_out = config.d_out;
    let own = Own::of([
        ("b_enc", tensors.vector("b_enc", d_sae)?),
        ("threshold", tensors.vector("threshold", d_sae)?),
    ]);
    let mut w_enc = tensors.matrix(encoder, [d_in, d_sae])?;
    let mut w_dec = tensors.matrix(decoder, [d_sae, d_out])?;
    let b_dec = tensors.vector("b_dec", d_out)?;
    let scale = if tensors.has("scaling_factor") {
        Some(tensors.vector("scaling_factor", d_sae)?)
    } else {
        None
    };
    tensors.finish()?;
    // Trained on the table of embeddings; the model multiplies what it looks up by √d.
    if asked.site.is_some_and(|site| site.point == Point::Embed) {
        #[allow(clippy::cast_precision_loss, reason = "a width is far below 2^23")]
        let root = (d_in as f32).sqrt();
        w_enc /= root;
        w_dec *= root;
    }
    let mut parts = Parts::new(config, w_enc, w_dec, b_dec, own);
    parts.decoder_scale = scale;
    Ok(Read {
        parts,
        files: vec![weights.path.clone()],
    })
}
