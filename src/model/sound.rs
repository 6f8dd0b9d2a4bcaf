//! What every message of a model must keep to, wherever it stands, so that nobody reads it in two ways.

use std::collections::HashSet;

use super::messages;
use super::onnx::{ModelProto, TensorProto, ValueInfoProto};
use super::tensor;
use crate::fault::{Fault, Result};

/// How many values one stored number may hold: two bits each in an `int32`.
const PACKED: usize = 16;
/// Longer names are no names; the longest that exporters write have some hundred bytes.
const LONGEST: usize = 1 << 16;

/// Checks names, attributes and tensors; external ones are checked against their files elsewhere.
///
/// # Errors
/// A name holds control characters or is very long; a node has two attributes of one name; a tensor's dimensions are negative or their product does not fit; its raw
/// data does not have the length that type and dimensions ask for, or its typed fields hold far too little.
pub(super) fn check(proto: &ModelProto, doing: &str) -> Result<()> {
    for name in names(proto) {
        let found = if name.len() > LONGEST {
            format!("a name of {} bytes", name.len())
        } else if name.chars().any(char::is_control) {
            format!("the name `{}`", name.escape_debug())
        } else {
            continue;
        };
        return Err(Fault::usage(doing, found)
            .expected(format!(
                "names of at most {LONGEST} bytes and without control characters, which a terminal would obey"
            ))
            .hint("no exporter writes such a file: do not trust it"));
    }
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
        let held = tensor::typed(one);
        let count = tensor::dims(one).map_or(0, |(_, count)| count);
        let inside = one.raw_data.is_none() && !tensor::is_external(one);
        if inside && count > held.saturating_mul(PACKED) {
            return Err(refused(format!("holds {held} values")).expected(format!(
                "values for dimensions {}",
                tensor::listed(&one.dims)
            )));
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

/// Names of nodes, operators, attributes, tensors, inputs and outputs, which messages and pages show.
fn names(proto: &ModelProto) -> impl Iterator<Item = &str> {
    let nodes = messages::nodes(proto).into_iter().flat_map(|node| {
        let own = [node.name(), node.op_type(), node.domain(), node.overload()];
        let values = node.input.iter().chain(&node.output).map(String::as_str);
        let attributes = node.attribute.iter();
        let attributes = attributes.flat_map(|one| [one.name(), one.ref_attr_name()]);
        own.into_iter().chain(values).chain(attributes)
    });
    let tensors = messages::tensors(proto).into_iter().map(TensorProto::name);
    let graph = proto.graph.iter();
    let values = graph.flat_map(|graph| {
        graph
            .input
            .iter()
            .chain(&graph.output)
            .chain(&graph.value_info)
    });
    let values = values.map(ValueInfoProto::name);
    let functions = proto.functions.iter().flat_map(|function| {
        let own = [function.name(), function.domain(), function.overload()];
        let values = function.input.iter().chain(&function.output);
        own.into_iter().chain(values.map(String::as_str))
    });
    nodes.chain(tensors).chain(values).chain(functions)
}
