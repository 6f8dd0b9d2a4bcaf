//! `relu(h)·1[h > θ]` with `h = x̂·W_enc + b_enc`, strictly greater (Rajamanoharan et al. 2024).

use ndarray::{Array1, Array2, Axis, Zip};

use super::{Architecture, Encoder, Extent, Part, Target};
use crate::fault::Result;
use crate::instrument::Activation;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "jumprelu",
    in_saelens: true,
    own: &[("b_enc", Extent::Features), ("threshold", Extent::Features)],
    tied: false,
    target: Target::Input,
    takes_k: false,
    load: |parts| {
        Ok(Box::new(JumpRelu {
            b_enc: parts.own.take("b_enc")?,
            threshold: parts.own.take("threshold")?,
        }))
    },
};

#[derive(Debug)]
struct JumpRelu {
    b_enc: Array1<f32>,
    threshold: Array1<f32>,
}

impl Encoder for JumpRelu {
    fn activate(&self, hidden: Array2<f32>) -> Array2<f32> {
        let mut acts = hidden + &self.b_enc;
        Zip::from(&mut acts)
            .and_broadcast(&self.threshold)
            .for_each(|act, threshold| {
                *act = if *act > *threshold { act.max(0.0) } else { 0.0 };
            });
        acts
    }

    fn part(&self, features: &[usize]) -> Result<Part> {
        Ok(Part {
            scale: None,
            bias: self.b_enc.select(Axis(0), features),
            activation: Activation::JumpRelu(self.threshold.select(Axis(0), features)),
        })
    }

    fn tensors(&self) -> Vec<(&'static str, &Array1<f32>)> {
        vec![("b_enc", &self.b_enc), ("threshold", &self.threshold)]
    }
}
