//! Training of sparse autoencoders: pure arithmetic over arrays. Where rows come from and where checkpoints go is another's
//! (`lab/train_sae`).
//!
//! The loss is that of SAELens, `Σ (x − x̂)²` averaged over rows, with what the architecture adds. Choices that differ:
//!
//! - Decoder rows have unit length throughout (their gradient is projected, rows are normalised after each step), where SAELens
//!   rescales activations by the rows' norms.
//! - Inputs are scaled to a mean norm of √d_in (`expected_average_only_in`). When the SAE is saved the scale goes into biases and
//!   thresholds, and decoder rows keep unit length: activations are in units of the model's own.
//! - `b_dec` starts at the geometric median of the activations (Bricken et al. 2023), the encoder at the decoder's transpose.
//! - Every architecture revives dead features with the auxiliary loss of Gao et al. 2024.
//! - The learning rate decays to 0 over the last steps by default.

mod adam;
mod batchtopk;
mod checkpoint;
mod dead;
mod entries;
mod export;
mod jumprelu;
mod matryoshka_batchtopk;
mod median;
mod parameters;
mod reconstruct;
mod rule;
mod select;
mod settings;
mod topk;
mod trainer;
mod work;

pub use checkpoint::Checkpoint;
pub use export::{Described, Exported};
pub use jumprelu::Penalty;
pub use median::geometric_median;
pub use parameters::Parameters;
pub use rule::{Architecture, Inference};
pub use settings::Settings;
pub use trainer::{Step, Trainer};
pub use work::Cost;

/// Every architecture that can be trained.
pub const ARCHITECTURES: &[Architecture] = &[
    topk::ARCHITECTURE,
    batchtopk::ARCHITECTURE,
    jumprelu::ARCHITECTURE,
    matryoshka_batchtopk::ARCHITECTURE,
];

impl Architecture {
    /// The architecture of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ARCHITECTURES
            .iter()
            .find(|architecture| architecture.name == name)
    }
}
