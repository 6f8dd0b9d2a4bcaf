//! `relu(x̂·W_enc + b_enc)`.

use ndarray::{Array1, Array2, Axis};

use super::{Architecture, Encoder, Part};
use crate::instrument::Activation;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "standard",
    load: |config, tensors, _| {
        let b_enc = tensors.vector("b_enc", config.d_sae)?;
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

    fn part(&self, features: &[usize]) -> Part {
        Part {
            scale: None,
            bias: self.b_enc.select(Axis(0), features),
            activation: Activation::Relu,
        }
    }

    fn tensors(&self) -> Vec<(&'static str, &Array1<f32>)> {
        vec![("b_enc", &self.b_enc)]
    }
}
