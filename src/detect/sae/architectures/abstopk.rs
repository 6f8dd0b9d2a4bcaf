//! Top-k by magnitude with the signs kept, so that a feature can fire both ways (arXiv 2510.00404).

use super::Architecture;
use super::topk::{self, TopK};
use crate::instrument::Ranking;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "abstopk",
    load: |parts| TopK::load(parts, Ranking::Magnitude),
    ..topk::ARCHITECTURE
};
