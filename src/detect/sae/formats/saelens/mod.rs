//! SAELens: `cfg.json`, `sae_weights.safetensors`, and `activation_scaler.json` from a training checkpoint.

mod config;

use std::fs;
use std::path::Path;

use config::Parsed;

use super::fields::Fields;
use super::{Asked, Format, Listing, Read};
use crate::detect::sae::Sae;
use crate::detect::sae::architectures::{Extent, Target};
use crate::detect::sae::parts::{Own, Parts};
use crate::detect::tensors::Tensors;
use crate::fault::{Fault, Result};

pub(in crate::detect) const CONFIG_FILE: &str = "cfg.json";
pub(in crate::detect) const SCALER_FILE: &str = "activation_scaler.json";
pub(in crate::detect) const WEIGHTS_FILE: &str = "sae_weights.safetensors";

pub(super) const FORMAT: Format = Format {
    name: "saelens",
    about: "`cfg.json` with d_in and d_sae, `sae_weights.safetensors` with W_dec and b_dec",
    conversion: "safetensors.torch.save_file(torch.load(\"sae_weights.pt\", weights_only=True), \"sae_weights.safetensors\")",
    recognise: |listing| listing.config(CONFIG_FILE, &["d_in", "d_sae"]).is_some(),
    read,
};

fn read(listing: &Listing, _: &Asked) -> Result<Read> {
    let config = listing
        .config(CONFIG_FILE, &["d_in", "d_sae"])
        .ok_or_else(|| super::no_config(listing, CONFIG_FILE))?;
    let parsed = config::parse(config)?;
    let weights = listing.the_weights(&FORMAT, WEIGHTS_FILE, &["W_dec"])?;
    let folder = config.path().parent().unwrap_or(Path::new("."));
    let mut files = vec![config.path().to_owned(), weights.path.clone()];
    if parsed.unfolded {
        files.push(folder.join(SCALER_FILE));
    }
    let parts = parts(parsed, weights.open()?, folder)?;
    Ok(Read { parts, files })
}

impl Sae {
    /// Loads an SAE from the text of its `cfg.json` and the bytes of its weights, both from `folder`.
    pub(in crate::detect) fn from_saelens(
        folder: &Path,
        config: &str,
        weights: &Path,
        bytes: &[u8],
    ) -> Result<Self> {
        let parsed = config::parse(&Fields::parse(config, &folder.join(CONFIG_FILE))?)?;
        parts(parsed, Tensors::of(weights, bytes)?, folder)?.assemble()
    }
}

fn parts(parsed: Parsed, mut tensors: Tensors<'_>, folder: &Path) -> Result<Parts> {
    let Parsed {
        config,
        architecture,
        unfolded,
    } = parsed;
    let scaling = if unfolded {
        Some(scaling_factor(folder)?)
    } else {
        None
    };
    let (d_in, d_sae, d_out) = (config.d_in, config.d_sae, config.d_out);
    let w_enc = if architecture.tied {
        None
    } else {
        Some(tensors.matrix("W_enc", [d_in, d_sae])?)
    };
    let w_dec = tensors.matrix("W_dec", [d_sae, d_out])?;
    let b_dec = tensors.vector("b_dec", d_out)?;
    let mut own = Own::default();
    for (name, extent) in architecture.own {
        let values = match extent {
            Extent::Features => tensors.vector(name, d_sae)?,
            Extent::Number => [tensors.number(name)?].into_iter().collect(),
        };
        own.insert(name, values);
    }
    let w_skip = if architecture.target == (Target::Other { skip: true }) {
        Some(tensors.matrix("W_skip", [d_out, d_in])?)
    } else {
        None
    };
    let decoder_scale = if tensors.has("scaling_factor") {
        Some(tensors.vector("scaling_factor", d_sae)?)
    } else {
        None
    };
    tensors.finish()?;
    Ok(Parts {
        config,
        w_enc,
        w_dec,
        b_dec,
        w_skip,
        own,
        scaling,
        decoder_scale,
    })
}

pub(in crate::detect) fn read_config(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| {
        Fault::usage(
            format!("reading the SAE's config `{}`", path.display()),
            error.to_string(),
        )
        .expected("the `cfg.json` that SAELens writes")
    })
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "weights are in single precision"
)]
fn scaling_factor(folder: &Path) -> Result<f32> {
    let path = folder.join(SCALER_FILE);
    let doing = || format!("reading the SAE in `{}`", folder.display());
    let unknown = |found: String| {
        Fault::usage(doing(), found)
            .expected(format!(
                "a positive `scaling_factor` in `{SCALER_FILE}`: the weights expect inputs scaled by √d_in / mean ‖x‖ \
                 of the training activations (`expected_average_only_in`)"
            ))
            .hint(
                "fold it with SAELens (`sae.fold_activation_norm_scaling_factor(factor)`) and save the SAE again, or \
                 copy `activation_scaler.json` from the training checkpoint",
            )
    };
    let text = fs::read_to_string(&path)
        .map_err(|_| unknown(format!("no `{SCALER_FILE}`, so the scaling is not known")))?;
    let value: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| unknown(format!("`{SCALER_FILE}`: {error}")))?;
    let factor = value
        .get("scaling_factor")
        .and_then(serde_json::Value::as_f64);
    factor
        .map(|factor| factor as f32)
        .filter(|factor| factor.is_finite() && *factor > 0.0)
        .ok_or_else(|| unknown(format!("`{SCALER_FILE}` with {text}")))
}
