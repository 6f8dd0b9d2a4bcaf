//! What every message of a model must keep to, wherever it stands, so that nobody reads it in two ways.

use std::collections::HashSet;

use super::messages;
use super::onnx::ModelProto;
use super::tensor;
use crate::fault::{Fault, Result};

/// Checks attributes and tensors; external ones are checked against their files elsewhere.
///
/// # Errors
/// A node has two attributes of one name; a tensor's dimensions are negative or their product does not fit; its raw
/// data does not have the length that type and dimensions ask for.
pub(super) fn check(proto: &ModelProto, doing: &str) -> Result<()> {
    for node in messages::nodes(proto) {
        let mut names = HashSet::new();
        let twice = node.attribute.iter().find(|one| !names.insert(one.name()));
        if let Some(twice) = twice {
            return Err(Fault::usage(
                doing,
                format!(
                    "a node {} (makes `{}`) with two attributes `{}`",
                    node.op_type(),
                    node.output.first().map_or("", String::as_str),
                    twice.name()
                ),
            )
            .expected("one value for each attribute: readers differ in which of two they take")
            .hint("no exporter writes such a file: do not trust it"));
        }
    }
    for one in messages::tensors(proto) {
        let refused = |found: String| {
            Fault::usage(doing, format!("the tensor `{}` {found}", one.name()))
                .hint("the model is damaged: export it again")
        };
        if tensor::dims(one).is_none() {
            return Err(
                refused(format!("has dimensions {}", tensor::listed(&one.dims)))
                    .expected("dimensions that are not negative and whose product fits 64 bits"),
            );
        }
        let raw = one.raw_data.as_ref().filter(|_| !tensor::is_external(one));
        if let (Some(raw), Some(needed)) = (raw, tensor::raw_len(one))
            && raw.len() != needed
        {
            return Err(
                refused(format!("holds {} bytes", raw.len())).expected(format!(
                    "{needed} bytes for dimensions {} of {}",
                    tensor::listed(&one.dims),
                    tensor::data_type(one).as_str_name()
                )),
            );
        }
    }
    Ok(())
}
