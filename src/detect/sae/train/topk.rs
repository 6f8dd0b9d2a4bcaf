//! Top-k (Makhzani and Frey 2013; Gao et al. 2024, "Scaling and evaluating sparse autoencoders"): the ReLU of each row's `k`
//! largest pre-activations.

use super::entries::{Entries, Entry};
use super::rule::{Architecture, Inference, Rule};
use super::select::kth_largest;
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
        let bar = kth_largest(hidden, self.k, scratch);
        let above = hidden.iter().filter(|value| **value > bar).count();
        // Of equals the lowest feature is taken.
        let mut equals = self.k.saturating_sub(above);
        for (feature, &value) in (0_u32..).zip(hidden) {
            if value < bar || value <= 0.0 {
                continue;
            }
            if value == bar {
                if equals == 0 {
                    continue;
                }
                equals -= 1;
            }
            entries.all.push(Entry {
                feature,
                hidden: value,
                act: value,
            });
        }
    }

    fn inference(&self, _settings: &Settings, _parameters: &Parameters) -> Inference {
        Inference::TopK(self.k)
    }
}
