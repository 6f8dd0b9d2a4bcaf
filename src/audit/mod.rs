//! Room: audit.
