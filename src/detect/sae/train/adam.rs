//! Adam (Kingma and Ba 2015), and what is done to a gradient before it.

use rayon::prelude::*;

use super::parameters::{Parameters, add_scaled, dot};

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;
/// Values that one task updates.
const PIECE: usize = 1 << 14;

/// Adam's moments.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Adam {
    pub first: Parameters,
    pub second: Parameters,
}

impl Adam {
    pub fn new(d_in: usize, d_sae: usize) -> Self {
        Self {
            first: Parameters::zeros(d_in, d_sae),
            second: Parameters::zeros(d_in, d_sae),
        }
    }

    /// One step, the `step`-th from 0.
    pub fn update(
        &mut self,
        parameters: &mut Parameters,
        gradient: &Parameters,
        lr: f32,
        step: u64,
    ) {
        let power = i32::try_from(step + 1).unwrap_or(i32::MAX);
        let correction1 = 1.0 - BETA1.powi(power);
        let correction2 = (1.0 - BETA2.powi(power)).sqrt();
        let size = lr / correction1;
        let moments = self
            .first
            .tensors_mut()
            .into_iter()
            .zip(self.second.tensors_mut());
        for (((_, values), (_, gradient)), ((_, first), (_, second))) in parameters
            .tensors_mut()
            .into_iter()
            .zip(gradient.tensors())
            .zip(moments)
        {
            values
                .par_chunks_mut(PIECE)
                .zip(gradient.par_chunks(PIECE))
                .zip(first.par_chunks_mut(PIECE))
                .zip(second.par_chunks_mut(PIECE))
                .for_each(|(((values, gradient), first), second)| {
                    let moments = first.iter_mut().zip(second);
                    for ((value, gradient), (first, second)) in
                        values.iter_mut().zip(gradient).zip(moments)
                    {
                        *first = BETA1 * *first + (1.0 - BETA1) * gradient;
                        *second = BETA2 * *second + (1.0 - BETA2) * gradient * gradient;
                        *value -= size * *first / (second.sqrt() / correction2 + EPSILON);
                    }
                });
        }
    }
}

/// Takes from the decoder's gradient what would only change the length of a row, which is fixed.
pub(super) fn project(parameters: &Parameters, gradient: &mut Parameters) {
    let d_in = parameters.d_in;
    gradient
        .w_dec
        .par_chunks_exact_mut(d_in)
        .zip(parameters.w_dec.par_chunks_exact(d_in))
        .for_each(|(gradient, row)| {
            let along = dot(gradient, row);
            add_scaled(gradient, -along, row);
        });
}

/// Shortens a gradient whose norm over all parameters is above `largest`. Returns the norm that it had.
#[allow(
    clippy::cast_possible_truncation,
    reason = "a factor in single precision"
)]
pub(super) fn clip(gradient: &mut Parameters, largest: f64) -> f64 {
    let squares = |values: &[f32]| -> f64 {
        let pieces: Vec<f64> = values
            .par_chunks(PIECE)
            .map(|piece| piece.iter().map(|value| f64::from(*value).powi(2)).sum())
            .collect();
        pieces.iter().sum()
    };
    let norm = gradient
        .tensors()
        .iter()
        .map(|(_, values)| squares(values))
        .sum::<f64>()
        .sqrt();
    if norm > largest {
        let factor = (largest / norm) as f32;
        for (_, values) in gradient.tensors_mut() {
            values
                .par_chunks_mut(PIECE)
                .for_each(|piece| piece.iter_mut().for_each(|value| *value *= factor));
        }
    }
    norm
}
