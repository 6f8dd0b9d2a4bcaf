//! Sparse autoencoders and transcoders, from any file format of the field (`formats`).
//!
//! Row-vector convention: an activation `x` is `[d_in]`, `W_enc` is `[d_in, d_sae]`, `W_dec` is `[d_sae, d_out]`.
//! `x̂ = N(x) − [apply_b_dec_to_input]·b_dec`, `f = act(x̂·W_enc …)`, `decoded = N⁻¹(f·W_dec + b_dec)`. A transcoder
//! reconstructs another activation `y` `[d_out]`: `decoded = f·W_dec + b_dec (+ x·W_skipᵀ)`.

mod architectures;
mod config;
mod formats;
mod measure;
mod normalization;
mod parts;
pub mod train;
mod write;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use architectures::Encoder;
pub use architectures::{ARCHITECTURES, Architecture, Pursuit};
pub use config::SaeConfig;
pub use formats::{Asked, FORMATS, Format, Opened};
pub(in crate::detect) use formats::{CONFIG_FILE, SCALER_FILE, WEIGHTS_FILE, read_config};
pub use measure::{Measured, Measuring};
pub use normalization::Normalization;

use crate::fault::{Fault, Result};
use crate::instrument::Activation;

/// A sparse autoencoder or transcoder, its weights in single precision.
#[derive(Debug)]
pub struct Sae {
    config: SaeConfig,
    /// `None` where the encoder is the transposed decoder.
    w_enc: Option<Array2<f32>>,
    w_dec: Array2<f32>,
    b_dec: Array1<f32>,
    /// `[d_out, d_in]`.
    w_skip: Option<Array2<f32>>,
    encoder: Box<dyn Encoder>,
    /// What feature activations are multiplied by before `W_dec`, `[d_sae]`.
    decoder_scale: Option<Array1<f32>>,
}

/// What an SAE makes of a batch of activations.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconstruction {
    /// `[n, d_sae]`.
    pub feature_acts: Array2<f32>,
    /// `[n, d_out]`.
    pub decoded: Array2<f32>,
    /// `x − decoded`, `[n, d_in]`: what the SAE does not explain, kept when a feature is ablated. `None` for a transcoder,
    /// which does not reconstruct `x`: [`Sae::error_against`] takes the activation that it does.
    pub error: Option<Array2<f32>>,
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

    /// Width of the activation that is read.
    #[must_use]
    pub fn d_in(&self) -> usize {
        self.config.d_in
    }

    /// Number of features.
    #[must_use]
    pub fn d_sae(&self) -> usize {
        self.config.d_sae
    }

    /// Width of the activation that is reconstructed.
    #[must_use]
    pub fn d_out(&self) -> usize {
        self.config.d_out
    }

    /// Whether it reconstructs another activation than the one that it reads.
    #[must_use]
    pub fn transcodes(&self) -> bool {
        self.config.transcodes()
    }

    /// The model that it was trained on, as the file spells it.
    #[must_use]
    pub fn model_name(&self) -> Option<&str> {
        self.config.metadata.get("model_name")?.as_str()
    }

    /// Whether SAELens knows its architecture.
    #[must_use]
    pub fn in_saelens(&self) -> bool {
        Architecture::named(self.config.architecture).is_some_and(|known| known.in_saelens)
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
        self.encoder.encode(centred.view(), self.w_enc())
    }

    /// The reconstruction `[n, d_out]` from `feature_acts` `[n, d_sae]`. `x` `[n, d_in]` is what was encoded: its norm or
    /// its mean and spread are restored, where an SAE normalises its input, and it goes through a transcoder's skip connection.
    ///
    /// # Errors
    /// Shapes that do not fit, or as for [`Self::encode`].
    pub fn decode(&self, feature_acts: ArrayView2<f32>, x: ArrayView2<f32>) -> Result<Array2<f32>> {
        self.check(x)?;
        self.check_acts(feature_acts, x.nrows())?;
        let mut linear = self.scaled(feature_acts).dot(&self.w_dec) + &self.b_dec;
        if let Some(w_skip) = &self.w_skip {
            linear += &x.dot(&w_skip.t());
        }
        self.denormalization().undo(linear, x)
    }

    /// Feature activations, reconstruction and error term of `x` `[n, d_in]`.
    ///
    /// # Errors
    /// As for [`Self::encode`].
    pub fn forward(&self, x: ArrayView2<f32>) -> Result<Reconstruction> {
        let feature_acts = self.encode(x)?;
        let decoded = self.decode(feature_acts.view(), x)?;
        let error = (!self.transcodes()).then(|| &x - &decoded);
        Ok(Reconstruction {
            feature_acts,
            decoded,
            error,
        })
    }

    /// What the SAE does not explain of `x`: `x − decode(encode(x))`, `[n, d_in]`.
    ///
    /// # Errors
    /// A transcoder, or as for [`Self::encode`].
    pub fn error(&self, x: ArrayView2<f32>) -> Result<Array2<f32>> {
        self.forward(x)?.error.ok_or_else(|| {
            self.no_reconstruction("taking what an SAE does not explain of its input")
        })
    }

    /// What is not explained of `target` `[n, d_out]`, the activation that is reconstructed: for a transcoder that of
    /// [`SaeConfig::hook_name_out`], for an SAE `x` itself.
    ///
    /// # Errors
    /// A target of another shape, or as for [`Self::encode`].
    pub fn error_against(
        &self,
        x: ArrayView2<f32>,
        target: ArrayView2<f32>,
    ) -> Result<Array2<f32>> {
        let decoded = self.forward(x)?.decoded;
        if target.dim() != decoded.dim() {
            return Err(Fault::failed(
                "taking what an SAE does not explain",
                format!("a target of shape {:?}", target.shape()),
            )
            .expected(format!("shape {:?}", decoded.shape())));
        }
        Ok(&target - &decoded)
    }

    /// The refusal to take a transcoder for an SAE.
    pub(crate) fn no_reconstruction(&self, doing: impl Into<String>) -> Fault {
        let onto = self.config.hook_name_out.as_deref();
        let onto = onto.map_or_else(String::new, |hook| format!(" (`{hook}`)"));
        Fault::usage(
            doing,
            format!("a transcoder, which reconstructs another activation{onto}"),
        )
        .expected("an SAE, which reconstructs what it reads")
    }

    /// The part of the reconstruction that comes from `features`, `[n, d_out]`. Subtracting it from `x` (of a transcoder: from
    /// the activation that it reconstructs) ablates them and keeps the error term.
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
        self.denormalization().undo_scale(linear, x)
    }

    /// What one unit of feature `index` adds to the (normalised) reconstruction, `[d_out]`; `None` beyond `d_sae`.
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
    /// A feature that the SAE lacks, or an encoder that is not one product and one activation (matching pursuit, groupmax).
    pub fn columns(&self, features: &[usize]) -> Result<Columns> {
        self.check_features(features)?;
        let part = self.encoder.part(features)?;
        let mut weight = match &part.activation {
            Activation::TopK(_) => self.w_enc().to_owned(),
            _ => self.w_enc().select(Axis(1), features),
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
        self.encoder.competes()
    }

    /// `[d_in, d_sae]`.
    fn w_enc(&self) -> ArrayView2<'_, f32> {
        match &self.w_enc {
            Some(w_enc) => w_enc.view(),
            None => self.w_dec.t(),
        }
    }

    /// How a reconstruction is brought back to the scale of the input; that of a transcoder has a scale of its own.
    fn denormalization(&self) -> Normalization {
        if self.transcodes() {
            Normalization::None
        } else {
            self.config.normalization
        }
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
