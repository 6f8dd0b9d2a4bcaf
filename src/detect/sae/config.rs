//! What an SAE computes, as `cfg.json` of SAELens says it.

use serde_json::{Map, Value};

use super::architectures::{Architecture, Pursuit};
use super::normalization::Normalization;

/// What a config says, as far as it matters for encoding.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a field of the file")]
pub struct SaeConfig {
    /// A name in [`super::ARCHITECTURES`].
    pub architecture: &'static str,
    /// Width of the activation that is read.
    pub d_in: usize,
    /// Number of features.
    pub d_sae: usize,
    /// Width of the activation that is reconstructed; `d_in` but for transcoders.
    pub d_out: usize,
    /// Whether `b_dec` is subtracted from the input.
    pub apply_b_dec_to_input: bool,
    /// Row-wise normalisation.
    pub normalization: Normalization,
    /// Features kept, for top-k; groups, for groupmax.
    pub k: Option<usize>,
    /// Whether top-k ranks activations by decoder norm.
    pub rescale_acts_by_decoder_norm: bool,
    /// When matching pursuit stops.
    pub pursuit: Pursuit,
    /// Whether it reads the heads of `hook_z` side by side.
    pub flattens_heads: bool,
    /// Where it was trained, as the file spells it.
    pub hook_name: Option<String>,
    /// Which activation a transcoder reconstructs, as the file spells it.
    pub hook_name_out: Option<String>,
    /// What else is said of its training, such as `model_name`, `prepend_bos` and `context_size`.
    pub metadata: Map<String, Value>,
}

impl SaeConfig {
    /// A config of that architecture and these widths, with nothing subtracted or normalised.
    pub(super) fn of(architecture: &'static str, d_in: usize, d_sae: usize) -> Self {
        Self {
            architecture,
            d_in,
            d_sae,
            d_out: d_in,
            apply_b_dec_to_input: false,
            normalization: Normalization::None,
            k: None,
            rescale_acts_by_decoder_norm: false,
            pursuit: Pursuit::default(),
            flattens_heads: false,
            hook_name: None,
            hook_name_out: None,
            metadata: Map::new(),
        }
    }

    /// Whether it is of a transcoder.
    pub(super) fn transcodes(&self) -> bool {
        Architecture::named(self.architecture).is_some_and(Architecture::transcodes)
    }

    /// The `cfg.json` of a loaded SAE, in the nested form.
    pub(super) fn to_json(&self) -> Value {
        let normalization = match self.normalization {
            Normalization::None => "none",
            Normalization::ConstantNormRescale => "constant_norm_rescale",
            Normalization::LayerNorm => "layer_norm",
        };
        let mut metadata = self.metadata.clone();
        // SAELens takes a config without a version for one older than 6.0.
        metadata.insert("sae_lens_version".into(), "6.0.0".into());
        metadata.insert("hook_name".into(), self.hook_name.clone().into());
        let mut json = serde_json::json!({
            "architecture": self.architecture,
            "d_in": self.d_in,
            "d_sae": self.d_sae,
            "dtype": "float32",
            "device": "cpu",
            "apply_b_dec_to_input": self.apply_b_dec_to_input,
            "normalize_activations": normalization,
            "reshape_activations": if self.flattens_heads { "hook_z" } else { "none" },
        });
        if let Some(k) = self.k {
            json["k"] = k.into();
            json["rescale_acts_by_decoder_norm"] = self.rescale_acts_by_decoder_norm.into();
        }
        if self.architecture == "matching_pursuit" {
            json["residual_threshold"] = self.pursuit.residual_threshold.into();
            json["max_iterations"] = self.pursuit.max_iterations.into();
            json["stop_on_duplicate_support"] = self.pursuit.stop_on_duplicate_support.into();
        }
        if self.transcodes() {
            json["d_out"] = self.d_out.into();
            metadata.insert("hook_name_out".into(), self.hook_name_out.clone().into());
        }
        json["metadata"] = metadata.into();
        json
    }
}
