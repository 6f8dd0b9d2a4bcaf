//! What evidence means: rules as YAML, the signals they name, and the verdicts they reach.

mod verdict;

pub use verdict::{Severity, Verdict};
