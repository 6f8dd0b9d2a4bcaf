//! `relu` of the `k` largest `h = x̂·W_enc + b_enc` (Gao et al. 2024). With `rescale_acts_by_decoder_norm`, `h` is
//! multiplied by `‖W_dec,i‖` before the selection and the activation divided by it before decoding.

use ndarray::{Array1, Array2, ArrayViewMut1};

use super::{Architecture, Encoder, Extent, Part, Target};
use crate::detect::sae::config::SaeConfig;
use crate::detect::sae::parts::Parts;
use crate::fault::{Fault, Result};
use crate::instrument::{self, Activation, Ranking};

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "topk",
    in_saelens: true,
    own: &[("b_enc", Extent::Features)],
    tied: false,
    target: Target::Input,
    takes_k: true,
    load: |parts| TopK::load(parts, Ranking::Largest),
};

#[derive(Debug)]
pub(super) struct TopK {
    b_enc: Array1<f32>,
    k: usize,
    /// `‖W_dec,i‖`, if activations are rescaled by it.
    decoder_norms: Option<Array1<f32>>,
    ranking: Ranking,
}

/// The config's `k`, from 1 to the number of features.
pub(super) fn k_of(config: &SaeConfig) -> Result<usize> {
    config
        .k
        .filter(|k| (1..=config.d_sae).contains(k))
        .ok_or_else(|| {
            let found = config.k.map_or("no `k`".to_owned(), |k| format!("k = {k}"));
            Fault::usage(format!("loading a {} SAE", config.architecture), found)
                .expected(format!("`k` from 1 to d_sae = {}", config.d_sae))
        })
}

impl TopK {
    pub(super) fn load(parts: &mut Parts, ranking: Ranking) -> Result<Box<dyn Encoder>> {
        let config = &parts.config;
        let k = k_of(config)?;
        let norms = parts.decoder_norms();
        if config.rescale_acts_by_decoder_norm
            && let Some(feature) = norms.iter().position(|norm| *norm == 0.0)
        {
            return Err(Fault::usage(
                format!("loading a {} SAE", config.architecture),
                format!("`W_dec` of feature {feature} is zero"),
            )
            .expected("a positive norm, as `rescale_acts_by_decoder_norm` divides by it"));
        }
        Ok(Box::new(Self {
            k,
            decoder_norms: config.rescale_acts_by_decoder_norm.then_some(norms),
            b_enc: parts.own.take("b_enc")?,
            ranking,
        }))
    }

    /// Ties go to the lower index.
    fn keep_largest(&self, mut row: ArrayViewMut1<f32>) {
        let key: fn(f32) -> f32 = match self.ranking {
            Ranking::Largest => |value| value,
            Ranking::Magnitude => f32::abs,
        };
        let mut order: Vec<(usize, f32)> =
            row.iter().map(|value| key(*value)).enumerate().collect();
        let by_rank = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if self.k < order.len() {
            order.select_nth_unstable_by(self.k, by_rank);
            for (index, _) in order.iter().skip(self.k) {
                if let Some(value) = row.get_mut(*index) {
                    *value = 0.0;
                }
            }
        }
        if self.ranking == Ranking::Largest {
            row.mapv_inplace(|value| value.max(0.0));
        }
    }
}

impl Encoder for TopK {
    fn activate(&self, hidden: Array2<f32>) -> Array2<f32> {
        let mut acts = hidden + &self.b_enc;
        if let Some(norms) = &self.decoder_norms {
            acts *= norms;
        }
        for row in acts.rows_mut() {
            self.keep_largest(row);
        }
        acts
    }

    fn part(&self, features: &[usize]) -> Result<Part> {
        let mut bias = self.b_enc.clone();
        if let Some(norms) = &self.decoder_norms {
            bias *= norms;
        }
        Ok(Part {
            scale: self.decoder_norms.clone(),
            bias,
            activation: Activation::TopK(instrument::TopK {
                k: self.k,
                ranking: self.ranking,
                columns: features.to_vec(),
            }),
        })
    }

    fn competes(&self) -> bool {
        true
    }

    fn decoder_scale(&self) -> Option<Array1<f32>> {
        self.decoder_norms
            .as_ref()
            .map(|norms| norms.mapv(f32::recip))
    }

    fn tensors(&self) -> Vec<(&'static str, &Array1<f32>)> {
        vec![("b_enc", &self.b_enc)]
    }
}
