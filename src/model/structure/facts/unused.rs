//! What the logits do not depend on.

use std::collections::HashSet;

use super::super::super::facts::Unused;
use super::super::super::onnx::tensor_proto::DataType;
use super::super::super::tensor;
use super::super::reach::Reach;
use super::super::{branch, linear};
use super::part::op;

/// Counts nodes and weights from which no path leads to `logits`. Shapes count as a path.
pub(super) fn count(reach: &Reach<'_, '_>, logits: &str) -> Unused {
    let index = reach.index;
    let mut used = HashSet::new();
    let mut read = HashSet::from([logits]);
    let mut open = vec![logits];
    while let Some(at) = open.pop() {
        let Some((node, _)) = index.producer(at) else {
            continue;
        };
        if used.insert(node) {
            open.extend(index.reads(node).filter(|name| read.insert(*name)));
        }
    }
    let nodes = index.order();
    let dead = || nodes.iter().copied().filter(|node| !used.contains(node));
    let is_product = |node: &usize| {
        branch::is_attention(op(reach, *node)) || linear::data(reach, *node).is_some()
    };
    let weights: Vec<_> = index
        .graph()
        .initializer
        .iter()
        .filter(|weight| is_weight(tensor::data_type(weight)))
        .collect();
    let idle = weights
        .iter()
        .filter(|weight| !read.contains(weight.name()));
    let sizes: Vec<u64> = idle
        .filter_map(|weight| u64::try_from(tensor::dims(weight)?.1).ok())
        .filter(|&count| count > 1)
        .collect();
    Unused {
        nodes: dead().count(),
        of_nodes: nodes.len(),
        weights: sizes.len(),
        of_weights: weights.len(),
        parameters: sizes
            .iter()
            .fold(0, |sum: u64, &count| sum.saturating_add(count)),
        products: dead().filter(is_product).count(),
    }
}

/// Whether tensors of that type hold weights, and not shapes or indices.
fn is_weight(kind: DataType) -> bool {
    !matches!(
        kind,
        DataType::Int64 | DataType::Int32 | DataType::Bool | DataType::String | DataType::Undefined
    )
}
