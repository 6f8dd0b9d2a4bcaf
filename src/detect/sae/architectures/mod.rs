//! SAE architectures: one file each, one registration line each in [`ARCHITECTURES`].

mod abstopk;
mod batchtopk;
mod gated;
mod groupmax;
mod jumprelu;
mod matching_pursuit;
mod standard;
mod topk;
mod transcoder;

use std::fmt;

use ndarray::{Array1, Array2, ArrayView2};

pub use matching_pursuit::Pursuit;

use super::parts::Parts;
use crate::fault::{Fault, Result};
use crate::instrument::Activation;

/// Every architecture that can be loaded.
pub const ARCHITECTURES: &[Architecture] = &[
    standard::ARCHITECTURE,
    gated::ARCHITECTURE,
    jumprelu::ARCHITECTURE,
    topk::ARCHITECTURE,
    abstopk::ARCHITECTURE,
    matching_pursuit::ARCHITECTURE,
    groupmax::ARCHITECTURE,
    batchtopk::ARCHITECTURE,
    batchtopk::MATRYOSHKA,
    transcoder::of("transcoder", standard::ARCHITECTURE),
    transcoder::with_skip("skip_transcoder", standard::ARCHITECTURE),
    transcoder::of("jumprelu_transcoder", jumprelu::ARCHITECTURE),
    transcoder::with_skip("jumprelu_skip_transcoder", jumprelu::ARCHITECTURE),
    transcoder::of("topk_transcoder", topk::ARCHITECTURE).not_in_saelens(),
    transcoder::with_skip("topk_skip_transcoder", topk::ARCHITECTURE).not_in_saelens(),
    transcoder::of("groupmax_transcoder", groupmax::ARCHITECTURE),
    transcoder::with_skip("groupmax_skip_transcoder", groupmax::ARCHITECTURE),
];

/// An SAE architecture.
#[derive(Debug, Clone, Copy)]
pub struct Architecture {
    /// SAELens's name of it, or Candor's where SAELens has none.
    pub name: &'static str,
    /// Whether SAELens loads a `cfg.json` of that name.
    pub in_saelens: bool,
    /// The encoder's own tensors in SAELens's files.
    pub(super) own: &'static [(&'static str, Extent)],
    /// Whether the encoder is the transposed decoder.
    pub(super) tied: bool,
    /// Whether another activation than the input is reconstructed, and how.
    pub(super) target: Target,
    /// Whether the config's `k` counts.
    pub(super) takes_k: bool,
    /// Takes the encoder's own tensors, and may change the shared ones.
    pub(super) load: Load,
}

/// How large a tensor of an encoder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// `[d_sae]`.
    Features,
    /// A single number.
    Number,
}

/// What is reconstructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The input.
    Input,
    /// Another activation: `b_dec` is never subtracted from the input and the output keeps its scale.
    Other {
        /// Whether `x·W_skipᵀ` is added.
        skip: bool,
    },
}

type Load = fn(&mut Parts) -> Result<Box<dyn Encoder>>;

impl Architecture {
    /// The architecture of that name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        ARCHITECTURES
            .iter()
            .find(|architecture| architecture.name == name)
    }

    /// Whether it reconstructs another activation than the one that it reads.
    #[must_use]
    pub fn transcodes(&self) -> bool {
        self.target != Target::Input
    }

    /// Marks one that SAELens does not know.
    const fn not_in_saelens(mut self) -> Self {
        self.in_saelens = false;
        self
    }
}

/// What tells one architecture from another: all share `W_enc`, `W_dec` and `b_dec`.
pub(super) trait Encoder: fmt::Debug + Send + Sync {
    /// Feature activations `[n, d_sae]` of normalised and centred inputs `x` `[n, d_in]`.
    ///
    /// # Errors
    /// A pre-activation that is not finite.
    fn encode(&self, x: ArrayView2<f32>, w_enc: ArrayView2<f32>) -> Result<Array2<f32>> {
        let hidden = x.dot(&w_enc);
        // Checked before the activation, whose `max` would turn a NaN into a harmless 0.
        finite(&hidden)?;
        Ok(self.activate(hidden))
    }

    /// Feature activations `[n, d_sae]` from `x̂·W_enc` `[n, d_sae]`.
    fn activate(&self, hidden: Array2<f32>) -> Array2<f32>;

    /// What computes a few features inside a graph.
    ///
    /// # Errors
    /// An encoder that is not one product and one activation.
    fn part(&self, features: &[usize]) -> Result<Part>;

    /// Whether the activation of one feature depends on the others.
    fn competes(&self) -> bool {
        false
    }

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

fn finite(hidden: &Array2<f32>) -> Result<()> {
    if hidden.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(Fault::failed(
        "encoding activations with an SAE",
        "a pre-activation that is not finite",
    )
    .expected("activations of the scale that the SAE was trained on"))
}

/// Why an encoder cannot be columns of a graph.
fn no_part(architecture: &str, why: &str) -> Fault {
    Fault::usage(
        format!("computing features of a {architecture} SAE inside the graph"),
        why,
    )
    .expected("an encoder of one product and one activation")
    .hint("read the site and encode what was read: an audit and `candor detectors find` do")
}
