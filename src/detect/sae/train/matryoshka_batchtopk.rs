//! Matryoshka batch-top-k (Bussmann et al. 2025, "Learning multi-level features with Matryoshka sparse autoencoders"): every
//! prefix of the dictionary reconstructs on its own, and the losses are added. How features compete is batch-top-k.

use super::batchtopk::BatchTopK;
use super::rule::Architecture;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "matryoshka_batchtopk",
    summary: "batch-top-k whose nested prefixes each reconstruct (Bussmann et al. 2025)",
    rule: |settings| Box::new(BatchTopK::new(settings)),
};
