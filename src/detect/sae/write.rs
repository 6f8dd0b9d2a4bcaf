//! An SAE's files in SAELens's format.

use std::path::Path;

use ndarray::Axis;

use super::Sae;
use super::formats::CONFIG_FILE;
use crate::detect::tensors::{self, Named};
use crate::fault::{Fault, Result};
use crate::files;

impl Sae {
    /// Writes `cfg.json` and the weights `weights` into `folder`. SAELens reads them where it knows the architecture.
    ///
    /// # Errors
    /// A disk that cannot be written.
    pub(in crate::detect) fn write_files(&self, folder: &Path, weights: &str) -> Result<()> {
        let json = serde_json::to_vec_pretty(&self.config.to_json())
            .map_err(|error| Fault::failed("writing an SAE's config", error.to_string()))?;
        files::write_whole(&folder.join(CONFIG_FILE), &json)?;
        // A legacy scale that is not the architecture's own belongs into the decoder.
        let scaled = match (&self.decoder_scale, self.encoder.decoder_scale()) {
            (Some(scale), None) => Some(&self.w_dec * &scale.view().insert_axis(Axis(1))),
            _ => None,
        };
        let w_dec = scaled.as_ref().unwrap_or(&self.w_dec);
        let mut named = vec![
            Named::of("W_dec", w_dec.view().into_dyn()),
            Named::of("b_dec", self.b_dec.view().into_dyn()),
        ];
        if let Some(w_enc) = &self.w_enc {
            named.push(Named::of("W_enc", w_enc.view().into_dyn()));
        }
        if let Some(w_skip) = &self.w_skip {
            named.push(Named::of("W_skip", w_skip.view().into_dyn()));
        }
        for (name, values) in self.encoder.tensors() {
            named.push(Named::of(name, values.view().into_dyn()));
        }
        tensors::write(&folder.join(weights), &named)
    }
}
