//! Who makes and who reads each tensor of a graph. Hostile graphs end here: later rooms can follow edges without fear.

use std::collections::{HashMap, HashSet, VecDeque};

use super::onnx::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use super::tensor;
use crate::fault::{Fault, Result};

/// How many identities and casts may lie before a constant.
const FAR: usize = 64;
const DOING: &str = "indexing the graph";

/// A graph's edges, looked up by the tensor's name. Every name that a node reads exists, every tensor has one producer,
/// and there are no cycles.
#[derive(Debug, Clone)]
pub struct GraphIndex<'g> {
    graph: &'g GraphProto,
    producers: HashMap<&'g str, (usize, usize)>,
    consumers: HashMap<&'g str, Vec<(usize, usize)>>,
    captured: HashMap<usize, Vec<&'g str>>,
    initializers: HashMap<&'g str, &'g TensorProto>,
    inputs: HashMap<&'g str, &'g ValueInfoProto>,
    infos: HashMap<&'g str, &'g ValueInfoProto>,
    order: Vec<usize>,
    rank: Vec<usize>,
}

impl<'g> GraphIndex<'g> {
    /// Indexes a graph.
    ///
    /// # Errors
    /// A tensor has two producers, a node or output names a tensor that nothing makes, or the nodes form a cycle.
    pub fn new(graph: &'g GraphProto) -> Result<Self> {
        let mut index = Self {
            graph,
            producers: HashMap::new(),
            consumers: HashMap::new(),
            captured: HashMap::new(),
            initializers: HashMap::new(),
            inputs: HashMap::new(),
            infos: HashMap::new(),
            order: Vec::new(),
            rank: Vec::new(),
        };
        index.take_names()?;
        index.take_edges()?;
        index.sort()?;
        Ok(index)
    }

    fn take_names(&mut self) -> Result<()> {
        let graph = self.graph;
        for input in &graph.input {
            if self.inputs.insert(input.name(), input).is_some() {
                return Err(twice(input.name(), "two graph inputs"));
            }
        }
        let sparse = graph.sparse_initializer.iter();
        for tensor in graph
            .initializer
            .iter()
            .chain(sparse.filter_map(|sparse| sparse.values.as_ref()))
        {
            if self.initializers.insert(tensor.name(), tensor).is_some() {
                return Err(twice(tensor.name(), "two initialisers"));
            }
        }
        for (node, message) in graph.node.iter().enumerate() {
            for (slot, output) in message.output.iter().enumerate() {
                if output.is_empty() {
                    continue;
                }
                if let Some((other, _)) = self.producers.insert(output, (node, slot)) {
                    return Err(twice(
                        output,
                        &format!(
                            "the nodes {} and {}",
                            describe(graph, other),
                            describe(graph, node)
                        ),
                    ));
                }
                if self.inputs.contains_key(output.as_str())
                    || self.initializers.contains_key(output.as_str())
                {
                    return Err(twice(
                        output,
                        &format!(
                            "the node {} and a graph input or initialiser",
                            describe(graph, node)
                        ),
                    ));
                }
            }
        }
        for info in graph
            .value_info
            .iter()
            .chain(&graph.output)
            .chain(&graph.input)
        {
            self.infos.insert(info.name(), info);
        }
        Ok(())
    }

    fn take_edges(&mut self) -> Result<()> {
        let graph = self.graph;
        for (node, message) in graph.node.iter().enumerate() {
            for (slot, input) in message.input.iter().enumerate() {
                if input.is_empty() {
                    continue;
                }
                if !self.exists(input) {
                    return Err(Fault::usage(
                        DOING,
                        format!(
                            "the node {} reads `{input}`, which nothing makes",
                            describe(graph, node)
                        ),
                    )
                    .expected("a graph input, an initialiser or another node's output")
                    .hint("the model is damaged: export it again"));
                }
                self.consumers.entry(input).or_default().push((node, slot));
            }
            let mut captured: Vec<&str> = names_in_subgraphs(message)
                .into_iter()
                .filter(|name| self.exists(name))
                .collect();
            if !captured.is_empty() {
                captured.sort_unstable();
                captured.dedup();
                self.captured.insert(node, captured);
            }
        }
        for output in &graph.output {
            if !self.exists(output.name()) {
                return Err(Fault::usage(
                    DOING,
                    format!(
                        "the graph puts out `{}`, which nothing makes",
                        output.name()
                    ),
                )
                .expected("a node's output")
                .hint("the model is damaged: export it again"));
            }
        }
        Ok(())
    }

    /// Kahn's algorithm; files are mostly sorted already, and then the file's order stays.
    fn sort(&mut self) -> Result<()> {
        let count = self.graph.node.len();
        let mut waiting = vec![0_usize; count];
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut sorted = true;
        for (node, wait) in waiting.iter_mut().enumerate() {
            let sources: HashSet<usize> = self
                .reads(node)
                .filter_map(|name| self.producer(name))
                .map(|(source, _)| source)
                .collect();
            *wait = sources.len();
            for source in sources {
                sorted &= source < node;
                if let Some(list) = readers.get_mut(source) {
                    list.push(node);
                }
            }
        }
        if sorted {
            self.order = (0..count).collect();
        } else {
            let mut ready: VecDeque<usize> =
                (0..count).filter(|&n| waiting.get(n) == Some(&0)).collect();
            while let Some(node) = ready.pop_front() {
                self.order.push(node);
                for &reader in readers.get(node).into_iter().flatten() {
                    if let Some(wait) = waiting.get_mut(reader) {
                        *wait -= 1;
                        if *wait == 0 {
                            ready.push_back(reader);
                        }
                    }
                }
            }
        }
        if self.order.len() < count {
            let stuck = waiting.iter().position(|&wait| wait > 0).unwrap_or(0);
            return Err(Fault::usage(
                DOING,
                format!(
                    "a cycle through or before the node {}",
                    describe(self.graph, stuck)
                ),
            )
            .expected("a graph without cycles")
            .hint("the model is damaged: export it again"));
        }
        self.rank = vec![0; count];
        for (position, &node) in self.order.iter().enumerate() {
            if let Some(rank) = self.rank.get_mut(node) {
                *rank = position;
            }
        }
        Ok(())
    }

    /// The graph that was indexed.
    #[must_use]
    pub fn graph(&self) -> &'g GraphProto {
        self.graph
    }

    /// The node with that index in `graph.node`.
    #[must_use]
    pub fn node(&self, node: usize) -> Option<&'g NodeProto> {
        self.graph.node.get(node)
    }

    /// The node that makes a tensor and the output slot that it leaves by.
    #[must_use]
    pub fn producer(&self, tensor: &str) -> Option<(usize, usize)> {
        self.producers.get(tensor).copied()
    }

    /// The nodes that read a tensor, each with the input slot. Reads from within subgraphs are in [`Self::captures`].
    #[must_use]
    pub fn consumers(&self, tensor: &str) -> &[(usize, usize)] {
        self.consumers.get(tensor).map_or(&[], Vec::as_slice)
    }

    /// Tensors of this graph that the node's subgraphs (`If`, `Loop`, `Scan`) read.
    #[must_use]
    pub fn captures(&self, node: usize) -> &[&'g str] {
        self.captured.get(&node).map_or(&[], Vec::as_slice)
    }

    /// Every tensor that a node reads, its subgraphs' too.
    pub fn reads(&self, node: usize) -> impl Iterator<Item = &'g str> + '_ {
        let direct = self.node(node).map_or(&[][..], |message| &message.input);
        direct
            .iter()
            .map(String::as_str)
            .filter(|name| !name.is_empty())
            .chain(self.captures(node).iter().copied())
    }

    /// The initialiser of that name.
    #[must_use]
    pub fn initializer(&self, tensor: &str) -> Option<&'g TensorProto> {
        self.initializers.get(tensor).copied()
    }

    /// The graph input of that name, unless an initialiser gives it a default.
    #[must_use]
    pub fn input(&self, tensor: &str) -> Option<&'g ValueInfoProto> {
        self.inputs
            .get(tensor)
            .copied()
            .filter(|_| self.initializer(tensor).is_none())
    }

    /// Graph inputs without a default, in the file's order.
    pub fn inputs(&self) -> impl Iterator<Item = &'g ValueInfoProto> + '_ {
        self.graph
            .input
            .iter()
            .filter(|input| self.initializer(input.name()).is_none())
    }

    /// Type and shape as the graph states them for an input, output or intermediate tensor.
    #[must_use]
    pub fn info(&self, tensor: &str) -> Option<&'g ValueInfoProto> {
        self.infos.get(tensor).copied()
    }

    /// The value of a constant: an initialiser, or a `Constant` node, through `Identity` and `Cast`.
    ///
    /// A cast's own target type is not applied: read the values as the tensor returned holds them.
    #[must_use]
    pub fn constant(&self, tensor: &str) -> Option<&'g TensorProto> {
        let mut at = tensor;
        for _ in 0..FAR {
            if let Some(found) = self.initializer(at) {
                return Some(found);
            }
            let node = self.node(self.producer(at)?.0)?;
            match node.op_type() {
                "Identity" | "Cast" => at = node.input.first()?,
                "Constant" => {
                    return attribute(node, "value").and_then(|value| value.t.as_deref());
                }
                _ => return None,
            }
        }
        None
    }

    /// Integers of a constant, `Constant` nodes with `value_int` and `value_ints` too.
    #[must_use]
    pub fn integers(&self, tensor: &str) -> Option<Vec<i64>> {
        if let Some(found) = self.constant(tensor) {
            return tensor::integers(found);
        }
        let node = self.node(self.producer(tensor)?.0)?;
        if node.op_type() != "Constant" {
            return None;
        }
        let one = attribute(node, "value_int").and_then(|value| value.i);
        one.map(|value| vec![value])
            .or_else(|| attribute(node, "value_ints").map(|value| value.ints.clone()))
    }

    /// Nodes in an order in which every node comes after those that it reads from.
    #[must_use]
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// A node's position in [`Self::order`].
    #[must_use]
    pub fn rank(&self, node: usize) -> usize {
        self.rank.get(node).copied().unwrap_or(0)
    }

    /// A node for messages: index, operator, and what it makes.
    #[must_use]
    pub fn describe(&self, node: usize) -> String {
        describe(self.graph, node)
    }

    fn exists(&self, tensor: &str) -> bool {
        self.producers.contains_key(tensor)
            || self.initializers.contains_key(tensor)
            || self.inputs.contains_key(tensor)
    }
}

/// The attribute of that name.
#[must_use]
pub(super) fn attribute<'n>(node: &'n NodeProto, name: &str) -> Option<&'n AttributeProto> {
    node.attribute
        .iter()
        .find(|attribute| attribute.name() == name)
}

fn describe(graph: &GraphProto, node: usize) -> String {
    let Some(message) = graph.node.get(node) else {
        return format!("#{node}");
    };
    let made = message.output.iter().find(|name| !name.is_empty());
    format!(
        "#{node} {} (makes `{}`)",
        message.op_type(),
        made.map_or("", String::as_str)
    )
}

fn twice(name: &str, by: &str) -> Fault {
    Fault::usage(DOING, format!("the tensor `{name}` is made twice, by {by}"))
        .expected("one producer for every tensor")
        .hint("the model is damaged: export it again")
}

fn names_in_subgraphs(node: &NodeProto) -> Vec<&str> {
    let mut names = Vec::new();
    let mut nodes = vec![node];
    let mut first = true;
    while let Some(node) = nodes.pop() {
        if !first {
            names.extend(node.input.iter().map(String::as_str));
        }
        first = false;
        for attribute in &node.attribute {
            for graph in attribute.g.as_deref().into_iter().chain(&attribute.graphs) {
                names.extend(graph.output.iter().map(ValueInfoProto::name));
                nodes.extend(&graph.node);
            }
        }
    }
    names
}
