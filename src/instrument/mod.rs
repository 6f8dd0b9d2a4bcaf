//! A plan of taps, detector heads and interventions becomes a new graph. Pure: graph in, graph out.

mod plan;

pub use plan::{Activation, ExtraInput, Head, Manifest, Plan, Write};

use std::path::PathBuf;

/// A rewritten model, ready for a session.
#[derive(Debug, Clone)]
pub struct Instrumented {
    /// The encoded ONNX model; external tensors still refer to files in `folder`.
    pub bytes: Vec<u8>,
    /// Where external data lies.
    pub folder: PathBuf,
    /// Where the additions are fed and read.
    pub manifest: Manifest,
}
