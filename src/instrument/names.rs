//! Names that do not collide with any in the graph or its subgraphs.

use std::collections::HashSet;

use crate::model::onnx::GraphProto;

/// Every name that a graph and its subgraphs use, for tensors and for nodes.
pub(super) struct Names(HashSet<String>);

impl Names {
    pub(super) fn of(graph: &GraphProto) -> Self {
        let mut taken = HashSet::new();
        collect(graph, &mut taken);
        Self(taken)
    }

    /// `wanted`, or `wanted.1`, `wanted.2`, … where it is taken; taken from now on.
    pub(super) fn fresh(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut suffix = 0_usize;
        while self.0.contains(&name) {
            suffix += 1;
            name = format!("{wanted}.{suffix}");
        }
        self.0.insert(name.clone());
        name
    }
}

/// The subgraphs (branches and loop bodies) that the nodes of a graph carry.
pub(super) fn subgraphs(graph: &GraphProto) -> impl Iterator<Item = &GraphProto> {
    graph
        .node
        .iter()
        .flat_map(|node| &node.attribute)
        .flat_map(|attribute| attribute.g.as_deref().into_iter().chain(&attribute.graphs))
}

fn collect(graph: &GraphProto, taken: &mut HashSet<String>) {
    let values = graph
        .input
        .iter()
        .chain(&graph.output)
        .chain(&graph.value_info);
    taken.extend(values.filter_map(|value| value.name.clone()));
    taken.extend(
        graph
            .initializer
            .iter()
            .filter_map(|tensor| tensor.name.clone()),
    );
    let sparse = graph
        .sparse_initializer
        .iter()
        .filter_map(|tensor| tensor.values.as_ref());
    taken.extend(sparse.filter_map(|tensor| tensor.name.clone()));
    for node in &graph.node {
        taken.extend(
            node.input
                .iter()
                .chain(&node.output)
                .chain(&node.name)
                .cloned(),
        );
    }
    for inner in subgraphs(graph) {
        collect(inner, taken);
    }
}

/// Whether a node of the graph, a subgraph or a declared output reads `name`.
pub(super) fn reads(graph: &GraphProto, name: &str) -> bool {
    graph.output.iter().any(|value| value.name() == name)
        || graph
            .node
            .iter()
            .any(|node| node.input.iter().any(|input| input == name))
        || subgraphs(graph).any(|inner| reads(inner, name))
}
