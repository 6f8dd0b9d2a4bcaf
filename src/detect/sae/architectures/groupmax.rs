//! The largest of each of `k` contiguous groups of `relu(h)`, `h = x̂·W_enc + b_enc` (EleutherAI sparsify).

use ndarray::{Array1, Array2};

use super::topk::k_of;
use super::{Architecture, Encoder, Extent, Part, Target, no_part};
use crate::fault::{Fault, Result};

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "groupmax",
    in_saelens: false,
    own: &[("b_enc", Extent::Features)],
    tied: false,
    target: Target::Input,
    takes_k: true,
    load: |parts| {
        let (k, d_sae) = (k_of(&parts.config)?, parts.config.d_sae);
        if d_sae % k != 0 {
            return Err(Fault::usage(
                "loading a groupmax SAE",
                format!("{d_sae} features in k = {k} groups"),
            )
            .expected("groups of one size"));
        }
        Ok(Box::new(GroupMax {
            b_enc: parts.own.take("b_enc")?,
            size: d_sae / k,
        }))
    },
};

#[derive(Debug)]
struct GroupMax {
    b_enc: Array1<f32>,
    /// Features of a group.
    size: usize,
}

impl Encoder for GroupMax {
    /// Ties go to the lower index.
    fn activate(&self, hidden: Array2<f32>) -> Array2<f32> {
        let mut acts = (hidden + &self.b_enc).mapv_into(|value| value.max(0.0));
        for mut row in acts.rows_mut() {
            for mut group in row.exact_chunks_mut(self.size) {
                let largest = group.iter().copied().enumerate();
                let largest =
                    largest.reduce(|best, next| if next.1 > best.1 { next } else { best });
                for (index, value) in group.iter_mut().enumerate() {
                    if largest.is_some_and(|(kept, _)| kept != index) {
                        *value = 0.0;
                    }
                }
            }
        }
        acts
    }

    fn part(&self, _: &[usize]) -> Result<Part> {
        Err(no_part(
            ARCHITECTURE.name,
            "a maximum over each group of features",
        ))
    }

    fn competes(&self) -> bool {
        true
    }

    fn tensors(&self) -> Vec<(&'static str, &Array1<f32>)> {
        vec![("b_enc", &self.b_enc)]
    }
}
