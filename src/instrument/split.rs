//! Takes a fused `Skip…LayerNormalization` apart, so that its sum can be edited before it is normalised.

use super::build;
use super::editor::Editor;
use super::sites::SUM_OUTPUT;
use crate::fault::{Fault, Result};
use crate::model::onnx::tensor_proto::DataType;
use crate::model::onnx::{AttributeProto, NodeProto};

/// Whether the node is one of ONNX Runtime's fused operators that normalise the sum of two inputs.
pub(super) fn is_skip_norm(node: &NodeProto) -> bool {
    node.domain() == "com.microsoft"
        && matches!(
            node.op_type(),
            "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization"
        )
}

/// Replaces node `index` by `input + skip (+ bias)`, whose value gets the name `raw`, and returns the plain norm of
/// the tensor `sum`, to be added behind whatever computes `sum` from `raw`.
///
/// The additions are in the order of ONNX Runtime's kernel, so that the sum has the same bits.
///
/// # Errors
/// Usage: the node's optional statistics are in use, which the plain norm does not give, or an input is missing.
pub(super) fn split(
    editor: &mut Editor,
    index: usize,
    raw: &str,
    sum: &str,
) -> Result<Option<NodeProto>> {
    let broken = || {
        Fault::usage(
            "splitting a fused norm",
            format!("node {index} without its inputs"),
        )
    };
    let node = editor.graph.node.get(index).cloned().ok_or_else(broken)?;
    let statistics = node.output.iter().take(SUM_OUTPUT).skip(1);
    if let Some(read) = statistics
        .filter(|name| !name.is_empty())
        .find(|name| editor.reads(name))
    {
        return Err(Fault::usage(
            format!("taking the fused norm before `{sum}` apart"),
            format!("its statistics `{read}` are read elsewhere in the graph"),
        )
        .expected("a graph for inference, which uses the sum and the normalised value only"));
    }
    let input = |at: usize| {
        node.input
            .get(at)
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    };
    let (Some(stream), Some(skip), Some(gamma)) = (input(0), input(1), input(2)) else {
        return Err(broken());
    };
    let simplified = node.op_type() == "SkipSimplifiedLayerNormalization";
    let (beta, bias) = if simplified {
        (None, input(3))
    } else {
        (input(3), input(4))
    };

    let first = if bias.is_some() {
        editor.fresh("candor.unbiased")
    } else {
        raw.to_owned()
    };
    let name = editor.fresh(&format!("{raw}/Add"));
    let addition = build::node(name, "Add", &[stream, skip], first.clone());
    if let Some(slot) = editor.graph.node.get_mut(index) {
        *slot = addition;
    }
    if let Some(bias) = bias {
        editor.compute_as(Some(index), "Add", &[&first, bias], raw.to_owned());
    }

    let Some(normalised) = node.output.first().filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let op = if simplified {
        "SimplifiedLayerNormalization"
    } else {
        "LayerNormalization"
    };
    let inputs: Vec<&str> = [sum, gamma].into_iter().chain(beta).collect();
    let mut norm = build::node(node.name().to_owned(), op, &inputs, normalised.clone());
    let epsilon = node
        .attribute
        .iter()
        .find(|attribute| attribute.name() == "epsilon");
    // The fused operators default to 1e-12, the plain ones to 1e-5.
    let epsilon = epsilon.map_or(1e-12, AttributeProto::f);
    norm.attribute = vec![
        build::float_attribute("epsilon", epsilon),
        build::int_attribute("axis", -1),
        build::int_attribute("stash_type", i64::from(i32::from(DataType::Float))),
    ];
    Ok(Some(norm))
}
