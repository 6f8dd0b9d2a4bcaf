//! What an added output does to the model's own: measured on fixed tokens.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{Array2, ArrayD};

use crate::fault::{Fault, Result};
use crate::model::{Architecture, Model, encode};
use crate::run::{Feed, Runtime, Session};

/// Tokens that are read.
const TOKENS: usize = 12;

/// How far the outputs of two graphs are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Outputs that were compared, of how many the model has.
    pub compared: usize,
    /// Outputs of the model.
    pub outputs: usize,
    /// The largest absolute difference.
    pub absolute: f32,
    /// The largest difference relative to the largest value of its output.
    pub relative: f32,
    /// Tokens that were read.
    pub tokens: usize,
}

/// Runs the model as it is, and then `bytes`, which put out more, over the same external data, on tokens spread over the
/// vocabulary.
///
/// # Errors
/// A graph is refused, or a run fails.
pub fn drift(runtime: &Runtime, model: &Model, arch: &Architecture, bytes: &[u8]) -> Result<Drift> {
    let plain = encode(model.proto());
    let graph = model.graph().output.iter();
    let all: Vec<&str> = graph
        .map(crate::model::onnx::ValueInfoProto::name)
        .collect();
    // One graph after the other, since each holds the weights.
    let before = outputs(runtime, &plain, model.folder(), arch, &all)?;
    let names: Vec<&str> = before.keys().map(String::as_str).collect();
    let after = outputs(runtime, bytes, model.folder(), arch, &names)?;
    let mut drift = Drift {
        compared: before.len(),
        outputs: all.len(),
        absolute: 0.0,
        relative: 0.0,
        tokens: TOKENS,
    };
    for (name, before) in &before {
        let after = after
            .get(name)
            .filter(|after| after.shape() == before.shape());
        let after = after.ok_or_else(|| {
            Fault::failed(
                "comparing the model's own outputs",
                format!("`{name}` of another shape"),
            )
        })?;
        let largest = before.iter().filter(|value| value.is_finite());
        let largest = largest.fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
        for (a, b) in before.iter().zip(after) {
            // Infinities that are masked in are equal, and their difference would be NaN.
            if a.to_bits() != b.to_bits() {
                // Between an infinity and a number lies one, and a NaN is as far.
                let off = (a - b).abs();
                let off = if off.is_nan() { f32::INFINITY } else { off };
                drift.absolute = drift.absolute.max(off);
                drift.relative = drift.relative.max(off / largest);
            }
        }
    }
    Ok(drift)
}

/// All of the outputs, or the logits alone where one cannot be read as numbers by token.
fn outputs(
    runtime: &Runtime,
    bytes: &[u8],
    folder: &Path,
    arch: &Architecture,
    names: &[&str],
) -> Result<BTreeMap<String, ArrayD<f32>>> {
    let session = Session::open(runtime, bytes, folder, arch)?;
    let vocab = arch.vocab_size.max(1);
    let spread = |token: usize| vocab * (2 * token + 1) / (2 * TOKENS);
    let ids = Array2::from_shape_fn((1, TOKENS), |(_, token)| {
        i64::try_from(spread(token).min(vocab - 1)).unwrap_or(0)
    });
    let feed = Feed::unpadded(ids);
    session
        .run(&feed, names)
        .or_else(|_| session.run(&feed, &[&arch.logits]))
}
