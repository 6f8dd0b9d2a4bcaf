//! What tells one architecture from another while it is trained.

use std::fmt;

use super::entries::{Entries, Entry, Slope};
use super::{Parameters, Settings};

/// An SAE architecture that can be trained.
pub struct Architecture {
    /// SAELens's name of its training.
    pub name: &'static str,
    /// One line for people, with the source.
    pub summary: &'static str,
    pub(super) rule: fn(&Settings) -> Box<dyn Rule>,
}

impl fmt::Debug for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What the trained SAE is, for everybody else.
#[derive(Debug, Clone, PartialEq)]
pub enum Inference {
    /// The ReLU of the k largest.
    TopK(usize),
    /// What lies above a threshold `[d_sae]`, in the units of the training.
    JumpReLU(Vec<f32>),
}

/// What the sparsity costs on one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sparsity {
    /// The penalty of a row with these entries.
    pub loss: f64,
    /// Its slope by the row's number of active features.
    pub by_l0: f32,
}

/// How features compete, and what their activations cost. The activations of a row are found from its pre-activations
/// `h = (x − b_dec)·W_enc + b_enc`.
pub(super) trait Rule: fmt::Debug + Send + Sync {
    /// Adds the row's entries, ascending by feature. `scratch` is the caller's.
    fn look(
        &self,
        hidden: &[f32],
        parameters: &Parameters,
        entries: &mut Entries,
        scratch: &mut Vec<f32>,
    );

    /// Settles what rows compete for. False if [`Self::look`] has to be asked again, for it has left out too much.
    fn settle(&mut self, _pieces: &mut [&mut Entries], _rows: usize) -> bool {
        true
    }

    /// What a row costs besides its error, without the coefficient.
    fn sparsity(&self, _row: &[Entry]) -> Sparsity {
        Sparsity {
            loss: 0.0,
            by_l0: 0.0,
        }
    }

    /// The slope of what an activation of that size costs by itself, without the coefficient.
    fn cost(&self, _act: f32) -> f32 {
        0.0
    }

    /// How a loss falls on an entry's pre-activation and threshold, given its slope by the activation and by whether the feature
    /// is active at all.
    fn back(&self, entry: &Entry, _parameters: &Parameters, by_act: f32, _by_l0: f32) -> Slope {
        Slope {
            hidden: if entry.act > 0.0 { by_act } else { 0.0 },
            threshold: 0.0,
        }
    }

    /// What the trained SAE is.
    fn inference(&self, settings: &Settings, parameters: &Parameters) -> Inference;

    /// What it has learnt besides parameters, for a checkpoint.
    fn state(&self) -> f64 {
        0.0
    }

    /// The opposite of [`Self::state`].
    fn restore(&mut self, _state: f64) {}
}
