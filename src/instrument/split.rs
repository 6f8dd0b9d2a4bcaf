//! Takes the sum out of a fused `Skip…LayerNormalization`, so that it can be edited before it is normalised.

use super::build;
use super::editor::Editor;
use super::sites::SUM_OUTPUT;
use crate::fault::{Fault, Result};
use crate::model::onnx::NodeProto;
use crate::model::{Role, role};

/// Whether the node is one of ONNX Runtime's fused operators that normalise the sum of two inputs.
pub(super) fn is_skip_norm(node: &NodeProto) -> bool {
    node.domain() == "com.microsoft" && bias_input(node.op_type()).is_some()
}

/// The slot of the optional bias that is added to the sum.
fn bias_input(op_type: &str) -> Option<usize> {
    match role(op_type) {
        Some(Role::SkipNorm { bias, .. }) => Some(bias),
        _ => None,
    }
}

/// Replaces node `index` by `stream + skip (+ bias)`, in the order of ONNX Runtime's kernel and under the name `raw`.
/// Returns the fused norm of `sum + 0`, in nodes to be added behind whatever computes `sum` from `raw`.
///
/// The norm stays fused because its kernel rounds differently from the plain norm's: the difference is some 1e-6, but
/// where the next product quantises its activations it can move the logits by 1e-2.
///
/// # Errors
/// Usage: an input of the node is missing.
pub(super) fn split(
    editor: &mut Editor,
    index: usize,
    raw: &str,
    sum: &str,
) -> Result<Vec<NodeProto>> {
    let broken = || {
        Fault::usage(
            format!("taking `{sum}` out of its fused norm"),
            format!("node {index} without its inputs"),
        )
    };
    let mut norm = editor.graph.node.get(index).cloned().ok_or_else(broken)?;
    let given = |name: &&mut String| !name.is_empty();
    let bias = bias_input(norm.op_type()).and_then(|at| norm.input.get_mut(at));
    let bias = bias.filter(given).map(std::mem::take);
    let [stream, skip, ..] = norm.input.as_mut_slice() else {
        return Err(broken());
    };
    let zero = editor.fresh("candor.zero");
    let stream = std::mem::replace(stream, sum.to_owned());
    let skip = std::mem::replace(skip, zero.clone());
    norm.output.truncate(SUM_OUTPUT);
    while norm.output.last().is_some_and(String::is_empty) {
        norm.output.pop();
    }

    let first = match bias {
        Some(_) => editor.fresh("candor.unbiased"),
        None => raw.to_owned(),
    };
    let name = editor.fresh(&format!("{raw}/Add"));
    if let Some(slot) = editor.graph.node.get_mut(index) {
        *slot = build::node(name, "Add", &[&stream, &skip], first.clone());
    }
    if let Some(bias) = bias {
        editor.compute_as(Some(index), "Add", &[&first, &bias], raw.to_owned());
    }
    let name = editor.fresh(&format!("{zero}/Sub"));
    Ok(vec![build::node(name, "Sub", &[sum, sum], zero), norm])
}
