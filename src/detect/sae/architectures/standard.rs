//! `relu(x̂·W_enc + b_enc)`.

use ndarray::{Array1, Array2, Axis};

use super::{Architecture, Encoder, Extent, Part, Target};
use crate::fault::Result;
use crate::instrument::Activation;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "standard",
    in_saelens: true,
    own: &[("b_enc", Extent::Features)],
    tied: false,
    target: Target::Input,
    takes_k: false,
    load: |parts| {
        let b_enc = parts.own.take("b_enc")?;
        Ok(Box::new(Standard { b_enc }))
    },
};

#[derive(Debug)]
struct Standard {
    b_enc: Array1<f32>,
}

impl Encoder for Standard {
    fn activate(&self, hidden: Array2<f32>) -> Array2<f32> {
        (hidden + &self.b_enc).mapv_into(|value| value.max(0.0))
    }

    fn part(&self, features: &[usize]) -> Result<Part> {
        Ok(Part {
            scale: None,
            bias: self.b_enc.select(Axis(0), features),
            activation: Activation::Relu,
        })
    }

    fn tensors(&self) -> Vec<(&'static str, &Array1<f32>)> {
        vec![("b_enc", &self.b_enc)]
    }
}
