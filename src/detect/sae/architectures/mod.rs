//! SAE architectures: one file each, one registration line each in [`ARCHITECTURES`].

mod abstopk;
mod gated;
mod jumprelu;
mod standard;
mod topk;

use std::fmt;

use ndarray::{Array1, Array2};

use super::config::SaeConfig;
use crate::detect::tensors::Tensors;
use crate::fault::Result;
use crate::instrument::Activation;

/// Every architecture that can be loaded.
pub const ARCHITECTURES: &[Architecture] = &[
    standard::ARCHITECTURE,
    gated::ARCHITECTURE,
    jumprelu::ARCHITECTURE,
    topk::ARCHITECTURE,
    abstopk::ARCHITECTURE,
];

/// An SAE architecture.
#[derive(Debug, Clone, Copy)]
pub struct Architecture {
    /// SAELens's name of it.
    pub name: &'static str,
    /// Takes the encoder's own tensors. The decoder is given for its norms.
    pub(super) load: Load,
}

type Load = fn(&SaeConfig, &mut Tensors<'_>, &Array2<f32>) -> Result<Box<dyn Encoder>>;

/// What tells one architecture from another: all share `W_enc`, `W_dec` and `b_dec`.
pub(super) trait Encoder: fmt::Debug + Send + Sync {
    /// Feature activations `[n, d_sae]` from `x̂·W_enc` `[n, d_sae]`.
    fn activate(&self, hidden: Array2<f32>) -> Array2<f32>;

    /// What computes a few features.
    fn part(&self, features: &[usize]) -> Part;

    /// What activations are multiplied by before `W_dec`, `[d_sae]`; `None` for 1.
    fn decoder_scale(&self) -> Option<Array1<f32>> {
        None
    }

    /// The encoder's own tensors under their names in the file.
    fn tensors(&self) -> Vec<(&'static str, &Array1<f32>)>;
}

/// `activation((x̂·W)·scale + bias)`, with the columns of the features for `W`, or all columns where features compete.
pub(super) struct Part {
    /// One for each column; `None` for 1.
    pub(super) scale: Option<Array1<f32>>,
    /// One for each column.
    pub(super) bias: Array1<f32>,
    pub(super) activation: Activation,
}
