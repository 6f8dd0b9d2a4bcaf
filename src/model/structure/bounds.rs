//! Sizes that the graph only states must be backed by weights: later rooms set memory aside by them.

use super::super::architecture::{Architecture, InputRole};
use super::super::index::{GraphIndex, attribute};
use super::super::onnx::TensorProto;
use super::broken;
use crate::fault::Result;

/// How many values one stored number may hold: two bits each in an `int32`.
const PACKED: u64 = 16;
/// Elements of a row of a cache; the largest models have some hundred thousand.
const ROW: u64 = 1 << 28;

/// Holds every size of the architecture against the largest dimension of the graph's weights.
///
/// # Errors
/// A size is far larger than any weight, so that the graph states what it cannot compute.
pub(super) fn check(arch: &Architecture, index: &GraphIndex<'_>) -> Result<()> {
    let graph = index.graph();
    let constants = graph
        .node
        .iter()
        .filter_map(|node| attribute(node, "value"));
    let constants = constants.filter_map(|value| value.t.as_deref());
    let weights = graph.initializer.iter().chain(constants);
    let dims = weights.flat_map(|weight: &TensorProto| &weight.dims);
    let largest = dims.filter_map(|dim| u64::try_from(*dim).ok()).max();
    let largest = largest.unwrap_or(0).max(1);
    let allowed = largest.saturating_mul(PACKED);
    let absurd = |what: String, size: u64| {
        broken(
            format!("{what} of {size}, where no weight has a dimension above {largest}"),
            "sizes that the weights bear out",
        )
        .hint("the shapes that the graph states are wrong: export the model again")
    };
    let sizes = [
        ("a vocabulary", arch.vocab_size),
        ("a stream", arch.d_model),
    ];
    for (what, size) in sizes {
        if size as u64 > allowed {
            return Err(absurd(what.into(), size as u64));
        }
    }
    for input in &arch.inputs {
        if let InputRole::ScoreMask(mask) = &input.role
            && mask.heads as u64 > allowed
        {
            let what = format!("a mask `{}` with heads", input.name);
            return Err(absurd(what, mask.heads as u64));
        }
        let InputRole::PastKeyValue(dims) = &input.role else {
            continue;
        };
        let mut row = 1_u64;
        for size in dims.iter().flatten().map(|size| *size as u64) {
            row = row.saturating_mul(size.max(1));
            if size > allowed || row > ROW {
                return Err(absurd(format!("a cache `{}` with rows", input.name), row));
            }
        }
    }
    Ok(())
}
