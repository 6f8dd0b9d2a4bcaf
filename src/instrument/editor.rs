//! A graph that is being edited: additions are collected behind the nodes whose values they read, so that the node
//! order stays topological, and put in place at the end.

use std::collections::{BTreeMap, HashMap};

use super::build;
use super::element::Elements;
use super::names::{Names, reads};
use crate::fault::{Fault, Result};
use crate::model::onnx::tensor_proto::DataType;
use crate::model::onnx::tensor_shape_proto::{Dimension, dimension};
use crate::model::onnx::{
    GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, type_proto,
};
use crate::model::{Architecture, InputRole, Layout};

/// Output `index` of node `node`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Producer {
    pub(super) node: usize,
    pub(super) output: usize,
}

/// Where additions go: behind that node, or (`None`) before all nodes.
pub(super) type Place = Option<usize>;

pub(super) struct Editor {
    model: ModelProto,
    pub(super) graph: GraphProto,
    pub(super) opset: i64,
    names: Names,
    elements: Elements,
    producers: HashMap<String, Producer>,
    added: BTreeMap<Place, Vec<NodeProto>>,
    integers: HashMap<Vec<i64>, String>,
    tokens: String,
    sizes: Option<String>,
    casts: HashMap<String, String>,
    batch: Dimension,
    sequence: Dimension,
}

impl Editor {
    /// # Errors
    /// Usage: the file has no graph or imports no default operator set.
    pub(super) fn new(proto: &ModelProto, arch: &Architecture) -> Result<Self> {
        let mut model = proto.clone();
        let graph = model
            .graph
            .take()
            .ok_or_else(|| Fault::usage("instrumenting the model", "a file without a graph"))?;
        let opset = default_opset(&model).ok_or_else(|| {
            Fault::usage(
                "instrumenting the model",
                "no version of the default operator set",
            )
            .expected("an `opset_import` entry for the domain `\"\"` or `ai.onnx`")
        })?;
        let mut producers = HashMap::new();
        for (node, made) in graph.node.iter().enumerate() {
            for (output, name) in made.output.iter().enumerate() {
                if !name.is_empty() {
                    producers.insert(name.clone(), Producer { node, output });
                }
            }
        }
        let [batch, sequence] = token_dimensions(&graph, arch);
        Ok(Self {
            opset,
            names: Names::of(&graph),
            elements: Elements::of(&graph),
            producers,
            added: BTreeMap::new(),
            integers: HashMap::new(),
            tokens: arch
                .inputs
                .iter()
                .find(|port| port.role == InputRole::TokenIds)
                .map_or_else(String::new, |port| port.name.clone()),
            sizes: None,
            casts: HashMap::new(),
            batch,
            sequence,
            model,
            graph,
        })
    }

    pub(super) fn finish(mut self) -> ModelProto {
        let mut nodes = self.added.remove(&None).unwrap_or_default();
        for (index, node) in std::mem::take(&mut self.graph.node).into_iter().enumerate() {
            nodes.push(node);
            nodes.extend(self.added.remove(&Some(index)).unwrap_or_default());
        }
        self.graph.node = nodes;
        self.model.graph = Some(self.graph);
        // Before version 4 of the format every initialiser had to be an input of the graph as well.
        self.model.ir_version = self.model.ir_version.map(|version| version.max(4));
        self.model
    }

    pub(super) fn fresh(&mut self, wanted: &str) -> String {
        self.names.fresh(wanted)
    }

    pub(super) fn producer(&self, tensor: &str) -> Option<Producer> {
        self.producers.get(tensor).copied()
    }

    pub(super) fn producing_node(&self, tensor: &str) -> Option<&NodeProto> {
        self.graph.node.get(self.producer(tensor)?.node)
    }

    /// Registers `tensor` as output `output` of `node`.
    pub(super) fn set_producer(&mut self, tensor: &str, producer: Producer) {
        self.producers.insert(tensor.to_owned(), producer);
    }

    /// Lets an added node that makes `tensor` make `other` instead; whether there is one.
    pub(super) fn rename_added(&mut self, place: Place, tensor: &str, other: &str) -> bool {
        let added = self.added.get_mut(&place).into_iter().flatten();
        let output = added
            .flat_map(|node| &mut node.output)
            .find(|output| *output == tensor);
        output.is_some_and(|output| {
            other.clone_into(output);
            true
        })
    }

    pub(super) fn reads(&self, tensor: &str) -> bool {
        reads(&self.graph, tensor)
    }

    /// Where a reader of `tensor` may stand at the earliest.
    pub(super) fn place(&self, tensor: &str) -> Place {
        self.producer(tensor).map(|producer| producer.node)
    }

    pub(super) fn element(&self, tensor: &str) -> Option<DataType> {
        let producer = |name: &str| self.producing_node(name);
        self.elements.find(tensor, producer)
    }

    pub(super) fn push(&mut self, place: Place, node: NodeProto) {
        self.added.entry(place).or_default().push(node);
    }

    /// Adds a node whose output is `output`, and returns that name.
    pub(super) fn compute_as(
        &mut self,
        place: Place,
        op: &str,
        inputs: &[&str],
        output: String,
    ) -> String {
        let name = self.fresh(&format!("{output}/{op}"));
        self.push(place, build::node(name, op, inputs, output.clone()));
        output
    }

    /// Adds a node and returns the fresh name of its output, made from `stem`.
    pub(super) fn compute(
        &mut self,
        place: Place,
        op: &str,
        inputs: &[&str],
        stem: &str,
    ) -> String {
        let output = self.fresh(stem);
        self.compute_as(place, op, inputs, output)
    }

    pub(super) fn cast_as(
        &mut self,
        place: Place,
        input: &str,
        to: DataType,
        output: String,
    ) -> String {
        let name = self.fresh(&format!("{output}/Cast"));
        let mut node = build::node(name, "Cast", &[input], output.clone());
        node.attribute
            .push(build::int_attribute("to", i64::from(i32::from(to))));
        self.push(place, node);
        output
    }

    pub(super) fn cast(&mut self, place: Place, input: &str, to: DataType, stem: &str) -> String {
        let output = self.fresh(stem);
        self.cast_as(place, input, to, output)
    }

    /// `tensor` in float32: itself where it is known to be, else one cast that all readers share.
    pub(super) fn as_float(&mut self, tensor: &str) -> String {
        if self.element(tensor) == Some(DataType::Float) {
            return tensor.to_owned();
        }
        if let Some(float) = self.casts.get(tensor) {
            return float.clone();
        }
        let place = self.place(tensor);
        let float = self.cast(place, tensor, DataType::Float, "candor.float");
        self.casts.insert(tensor.to_owned(), float.clone());
        float
    }

    /// Adds a concatenation of one-dimensional tensors.
    pub(super) fn concat(&mut self, place: Place, parts: &[&str], stem: &str) -> String {
        let output = self.fresh(stem);
        self.along(place, "Concat", 0, parts, output)
    }

    /// Adds a node that works along an axis and whose output is `output`; returns that name.
    pub(super) fn along(
        &mut self,
        place: Place,
        op: &str,
        axis: i64,
        inputs: &[&str],
        output: String,
    ) -> String {
        let name = self.fresh(&format!("{output}/{op}"));
        let mut node = build::node(name, op, inputs, output.clone());
        node.attribute.push(build::int_attribute("axis", axis));
        self.push(place, node);
        output
    }

    /// A float32 constant.
    pub(super) fn floats(
        &mut self,
        name: &str,
        dims: &[usize],
        values: impl Iterator<Item = f32>,
    ) -> String {
        let name = self.fresh(name);
        self.initializer(build::float_tensor(name.clone(), dims, values));
        name
    }

    pub(super) fn unsqueeze(
        &mut self,
        place: Place,
        input: &str,
        axes: &[i64],
        stem: &str,
    ) -> String {
        const AXES_AS_INPUT: i64 = 13;
        if self.opset >= AXES_AS_INPUT {
            let axes = self.integers(axes);
            return self.compute(place, "Unsqueeze", &[input, &axes], stem);
        }
        let output = self.fresh(stem);
        let name = self.fresh(&format!("{output}/Unsqueeze"));
        let mut node = build::node(name, "Unsqueeze", &[input], output.clone());
        node.attribute.push(build::ints_attribute("axes", axes));
        self.push(place, node);
        output
    }

    /// A constant list of integers, one for each list.
    pub(super) fn integers(&mut self, values: &[i64]) -> String {
        if let Some(name) = self.integers.get(values) {
            return name.clone();
        }
        let name = self.fresh("candor.integers");
        self.initializer(build::int_tensor(name.clone(), values));
        self.integers.insert(values.to_vec(), name.clone());
        name
    }

    /// The sizes of batch and sequence, as the token ids have them.
    pub(super) fn sizes(&mut self) -> String {
        if let Some(name) = &self.sizes {
            return name.clone();
        }
        let tokens = self.tokens.clone();
        let shape = self.compute(None, "Shape", &[&tokens], "candor.sizes");
        self.sizes = Some(shape.clone());
        shape
    }

    pub(super) fn initializer(&mut self, tensor: TensorProto) {
        self.graph.initializer.push(tensor);
    }

    pub(super) fn input(&mut self, value: ValueInfoProto) {
        self.graph.input.push(value);
    }

    /// Declares a float32 graph output.
    pub(super) fn output(&mut self, name: String, layout: Layout) {
        let dims = self.axes_of(layout);
        self.graph
            .output
            .push(build::value(name, DataType::Float, dims));
    }

    /// The axes of a layout, in the symbols of the model's own token input.
    pub(super) fn axes_of(&self, layout: Layout) -> Vec<Dimension> {
        let (batch, seq) = (self.batch.clone(), self.sequence.clone());
        match layout {
            Layout::Token { width } => vec![batch, seq, build::size(width)],
            Layout::Heads { heads, d_head } => {
                vec![batch, seq, build::size(heads), build::size(d_head)]
            }
            Layout::Pattern { heads } => {
                vec![batch, build::size(heads), seq, build::symbol("candor.key")]
            }
        }
    }

    /// `[batch]`, or `[batch, width]`.
    pub(super) fn per_row(&self, width: Option<usize>) -> Vec<Dimension> {
        let mut dims = vec![self.batch.clone()];
        dims.extend(width.map(build::size));
        dims
    }

    /// Declares that `copy` has the type and shape that the graph declares for `tensor`, if it does.
    pub(super) fn declare_like(&mut self, copy: &str, tensor: &str) {
        let values = self.graph.value_info.iter().chain(&self.graph.output);
        let declared = values
            .into_iter()
            .find(|value| value.name() == tensor)
            .cloned();
        if let Some(mut value) = declared {
            value.name = Some(copy.to_owned());
            self.graph.value_info.push(value);
        }
    }
}

fn default_opset(model: &ModelProto) -> Option<i64> {
    let is_default = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let import = model
        .opset_import
        .iter()
        .find(|import| is_default(import.domain()))?;
    import.version
}

/// Batch and length as the token input declares them; ONNX Runtime plans buffers by these symbols, so the additions
/// must speak of the same ones.
fn token_dimensions(graph: &GraphProto, arch: &Architecture) -> [Dimension; 2] {
    let tokens = arch
        .inputs
        .iter()
        .find(|port| port.role == InputRole::TokenIds);
    let input = tokens.and_then(|port| graph.input.iter().find(|input| input.name() == port.name));
    let dims: &[Dimension] = match input.and_then(|value| value.r#type.as_ref()?.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => {
            tensor.shape.as_ref().map_or(&[], |shape| &shape.dim)
        }
        _ => &[],
    };
    let declared = |axis: usize, otherwise: &str| {
        let known = |dim: &&Dimension| {
            !matches!(&dim.value, None | Some(dimension::Value::DimParam(_)))
                || matches!(&dim.value, Some(dimension::Value::DimParam(name)) if !name.is_empty())
        };
        dims.get(axis)
            .filter(known)
            .cloned()
            .unwrap_or_else(|| build::symbol(otherwise))
    };
    [declared(0, "candor.batch"), declared(1, "candor.seq")]
}
