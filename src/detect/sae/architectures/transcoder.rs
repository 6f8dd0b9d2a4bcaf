//! Transcoders: the encoder of another architecture, whose features write to another site (Dunefsky et al. 2024), and
//! optionally `x·W_skipᵀ` beside them (Paulo et al. 2025, arXiv 2501.18823).

use super::{Architecture, Target};

/// A transcoder with the encoder of another architecture.
pub(super) const fn of(name: &'static str, mut encoder: Architecture) -> Architecture {
    encoder.name = name;
    encoder.target = Target::Other { skip: false };
    encoder
}

/// The same with a skip connection.
pub(super) const fn with_skip(name: &'static str, encoder: Architecture) -> Architecture {
    let mut architecture = of(name, encoder);
    architecture.target = Target::Other { skip: true };
    architecture
}
