//! A trained SAE in SAELens's format.

use std::path::Path;

use ndarray::{Array2, arr1};
use serde_json::{Map, Value, json};

use super::rule::Inference;
use super::trainer::Trainer;
use crate::detect::sae::Sae;
use crate::detect::sae::{CONFIG_FILE, WEIGHTS_FILE};
use crate::detect::tensors::{self, Named};
use crate::fault::{Fault, Result};

/// What the files say besides weights.
#[derive(Debug, Clone)]
pub struct Described {
    /// What activations were multiplied by: it is folded into the weights.
    pub scale: f32,
    /// Whether activations are the heads of `hook_z` side by side.
    pub flattens_heads: bool,
    /// `metadata` of `cfg.json`, such as `model_name` and `hook_name`.
    pub metadata: Map<String, Value>,
}

/// File names and bytes.
pub type Exported = Vec<(&'static str, Vec<u8>)>;

/// SAELens takes a config without a version for one older than 6.0; the fields are those of 6.0.
const VERSION: &str = "6.0.0";

impl Trainer {
    /// The SAE as it would be saved now.
    ///
    /// # Errors
    /// As for [`Self::export`].
    pub fn sae(&self, described: &Described) -> Result<Sae> {
        let files = self.export(described)?;
        let folder = Path::new("");
        let bytes = |wanted: &str| {
            let file = files.iter().find(|(name, _)| *name == wanted);
            file.map_or(&[][..], |(_, bytes)| bytes)
        };
        let config = String::from_utf8_lossy(bytes(CONFIG_FILE));
        Sae::from_saelens(
            folder,
            &config,
            Path::new(WEIGHTS_FILE),
            bytes(WEIGHTS_FILE),
        )
    }

    /// `cfg.json` and `sae_weights.safetensors`. What was trained on scaled activations reads plain ones: biases and thresholds are
    /// divided by the scale, and decoder rows keep unit length.
    ///
    /// # Errors
    /// A scale that is not positive.
    pub fn export(&self, described: &Described) -> Result<Exported> {
        const DOING: &str = "writing a trained SAE";
        let scale = described.scale;
        if !(scale.is_finite() && scale > 0.0) {
            return Err(
                Fault::failed(DOING, format!("a scale of {scale}")).expected("a positive number")
            );
        }
        let parameters = &self.parameters;
        let (d_in, d_sae) = (parameters.d_in, parameters.d_sae());
        let unscaled = |values: &[f32]| arr1(values).mapv(|value| value / scale).into_dyn();
        let matrix = |rows: &[f32]| {
            Array2::from_shape_vec((d_sae, d_in), rows.to_vec())
                .map_err(|error| Fault::failed(DOING, error.to_string()))
        };
        let mut tensors = vec![
            (
                "W_enc",
                matrix(&parameters.w_enc)?.reversed_axes().into_dyn(),
            ),
            ("W_dec", matrix(&parameters.w_dec)?.into_dyn()),
            ("b_enc", unscaled(&parameters.b_enc)),
            ("b_dec", unscaled(&parameters.b_dec)),
        ];
        let mut metadata = described.metadata.clone();
        metadata.insert("sae_lens_version".into(), VERSION.into());
        let mut config = json!({
            "architecture": Value::Null,
            "d_in": d_in,
            "d_sae": d_sae,
            "dtype": "float32",
            "device": "cpu",
            "apply_b_dec_to_input": true,
            "normalize_activations": "none",
            "reshape_activations": if described.flattens_heads { "hook_z" } else { "none" },
        });
        match self.inference() {
            Inference::TopK(k) => {
                config["architecture"] = "topk".into();
                config["k"] = k.into();
                config["rescale_acts_by_decoder_norm"] = false.into();
            }
            Inference::JumpReLU(threshold) => {
                config["architecture"] = "jumprelu".into();
                tensors.push(("threshold", unscaled(&threshold)));
            }
        }
        config["metadata"] = Value::Object(metadata);
        let mut text = serde_json::to_vec_pretty(&config)
            .map_err(|error| Fault::failed(DOING, error.to_string()))?;
        text.push(b'\n');
        let named: Vec<Named<'_>> = tensors
            .iter()
            .map(|(name, values)| Named::of(name, values.view()))
            .collect();
        Ok(vec![
            (CONFIG_FILE, text),
            (WEIGHTS_FILE, tensors::to_bytes(&named)?),
        ])
    }
}
