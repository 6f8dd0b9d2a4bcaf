//! Sparse autoencoders in SAELens's file format.
//!
//! Row-vector convention: an activation `x` is `[d_in]`, `W_enc` is `[d_in, d_sae]`, `W_dec` is `[d_sae, d_in]`.
//! `x̂ = N(x) − [apply_b_dec_to_input]·b_dec`, `f = act(x̂·W_enc …)`, `decoded = N⁻¹(f·W_dec + b_dec)`.

mod architectures;
mod config;
mod file;
mod measure;
mod normalization;
pub mod train;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

pub use architectures::ARCHITECTURES;
use architectures::Encoder;
pub use config::SaeConfig;
pub(in crate::detect) use file::{CONFIG_FILE, SCALER_FILE, read_config};
pub use measure::{Measured, Measuring};
pub use normalization::Normalization;

use crate::fault::{Fault, Result};
use crate::instrument::Activation;

/// A sparse autoencoder, its weights in single precision.
#[derive(Debug)]
pub struct Sae {
    config: SaeConfig,
    w_enc: Array2<f32>,
    w_dec: Array2<f32>,
    b_dec: Array1<f32>,
    encoder: Box<dyn Encoder>,
    /// What feature activations are multiplied by before `W_dec`, `[d_sae]`.
    decoder_scale: Option<Array1<f32>>,
}

/// What an SAE makes of a batch of activations.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconstruction {
    /// `[n, d_sae]`.
    pub feature_acts: Array2<f32>,
    /// `[n, d_in]`.
    pub decoded: Array2<f32>,
    /// `x − decoded`, `[n, d_in]`: what the SAE does not explain, kept when a feature is ablated.
    pub error: Array2<f32>,
}

/// What computes the activations of a few features: `activation(N(x)·weight + bias)`.
#[derive(Debug, Clone)]
pub struct Columns {
    /// `[d_in, k]`, or `[d_in, d_sae]` where features compete.
    pub weight: Array2<f32>,
    /// One for each column, with `b_dec` folded in.
    pub bias: Array1<f32>,
    /// What follows.
    pub activation: Activation,
}

impl Sae {
    /// What `cfg.json` says.
    #[must_use]
    pub fn config(&self) -> &SaeConfig {
        &self.config
    }

    /// Width of the activation.
    #[must_use]
    pub fn d_in(&self) -> usize {
        self.config.d_in
    }

    /// Number of features.
    #[must_use]
    pub fn d_sae(&self) -> usize {
        self.config.d_sae
    }

    /// Feature activations `[n, d_sae]` of `x` `[n, d_in]`.
    ///
    /// # Errors
    /// Rows of another width, values that are not finite, or a zero row where rows are scaled to a constant norm.
    pub fn encode(&self, x: ArrayView2<f32>) -> Result<Array2<f32>> {
        self.check(x)?;
        let mut centred = self.config.normalization.apply(x)?;
        if self.config.apply_b_dec_to_input {
            centred -= &self.b_dec;
        }
        let hidden = centred.dot(&self.w_enc);
        // Checked before the activation, whose `max` would turn a NaN into a harmless 0.
        if !hidden.iter().all(|value| value.is_finite()) {
            return Err(Fault::failed(
                "encoding activations with an SAE",
                "a pre-activation that is not finite",
            )
            .expected("activations of the scale that the SAE was trained on"));
        }
        Ok(self.encoder.activate(hidden))
    }

    /// The reconstruction `[n, d_in]` from `feature_acts` `[n, d_sae]`. `x` `[n, d_in]` is what was encoded: its norm or
    /// its mean and spread are restored, where the SAE normalises its input.
    ///
    /// # Errors
    /// Shapes that do not fit, or as for [`Self::encode`].
    pub fn decode(&self, feature_acts: ArrayView2<f32>, x: ArrayView2<f32>) -> Result<Array2<f32>> {
        self.check(x)?;
        self.check_acts(feature_acts, x.nrows())?;
        let linear = self.scaled(feature_acts).dot(&self.w_dec) + &self.b_dec;
        self.config.normalization.undo(linear, x)
    }

    /// Feature activations, reconstruction and error term of `x` `[n, d_in]`.
    ///
    /// # Errors
    /// As for [`Self::encode`].
    pub fn forward(&self, x: ArrayView2<f32>) -> Result<Reconstruction> {
        let feature_acts = self.encode(x)?;
        let decoded = self.decode(feature_acts.view(), x)?;
        let error = &x - &decoded;
        Ok(Reconstruction {
            feature_acts,
            decoded,
            error,
        })
    }

    /// What the SAE does not explain of `x`: `x − decode(encode(x))`, `[n, d_in]`.
    ///
    /// # Errors
    /// As for [`Self::encode`].
    pub fn error(&self, x: ArrayView2<f32>) -> Result<Array2<f32>> {
        Ok(self.forward(x)?.error)
    }

    /// The part of the reconstruction that comes from `features`, `[n, d_in]`. Subtracting it from `x` ablates them and
    /// keeps the error term.
    ///
    /// # Errors
    /// A feature that the SAE lacks, shapes that do not fit, or as for [`Self::encode`].
    pub fn contribution(
        &self,
        feature_acts: ArrayView2<f32>,
        x: ArrayView2<f32>,
        features: &[usize],
    ) -> Result<Array2<f32>> {
        self.check(x)?;
        self.check_acts(feature_acts, x.nrows())?;
        self.check_features(features)?;
        let acts = self.scaled(feature_acts).select(Axis(1), features);
        let linear = acts.dot(&self.w_dec.select(Axis(0), features));
        self.config.normalization.undo_scale(linear, x)
    }

    /// What one unit of feature `index` adds to the (normalised) reconstruction, `[d_in]`; `None` beyond `d_sae`.
    #[must_use]
    pub fn feature_direction(&self, index: usize) -> Option<Array1<f32>> {
        let row: ArrayView1<f32> = self.w_dec.axis_iter(Axis(0)).nth(index)?;
        let scale = match &self.decoder_scale {
            Some(scale) => scale.get(index).copied()?,
            None => 1.0,
        };
        Some(&row * scale)
    }

    /// What computes the activations of `features`: their own columns of the encoder, or the whole encoder where features
    /// compete (top-k). Its input is normalised as the config says.
    ///
    /// # Errors
    /// A feature that the SAE lacks.
    pub fn columns(&self, features: &[usize]) -> Result<Columns> {
        self.check_features(features)?;
        let part = self.encoder.part(features);
        let mut weight = match &part.activation {
            Activation::TopK(_) => self.w_enc.clone(),
            _ => self.w_enc.select(Axis(1), features),
        };
        if let Some(scale) = &part.scale {
            weight *= scale;
        }
        let mut bias = part.bias;
        if self.config.apply_b_dec_to_input {
            bias = bias - self.b_dec.dot(&weight);
        }
        Ok(Columns {
            weight,
            bias,
            activation: part.activation,
        })
    }

    /// Whether the activation of one feature depends on the others.
    #[must_use]
    pub fn features_compete(&self) -> bool {
        matches!(self.encoder.part(&[]).activation, Activation::TopK(_))
    }

    fn scaled(&self, feature_acts: ArrayView2<f32>) -> Array2<f32> {
        match &self.decoder_scale {
            Some(scale) => &feature_acts * scale,
            None => feature_acts.to_owned(),
        }
    }

    fn check(&self, x: ArrayView2<f32>) -> Result<()> {
        const DOING: &str = "encoding activations with an SAE";
        if x.ncols() != self.d_in() {
            return Err(
                Fault::usage(DOING, format!("activations of width {}", x.ncols()))
                    .expected(format!("width {}", self.d_in()))
                    .hint("the SAE was trained at another site or on another model"),
            );
        }
        match x.indexed_iter().find(|(_, value)| !value.is_finite()) {
            Some(((row, column), value)) => Err(Fault::failed(
                DOING,
                format!("the activation {value} in row {row}, column {column}"),
            )
            .expected("finite activations")),
            None => Ok(()),
        }
    }

    fn check_acts(&self, feature_acts: ArrayView2<f32>, rows: usize) -> Result<()> {
        if feature_acts.dim() == (rows, self.d_sae()) {
            return Ok(());
        }
        Err(Fault::failed(
            "decoding feature activations with an SAE",
            format!("feature activations of shape {:?}", feature_acts.shape()),
        )
        .expected(format!("shape [{rows}, {}]", self.d_sae())))
    }

    fn check_features(&self, features: &[usize]) -> Result<()> {
        match features.iter().find(|feature| **feature >= self.d_sae()) {
            Some(feature) => Err(Fault::usage(
                "looking up an SAE feature",
                format!("feature {feature}"),
            )
            .expected(format!("an index below d_sae = {}", self.d_sae()))),
            None => Ok(()),
        }
    }
}
