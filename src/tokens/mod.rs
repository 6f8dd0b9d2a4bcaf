//! Room: tokens.
