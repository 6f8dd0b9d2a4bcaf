//! How far two runs of one text may differ by rounding alone.

use ort::session::Session;
use ort::value::{TensorElementType, ValueType};

use super::placement;
use crate::fault::Result;
use crate::model::rounds;

/// Largest differences of logits, relative to the largest logit, that change nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Precision {
    /// In the coarsest number format of the graph's inputs and outputs.
    pub format: f32,
    /// The same, or, where activations are rounded to integers on the way, a few steps of these: the smallest difference
    /// before the rounding may become a step of 1/127 behind it.
    pub rounded: f32,
}

/// Steps of 1/127 that a rounding may be off by, in all.
const STEPS: f32 = 2e-2;

impl Precision {
    pub(super) fn of(session: &Session) -> Result<Self> {
        let format = session
            .inputs()
            .iter()
            .chain(session.outputs())
            .map(|port| match port.dtype() {
                ValueType::Tensor {
                    ty: TensorElementType::Float16,
                    ..
                } => 5e-3,
                ValueType::Tensor {
                    ty: TensorElementType::Bfloat16,
                    ..
                } => 3e-2,
                _ => 1e-3,
            })
            .fold(0.0, f32::max);
        let rounds = placement::read(session)?
            .iter()
            .any(|node| rounds(&node.operator));
        Ok(Self {
            format,
            rounded: if rounds { format.max(STEPS) } else { format },
        })
    }
}
