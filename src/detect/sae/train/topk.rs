//! Top-k (Makhzani and Frey 2013; Gao et al. 2024, "Scaling and evaluating sparse autoencoders"): the ReLU of each row's `k`
//! largest pre-activations.

use super::entries::{Entries, Entry};
use super::rule::{Architecture, Inference, Rule};
use super::select::each_largest;
use super::{Parameters, Settings};

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "topk",
    summary: "the k largest pre-activations of each token (Gao et al. 2024)",
    rule: |settings| Box::new(TopK { k: settings.k }),
};

#[derive(Debug)]
struct TopK {
    k: usize,
}

impl Rule for TopK {
    fn look(
        &self,
        hidden: &[f32],
        _parameters: &Parameters,
        entries: &mut Entries,
        scratch: &mut Vec<f32>,
    ) {
        each_largest(hidden, self.k, scratch, |feature, value| {
            if value > 0.0 {
                entries.all.push(Entry::active(feature, value));
            }
        });
    }

    fn inference(&self, _settings: &Settings, _parameters: &Parameters) -> Inference {
        Inference::TopK(self.k)
    }
}
