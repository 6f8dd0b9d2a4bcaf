//! What an SAE is put together from, whatever file it comes from: arrays in SAELens's orientation and names.

use std::collections::BTreeMap;

use ndarray::{Array1, Array2};

use super::architectures::Architecture;
use super::{Sae, SaeConfig};
use crate::fault::{Fault, Result};

/// Config and weights, before the architecture has looked at them.
pub(super) struct Parts {
    pub(super) config: SaeConfig,
    /// `[d_in, d_sae]`; `None` where the encoder is the transposed decoder.
    pub(super) w_enc: Option<Array2<f32>>,
    /// `[d_sae, d_out]`.
    pub(super) w_dec: Array2<f32>,
    /// `[d_out]`.
    pub(super) b_dec: Array1<f32>,
    /// `[d_out, d_in]`, for transcoders with a skip connection.
    pub(super) w_skip: Option<Array2<f32>>,
    /// The encoder's own tensors.
    pub(super) own: Own,
    /// A constant that inputs were multiplied by in training, not yet folded into the weights.
    pub(super) scaling: Option<f32>,
    /// What activations are multiplied by before `W_dec`, from before SAELens 6.
    pub(super) decoder_scale: Option<Array1<f32>>,
}

/// The encoder's own tensors, by SAELens's names; a single number has one element.
#[derive(Debug, Default)]
pub(super) struct Own(BTreeMap<&'static str, Array1<f32>>);

impl Own {
    pub(super) fn of<const N: usize>(tensors: [(&'static str, Array1<f32>); N]) -> Self {
        Self(tensors.into())
    }

    pub(super) fn insert(&mut self, name: &'static str, values: Array1<f32>) {
        self.0.insert(name, values);
    }

    /// # Errors
    /// A format that reads an architecture without all of its tensors.
    pub(super) fn take(&mut self, name: &'static str) -> Result<Array1<f32>> {
        self.0
            .remove(name)
            .ok_or_else(|| Fault::failed("loading an SAE", format!("no `{name}`")))
    }

    /// A single number.
    ///
    /// # Errors
    /// As for [`Self::take`].
    pub(super) fn take_number(&mut self, name: &'static str) -> Result<f32> {
        Ok(self.take(name)?.sum())
    }
}

impl Parts {
    /// Config and weights with nothing left to fold.
    pub(super) fn new(
        config: SaeConfig,
        w_enc: Array2<f32>,
        w_dec: Array2<f32>,
        b_dec: Array1<f32>,
        own: Own,
    ) -> Self {
        Self {
            config,
            w_enc: Some(w_enc),
            w_dec,
            b_dec,
            w_skip: None,
            own,
            scaling: None,
            decoder_scale: None,
        }
    }

    /// Folds the scaling, lets the architecture take its tensors, and puts all together.
    ///
    /// # Errors
    /// Weights that the architecture cannot compute with.
    pub(super) fn assemble(mut self) -> Result<Sae> {
        if let Some(scaling) = self.scaling {
            self.fold(scaling);
        }
        let architecture = Architecture::named(self.config.architecture)
            .ok_or_else(|| Fault::failed("loading an SAE", self.config.architecture))?;
        let encoder = (architecture.load)(&mut self)?;
        let legacy = self
            .decoder_scale
            .filter(|scale| scale.iter().any(|scale| (scale - 1.0).abs() > 0.0));
        let decoder_scale = match (encoder.decoder_scale(), legacy) {
            (Some(_), Some(_)) => {
                return Err(Fault::usage(
                    format!("loading a {} SAE", self.config.architecture),
                    "`scaling_factor` beside activations that are rescaled by the decoder's norms",
                )
                .expected("one of them"));
            }
            (own, legacy) => own.or(legacy),
        };
        Ok(Sae {
            config: self.config,
            w_enc: self.w_enc,
            w_dec: self.w_dec,
            b_dec: self.b_dec,
            w_skip: self.w_skip,
            encoder,
            decoder_scale,
        })
    }

    /// As SAELens's `fold_activation_norm_scaling_factor`: an encoder that is the transposed decoder is multiplied by
    /// what its decoder is divided by.
    fn fold(&mut self, scaling: f32) {
        if let Some(w_enc) = &mut self.w_enc {
            *w_enc *= scaling;
            self.w_dec /= scaling;
        }
        self.b_dec /= scaling;
    }

    /// Norms of the decoder's rows, `[d_sae]`.
    pub(super) fn decoder_norms(&self) -> Array1<f32> {
        norms(&self.w_dec)
    }
}

/// Norms of rows.
pub(super) fn norms(matrix: &Array2<f32>) -> Array1<f32> {
    matrix
        .rows()
        .into_iter()
        .map(|row| row.dot(&row).sqrt())
        .collect()
}
