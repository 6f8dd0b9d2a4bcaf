//! circuit-tracer's transcoders: `layer_i.safetensors` with `W_enc` `[n, d]`, `W_dec` `[n, d]`, `b_enc`, `b_dec`, optionally
//! `activation_function.threshold` (JumpReLU, else ReLU) and `W_skip` `[d, d]`; hooks in a `config.yaml`. Nothing is subtracted.

use serde::Deserialize;

use super::listing::Weights;
use super::{Asked, Format, Listing, Read};
use crate::detect::sae::SaeConfig;
use crate::detect::sae::parts::{Own, Parts};
use crate::fault::Result;

pub(super) const FORMAT: Format = Format {
    name: "circuit_tracer",
    about: "`layer_i.safetensors` with W_enc and W_dec of one shape [n, d]",
    conversion: "safetensors.torch.save_file(torch.load(\"layer_0.pt\", weights_only=True), \"layer_0.safetensors\")",
    recognise: |listing| {
        // SAELens's files say their widths.
        listing.config("", &["d_sae"]).is_none()
            && listing.any(|weights| is_transcoder(weights) || cross_layer(weights).is_some())
    },
    read,
};

const THRESHOLD: &str = "activation_function.threshold";

/// A square dictionary could lie either way: then its threshold tells.
fn is_transcoder(weights: &Weights) -> bool {
    match (weights.shape("W_enc"), weights.shape("W_dec")) {
        (Some([n, d]), Some(decoder)) => {
            *decoder == [*n, *d] && (n != d || weights.has(THRESHOLD)) && !weights.is_npz()
        }
        _ => false,
    }
}

/// The layer of a cross-layer transcoder, whose tensors are called by it.
fn cross_layer(weights: &Weights) -> Option<&str> {
    let mut names = weights.names();
    names.find_map(|name| {
        let layer = name
            .strip_prefix("W_enc_")
            .or(name.strip_prefix("W_dec_"))?;
        layer.parse::<usize>().ok().map(|_| layer)
    })
}

/// `config.yaml`, as far as it tells hooks.
#[derive(Debug, Default, Deserialize)]
struct Hooks {
    model_name: Option<String>,
    feature_input_hook: Option<String>,
    feature_output_hook: Option<String>,
}

fn read(listing: &Listing, _: &Asked) -> Result<Read> {
    if listing.any(|weights| cross_layer(weights).is_some()) {
        return Err(super::cross_layers(listing));
    }
    let weights = listing.the_weights(&FORMAT, "", &["W_enc"])?;
    let [d_sae, d_in] = weights.sides("W_enc")?;
    let mut tensors = weights.open()?;
    let (jumps, skips) = (tensors.has(THRESHOLD), tensors.has("W_skip"));
    let architecture = match (jumps, skips) {
        (false, false) => "transcoder",
        (false, true) => "skip_transcoder",
        (true, false) => "jumprelu_transcoder",
        (true, true) => "jumprelu_skip_transcoder",
    };
    let mut files = vec![weights.path.clone()];
    let mut config = SaeConfig::of(architecture, d_in, d_sae);
    let hooks = listing.notes().find_map(|(path, text)| {
        let hooks: Hooks = serde_yaml::from_str(text).ok()?;
        let says = hooks.feature_input_hook.is_some() && hooks.feature_output_hook.is_some();
        says.then(|| (path.to_owned(), hooks))
    });
    if let Some((path, hooks)) = hooks {
        // The file's name is where the format keeps the layer.
        if let Some(layer) = layer_of(weights) {
            let hook = |name: Option<String>| name.map(|name| format!("blocks.{layer}.{name}"));
            config.hook_name = hook(hooks.feature_input_hook);
            config.hook_name_out = hook(hooks.feature_output_hook);
        }
        if let Some(model) = hooks.model_name {
            config
                .metadata
                .insert("model_name".to_owned(), model.into());
        }
        files.push(path);
    }
    let mut own = Own::of([("b_enc", tensors.vector("b_enc", d_sae)?)]);
    if jumps {
        own.insert("threshold", tensors.vector(THRESHOLD, d_sae)?);
    }
    let w_enc = tensors.transposed("W_enc", [d_in, d_sae])?;
    let w_dec = tensors.matrix("W_dec", [d_sae, d_in])?;
    let b_dec = tensors.vector("b_dec", d_in)?;
    let mut parts = Parts::new(config, w_enc, w_dec, b_dec, own);
    if skips {
        parts.w_skip = Some(tensors.matrix("W_skip", [d_in, d_in])?);
    }
    tensors.finish()?;
    Ok(Read { parts, files })
}

/// The number at the end of `layer_12.safetensors`.
fn layer_of(weights: &Weights) -> Option<usize> {
    let stem = weights.path.file_stem()?.to_str()?;
    let digits = stem.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    digits.parse().ok()
}
