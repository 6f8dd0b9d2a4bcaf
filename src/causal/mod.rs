//! Room: causal.
