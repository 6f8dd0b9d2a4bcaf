//! Every tensor and every node of a model, those of subgraphs and functions too, without recursion.

use super::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto,
};

/// Every node, in no particular order.
pub(super) fn nodes(proto: &ModelProto) -> Vec<&NodeProto> {
    let functions = proto.functions.iter().flat_map(|function| &function.node);
    of_nodes(graphs(proto).flat_map(|graph| &graph.node).chain(functions))
}

/// The given nodes, and those of their subgraphs.
pub(super) fn of_nodes<'p>(nodes: impl IntoIterator<Item = &'p NodeProto>) -> Vec<&'p NodeProto> {
    let mut open: Vec<&NodeProto> = nodes.into_iter().collect();
    let mut all = Vec::new();
    while let Some(node) = open.pop() {
        all.push(node);
        open.extend(
            node.attribute
                .iter()
                .flat_map(subgraphs)
                .flat_map(|graph| &graph.node),
        );
    }
    all
}

/// Every tensor message: initialisers and attributes.
pub(super) fn tensors(proto: &ModelProto) -> Vec<&TensorProto> {
    let mut open: Vec<&GraphProto> = graphs(proto).collect();
    let mut all = Vec::new();
    let mut attributes: Vec<&AttributeProto> = Vec::new();
    for function in &proto.functions {
        attributes.extend(&function.attribute_proto);
        attributes.extend(function.node.iter().flat_map(|node| &node.attribute));
    }
    loop {
        if let Some(attribute) = attributes.pop() {
            all.extend(attribute.t.as_deref().into_iter().chain(&attribute.tensors));
            let sparse = attribute.sparse_tensor.as_deref().into_iter();
            all.extend(sparse.chain(&attribute.sparse_tensors).flat_map(dense));
            open.extend(subgraphs(attribute));
        } else if let Some(graph) = open.pop() {
            all.extend(&graph.initializer);
            all.extend(graph.sparse_initializer.iter().flat_map(dense));
            attributes.extend(graph.node.iter().flat_map(|node| &node.attribute));
        } else {
            return all;
        }
    }
}

/// [`tensors`] that may be changed.
pub(super) fn tensors_mut(proto: &mut ModelProto) -> Vec<&mut TensorProto> {
    let mut open: Vec<&mut GraphProto> = proto.graph.iter_mut().collect();
    for training in &mut proto.training_info {
        open.extend(training.initialization.iter_mut());
        open.extend(training.algorithm.iter_mut());
    }
    let mut all = Vec::new();
    let mut attributes: Vec<&mut AttributeProto> = Vec::new();
    for function in &mut proto.functions {
        attributes.extend(&mut function.attribute_proto);
        attributes.extend(
            function
                .node
                .iter_mut()
                .flat_map(|node| &mut node.attribute),
        );
    }
    loop {
        if let Some(attribute) = attributes.pop() {
            all.extend(attribute.t.as_deref_mut());
            all.extend(&mut attribute.tensors);
            let sparse = attribute.sparse_tensor.as_deref_mut().into_iter();
            all.extend(
                sparse
                    .chain(&mut attribute.sparse_tensors)
                    .flat_map(dense_mut),
            );
            open.extend(attribute.g.as_deref_mut());
            open.extend(&mut attribute.graphs);
        } else if let Some(graph) = open.pop() {
            all.extend(&mut graph.initializer);
            all.extend(graph.sparse_initializer.iter_mut().flat_map(dense_mut));
            attributes.extend(graph.node.iter_mut().flat_map(|node| &mut node.attribute));
        } else {
            return all;
        }
    }
}

/// The graphs that an attribute holds.
pub(super) fn subgraphs(attribute: &AttributeProto) -> impl Iterator<Item = &GraphProto> {
    attribute.g.as_deref().into_iter().chain(&attribute.graphs)
}

fn graphs(proto: &ModelProto) -> impl Iterator<Item = &GraphProto> {
    let training = proto.training_info.iter();
    let training = training.flat_map(|info| info.initialization.iter().chain(&info.algorithm));
    proto.graph.iter().chain(training)
}

fn dense(sparse: &SparseTensorProto) -> impl Iterator<Item = &TensorProto> {
    sparse.values.iter().chain(&sparse.indices)
}

fn dense_mut(sparse: &mut SparseTensorProto) -> impl Iterator<Item = &mut TensorProto> {
    sparse.values.iter_mut().chain(&mut sparse.indices)
}
