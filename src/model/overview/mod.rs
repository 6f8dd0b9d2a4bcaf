//! What a file holds, whether or not a residual stream is found in it: exporter, operators, inputs and outputs, weights.

mod weights;

use std::collections::{BTreeMap, HashSet};

use super::file::Model;
use super::onnx::{OperatorSetIdProto, TensorProto, ValueInfoProto};
use super::structure::described;

/// Facts of a file that need no understanding of its graph. Weights are not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Who wrote the file, as it says itself; empty where it does not.
    pub producer: String,
    /// Version of the file format.
    pub ir_version: Option<i64>,
    /// Operator sets by domain; ONNX's own is `ai.onnx`.
    pub opsets: Vec<(String, i64)>,
    /// Nodes of the graph, functions put in place.
    pub nodes: usize,
    /// Operators with their numbers, the most frequent first.
    pub operators: Vec<(String, usize)>,
    /// Those of them that join several of ONNX's basic ones, or are no part of ONNX.
    pub fused: Vec<(String, usize)>,
    /// Inputs without a default.
    pub inputs: Vec<Port>,
    /// Outputs.
    pub outputs: Vec<Port>,
    /// Weights by the way in which they are stored, the largest first.
    pub weights: Vec<Stored>,
}

/// An input or output as the graph states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Element type such as `float32`; empty where nothing is said, or where it is no tensor.
    pub element: String,
    /// Dimensions, `?` for those of which nothing is said; `None` without a shape.
    pub shape: Option<Vec<String>>,
}

/// Weights that are stored in one way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// Element type such as `float32` or `int4`.
    pub element: String,
    /// How they are quantised; `None` where they are used as they are.
    pub quantisation: Option<Quantisation>,
    /// Number of tensors, scales and zero points aside.
    pub tensors: usize,
    /// Numbers that they stand for.
    pub parameters: u64,
    /// Bytes, with scales and zero points.
    pub bytes: u64,
}

/// How quantised weights are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantisation {
    /// Blocks of so many numbers share a scale.
    Blocks(u64),
    /// Activations are quantised as they come (`MatMulInteger`).
    Dynamic,
    /// Weights pass `DequantizeLinear`.
    Dequantised,
    /// Products are of integers with fixed scales (`QLinearMatMul`).
    Static,
}

/// Operators of ONNX itself that stand for a whole module.
const JOINED: [&str; 4] = [
    "Attention",
    "RotaryEmbedding",
    "RMSNormalization",
    "SimplifiedLayerNormalization",
];

impl Overview {
    /// Looks at every node and the head of every weight.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        let (proto, graph) = (model.proto(), model.graph());
        let mut operators: BTreeMap<(bool, &str), usize> = BTreeMap::new();
        for node in &graph.node {
            let own = matches!(node.domain(), "" | "ai.onnx");
            let fused = !own || JOINED.contains(&node.op_type());
            *operators.entry((fused, node.op_type())).or_default() += 1;
        }
        let counted = |only_fused: bool| {
            let chosen = operators
                .iter()
                .filter(|((fused, _), _)| *fused || !only_fused);
            let mut all: Vec<(String, usize)> = chosen
                .map(|((_, op), count)| ((*op).to_owned(), *count))
                .collect();
            all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            all
        };
        let set = |set: &OperatorSetIdProto| {
            let domain = if set.domain().is_empty() {
                "ai.onnx"
            } else {
                set.domain()
            };
            (domain.to_owned(), set.version())
        };
        let defaults: HashSet<&str> = graph.initializer.iter().map(TensorProto::name).collect();
        let fed = |input: &&ValueInfoProto| !defaults.contains(input.name());
        Self {
            producer: [proto.producer_name(), proto.producer_version()]
                .join(" ")
                .trim()
                .to_owned(),
            ir_version: proto.ir_version,
            opsets: proto.opset_import.iter().map(set).collect(),
            nodes: graph.node.len(),
            operators: counted(false),
            fused: counted(true),
            inputs: graph.input.iter().filter(fed).map(port).collect(),
            outputs: graph.output.iter().map(port).collect(),
            weights: weights::stored(proto),
        }
    }

    /// Numbers that all weights stand for.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.weights
            .iter()
            .fold(0, |sum, stored| sum.saturating_add(stored.parameters))
    }
}

fn port(info: &ValueInfoProto) -> Port {
    let (kind, shape) = described(info);
    Port {
        name: info.name().to_owned(),
        element: kind.map_or_else(String::new, weights::element),
        shape,
    }
}
