//! `1[h + b_gate > 0] · relu(h·exp(r_mag) + b_mag)` with `h = x̂·W_enc` (Rajamanoharan et al. 2024, gated SAEs).

use ndarray::{Array1, Array2, Axis, Zip};

use super::{Architecture, Encoder, Extent, Part, Target};
use crate::fault::Result;
use crate::instrument::Activation;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "gated",
    in_saelens: true,
    own: &[
        ("b_gate", Extent::Features),
        ("b_mag", Extent::Features),
        ("r_mag", Extent::Features),
    ],
    tied: false,
    target: Target::Input,
    takes_k: false,
    load: |parts| {
        Ok(Box::new(Gated {
            b_gate: parts.own.take("b_gate")?,
            b_mag: parts.own.take("b_mag")?,
            r_mag: parts.own.take("r_mag")?,
        }))
    },
};

#[derive(Debug)]
struct Gated {
    b_gate: Array1<f32>,
    b_mag: Array1<f32>,
    r_mag: Array1<f32>,
}

impl Encoder for Gated {
    fn activate(&self, hidden: Array2<f32>) -> Array2<f32> {
        let mut acts = &hidden * &self.r_mag.exp() + &self.b_mag;
        Zip::from(&mut acts)
            .and(&hidden)
            .and_broadcast(&self.b_gate)
            .for_each(|act, hidden, b_gate| {
                *act = if hidden + b_gate > 0.0 {
                    act.max(0.0)
                } else {
                    0.0
                };
            });
        acts
    }

    /// The gate `h + b_gate > 0` is `m > b_mag − exp(r_mag)·b_gate` for the magnitude `m = h·exp(r_mag) + b_mag`.
    fn part(&self, features: &[usize]) -> Result<Part> {
        let scale = self.r_mag.select(Axis(0), features).exp();
        let bias = self.b_mag.select(Axis(0), features);
        let threshold = &bias - &scale * &self.b_gate.select(Axis(0), features);
        Ok(Part {
            scale: Some(scale),
            bias,
            activation: Activation::JumpRelu(threshold),
        })
    }

    fn tensors(&self) -> Vec<(&'static str, &Array1<f32>)> {
        vec![
            ("b_gate", &self.b_gate),
            ("b_mag", &self.b_mag),
            ("r_mag", &self.r_mag),
        ]
    }
}
