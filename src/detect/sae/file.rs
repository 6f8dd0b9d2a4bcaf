//! An SAE's folder: `cfg.json`, `sae_weights.safetensors`, and `activation_scaler.json` from a training checkpoint.

use std::fs;
use std::path::Path;

use ndarray::{Array1, Array2};

use super::architectures::ARCHITECTURES;
use super::{Sae, SaeConfig};
use crate::detect::tensors::{self, Named, Tensors};
use crate::fault::{Fault, Result};

pub(in crate::detect) const CONFIG_FILE: &str = "cfg.json";
pub(in crate::detect) const WEIGHTS_FILE: &str = "sae_weights.safetensors";
pub(in crate::detect) const SCALER_FILE: &str = "activation_scaler.json";

impl Sae {
    /// Opens a folder as SAELens writes it.
    ///
    /// Weights trained on inputs scaled by a constant (`expected_average_only_in`) are folded with the
    /// `scaling_factor` of `activation_scaler.json` if the checkpoint has one.
    ///
    /// # Errors
    /// Files that are missing or damaged, a config that cannot be computed, tensors that contradict it, a NaN in the
    /// weights, or a scaling that is not known: unfolded weights would give wrong activations silently.
    pub fn open(folder: &Path) -> Result<Self> {
        let pickle = folder.join("sae_weights.pt");
        if pickle.exists() && !folder.join(WEIGHTS_FILE).exists() {
            return tensors::read_bytes(&pickle).and(Err(Fault::usage(
                format!("opening the SAE `{}`", folder.display()),
                "no `sae_weights.safetensors`",
            )));
        }
        let text = read_config(&folder.join(CONFIG_FILE))?;
        let weights = folder.join(WEIGHTS_FILE);
        Self::from_files(folder, &text, &weights, &tensors::read_bytes(&weights)?)
    }

    /// Loads an SAE from the text of its `cfg.json` and the bytes of its weights, both from `folder`.
    pub(in crate::detect) fn from_files(
        folder: &Path,
        config: &str,
        weights: &Path,
        bytes: &[u8],
    ) -> Result<Self> {
        let config = SaeConfig::parse(config, &folder.join(CONFIG_FILE))?;
        let scaling = if config.unfolded {
            Some(scaling_factor(folder)?)
        } else {
            None
        };
        Self::from_tensors(config, Tensors::of(weights, bytes)?, scaling)
    }

    fn from_tensors(
        mut config: SaeConfig,
        mut tensors: Tensors<'_>,
        scaling: Option<f32>,
    ) -> Result<Self> {
        let (d_in, d_sae) = (config.d_in, config.d_sae);
        let mut w_enc = tensors.matrix("W_enc", [d_in, d_sae])?;
        let mut w_dec = tensors.matrix("W_dec", [d_sae, d_in])?;
        let mut b_dec = tensors.vector("b_dec", d_in)?;
        if let Some(scaling) = scaling {
            w_enc *= scaling;
            w_dec /= scaling;
            b_dec /= scaling;
            config.unfolded = false;
        }
        let legacy = if tensors.has("scaling_factor") {
            Some(tensors.vector("scaling_factor", d_sae)?)
        } else {
            None
        };
        let load = ARCHITECTURES
            .iter()
            .find(|architecture| architecture.name == config.architecture)
            .map(|architecture| architecture.load)
            .ok_or_else(|| Fault::usage("loading an SAE", config.architecture))?;
        let encoder = load(&config, &mut tensors, &w_dec)?;
        tensors.finish()?;
        let mut decoder_scale = encoder.decoder_scale();
        if let Some(legacy) =
            legacy.filter(|legacy| legacy.iter().any(|scale| (scale - 1.0).abs() > 0.0))
        {
            decoder_scale = Some(match decoder_scale {
                Some(scale) => scale * legacy,
                None => legacy,
            });
        }
        Ok(Self {
            config,
            w_enc,
            w_dec,
            b_dec,
            encoder,
            decoder_scale,
        })
    }

    /// The files of this SAE in SAELens's format: `cfg.json` and the weights.
    pub(in crate::detect) fn to_files(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let json = serde_json::to_vec_pretty(&self.config.to_json())
            .map_err(|error| Fault::failed("writing an SAE's config", error.to_string()))?;
        let matrix = |name, values: &Array2<f32>| -> Named {
            (
                name,
                values.shape().to_vec(),
                values.iter().copied().collect(),
            )
        };
        let vector =
            |name, values: &Array1<f32>| -> Named { (name, vec![values.len()], values.to_vec()) };
        // A legacy scale that is not the architecture's own belongs into the decoder.
        let mut w_dec = self.w_dec.clone();
        if let (Some(scale), None) = (&self.decoder_scale, self.encoder.decoder_scale()) {
            w_dec *= &scale.view().insert_axis(ndarray::Axis(1));
        }
        let mut named = vec![
            matrix("W_enc", &self.w_enc),
            matrix("W_dec", &w_dec),
            vector("b_dec", &self.b_dec),
        ];
        named.extend(
            self.encoder
                .tensors()
                .into_iter()
                .map(|(name, values)| vector(name, values)),
        );
        Ok((json, tensors::to_bytes(&named)?))
    }
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
