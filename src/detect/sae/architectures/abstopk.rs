//! Top-k by magnitude with the signs kept, so that a feature can fire both ways (arXiv 2510.00404).

use super::Architecture;
use super::topk::{Ranking, TopK};

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "abstopk",
    load: |config, tensors, w_dec| {
        let by_magnitude = Ranking {
            key: f32::abs,
            kept: |value| value,
        };
        TopK::load(config, tensors, w_dec, by_magnitude)
    },
};
