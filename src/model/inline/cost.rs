//! Bytes of memory that copies of messages take. Raw tensor data is shared and costs nothing.

use std::mem::size_of_val;

use super::super::messages;
use super::super::onnx::{
    AttributeProto, FunctionProto, GraphProto, NodeProto, SparseTensorProto, TensorProto,
    ValueInfoProto, type_proto,
};
use crate::fault::{Fault, Result};

/// An allocation takes so much beside its bytes.
const HEAP: usize = 32;

/// What may still be taken.
pub(super) struct Budget<'d> {
    allowed: u64,
    left: u64,
    doing: &'d str,
}

impl<'d> Budget<'d> {
    pub(super) fn new(allowed: u64, doing: &'d str) -> Self {
        Self {
            allowed,
            left: allowed,
            doing,
        }
    }

    /// Takes `bytes`.
    ///
    /// # Errors
    /// There is not so much left.
    pub(super) fn take(&mut self, bytes: usize, place: String) -> Result<()> {
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.ok_or_else(|| {
            Fault::usage(
                self.doing,
                format!("functions that take more than {} bytes once they are in place, the last{place}", self.allowed),
            )
            .expected("functions that a file of this length may hold: 64 MiB and 64 times the file")
            .hint("no exporter writes such a file: do not trust it")
        })?;
        Ok(())
    }
}

/// A node without its attributes, counting that its names become longer.
pub(super) fn bare(node: &NodeProto) -> usize {
    const LONGER: usize = 64;
    let names = node.input.iter().chain(&node.output).chain(&node.name);
    // A name is kept among those that are taken as well.
    let names: usize = names.map(|name| 2 * (text(name) + LONGER)).sum();
    let others = [
        &node.op_type,
        &node.domain,
        &node.overload,
        &node.doc_string,
    ];
    let others: usize = others.into_iter().flatten().map(|name| text(name)).sum();
    size_of::<NodeProto>() + names + others + pairs(&node.metadata_props)
}

/// Inputs, outputs and attributes of a function, which every call looks at.
pub(super) fn signature(function: &FunctionProto) -> usize {
    let names = function.input.iter().chain(&function.output);
    names.map(|name| text(name)).sum::<usize>()
        + function.attribute_proto.iter().map(deep).sum::<usize>()
}

/// Inputs, outputs and initialisers of a graph.
pub(super) fn values(graph: &GraphProto) -> usize {
    let infos = graph
        .input
        .iter()
        .chain(&graph.output)
        .chain(&graph.value_info);
    size_of::<GraphProto>()
        + infos.map(value).sum::<usize>()
        + graph.initializer.iter().map(tensor).sum::<usize>()
        + graph.sparse_initializer.iter().map(sparse).sum::<usize>()
        + pairs(&graph.metadata_props)
        + graph.doc_string.as_deref().map_or(0, text)
}

/// Name, type and shape.
pub(super) fn value(info: &ValueInfoProto) -> usize {
    let shape = match info.r#type.as_ref().and_then(|kind| kind.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => tensor.shape.as_ref(),
        _ => None,
    };
    let dims = shape.map_or(0, |shape| {
        // A symbol's own length is at most what the file spends on it.
        shape
            .dim
            .iter()
            .map(|dim| size_of_val(dim) + prost::Message::encoded_len(dim))
            .sum()
    });
    size_of::<ValueInfoProto>() + text(info.name()) + dims + pairs(&info.metadata_props)
}

/// An attribute with all that lies in it.
pub(super) fn deep(attribute: &AttributeProto) -> usize {
    let mut all = 0_usize;
    let mut attributes = vec![attribute];
    while let Some(attribute) = attributes.pop() {
        all = all.saturating_add(shallow(attribute));
        for graph in messages::subgraphs(attribute) {
            all = all.saturating_add(values(graph));
            for node in &graph.node {
                all = all.saturating_add(bare(node));
                attributes.extend(&node.attribute);
            }
        }
    }
    all
}

fn shallow(attribute: &AttributeProto) -> usize {
    let tensors = attribute.t.as_deref().into_iter().chain(&attribute.tensors);
    let sparses = attribute.sparse_tensor.as_deref().into_iter();
    let sparses = sparses.chain(&attribute.sparse_tensors);
    let types = attribute
        .tp
        .as_deref()
        .into_iter()
        .chain(&attribute.type_protos);
    size_of::<AttributeProto>()
        + text(attribute.name())
        + attribute.doc_string.as_deref().map_or(0, text)
        + size_of_val(attribute.floats.as_slice())
        + size_of_val(attribute.ints.as_slice())
        + size_of_val(attribute.strings.as_slice())
        + tensors.map(tensor).sum::<usize>()
        + sparses.map(sparse).sum::<usize>()
        // A type is small in memory beside what the file spends on it, but for its nesting.
        + types.map(|kind| 64 * (1 + prost::Message::encoded_len(kind))).sum::<usize>()
}

fn tensor(tensor: &TensorProto) -> usize {
    size_of::<TensorProto>()
        + text(tensor.name())
        + tensor.doc_string.as_deref().map_or(0, text)
        + size_of_val(tensor.dims.as_slice())
        + size_of_val(tensor.float_data.as_slice())
        + size_of_val(tensor.int32_data.as_slice())
        + size_of_val(tensor.int64_data.as_slice())
        + size_of_val(tensor.double_data.as_slice())
        + size_of_val(tensor.uint64_data.as_slice())
        + size_of_val(tensor.string_data.as_slice())
        + pairs(&tensor.external_data)
        + pairs(&tensor.metadata_props)
}

fn sparse(one: &SparseTensorProto) -> usize {
    let parts = one.values.iter().chain(&one.indices);
    size_of::<SparseTensorProto>()
        + size_of_val(one.dims.as_slice())
        + parts.map(tensor).sum::<usize>()
}

fn pairs(entries: &[super::super::onnx::StringStringEntryProto]) -> usize {
    entries
        .iter()
        .map(|entry| size_of_val(entry) + text(entry.key()) + text(entry.value()))
        .sum()
}

fn text(text: &str) -> usize {
    size_of::<String>() + HEAP + text.len()
}
