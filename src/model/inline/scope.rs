//! What names mean inside a function, and names that nothing else has.

use std::collections::{HashMap, HashSet};

use super::super::messages;
use super::super::onnx::{
    AttributeProto, FunctionProto, GraphProto, NodeProto, TensorProto, ValueInfoProto,
};

/// How much of a caller's name goes into the names of what it is replaced by.
const STEM: usize = 48;

/// Hands out names.
pub(super) struct Labels {
    taken: HashSet<String>,
    calls: HashMap<String, usize>,
}

impl Labels {
    /// None that the graph or its subgraphs use.
    pub(super) fn of(graph: &GraphProto) -> Self {
        let mut taken = HashSet::new();
        let mut values = |graph: &GraphProto| taken.extend(made_in(graph).map(str::to_owned));
        values(graph);
        let nodes = messages::of_nodes(&graph.node);
        for node in &nodes {
            for inner in node.attribute.iter().flat_map(messages::subgraphs) {
                values(inner);
            }
        }
        taken.extend(nodes.iter().map(|node| node.name().to_owned()));
        Self {
            taken,
            calls: HashMap::new(),
        }
    }

    /// `label/name`, with a number behind it where that is taken.
    pub(super) fn fresh(&mut self, label: &str, name: &str) -> String {
        let wanted = format!("{label}/{name}");
        let mut found = wanted.clone();
        let mut number = 0_usize;
        while !self.taken.insert(found.clone()) {
            number += 1;
            found = format!("{wanted}.{number}");
        }
        found
    }

    /// A label for one call.
    fn call(&mut self, node: &NodeProto) -> String {
        let name = if node.name().is_empty() {
            node.op_type()
        } else {
            node.name()
        };
        let stem: String = name.chars().take(STEM).collect();
        let count = self.calls.entry(stem.clone()).or_default();
        *count += 1;
        if *count == 1 {
            stem
        } else {
            format!("{stem}.{count}")
        }
    }
}

/// The graph outside all functions, or the body of one in one call, with the subgraphs that are open.
pub(super) struct Scope {
    /// `None` outside all functions, where every name stays.
    call: Option<Call>,
}

struct Call {
    label: String,
    function: String,
    /// Names of the function → names of the graph; the innermost subgraph last.
    layers: Vec<HashMap<String, String>>,
    inputs: HashSet<String>,
    attributes: HashMap<String, AttributeProto>,
}

impl Scope {
    pub(super) fn outermost() -> Self {
        Self { call: None }
    }

    /// The body of `function` where `node` calls it. What is wrong with it is said in words.
    pub(super) fn of_call(
        function: &FunctionProto,
        node: &NodeProto,
        labels: &mut Labels,
    ) -> Result<Self, String> {
        let label = labels.call(node);
        let mut names = HashMap::new();
        for (at, formal) in function.input.iter().enumerate() {
            let given = node.input.get(at).cloned().unwrap_or_default();
            if names.insert(formal.clone(), given).is_some() {
                return Err(format!("two of whose inputs are named `{formal}`"));
            }
        }
        let inputs: HashSet<String> = names.keys().cloned().collect();
        let mut outputs = HashSet::new();
        for (at, formal) in function.output.iter().enumerate() {
            if !outputs.insert(formal) {
                return Err(format!("two of whose outputs are named `{formal}`"));
            }
            let given = node.output.get(at).filter(|given| !given.is_empty());
            if let Some(given) = given.filter(|_| !inputs.contains(formal)) {
                names.insert(formal.clone(), given.clone());
            }
        }
        for made in function.node.iter().flat_map(|node| &node.output) {
            if inputs.contains(made) {
                return Err(format!("one of whose nodes makes its input `{made}` again"));
            }
            if !made.is_empty() && !names.contains_key(made) {
                names.insert(made.clone(), labels.fresh(&label, made));
            }
        }
        let mut attributes = HashMap::new();
        for attribute in function.attribute_proto.iter().chain(&node.attribute) {
            attributes.insert(attribute.name().to_owned(), attribute.clone());
        }
        if function
            .attribute_proto
            .iter()
            .any(|one| messages::subgraphs(one).next().is_some())
        {
            return Err("one of whose attributes is a graph by default".into());
        }
        Ok(Self {
            call: Some(Call {
                label,
                function: function.name().to_owned(),
                layers: vec![names],
                inputs,
                attributes,
            }),
        })
    }

    pub(super) fn is_outermost(&self) -> bool {
        self.call.is_none()
    }

    pub(super) fn label(&self) -> &str {
        self.call.as_ref().map_or("", |call| &call.label)
    }

    /// Where something is, for messages.
    pub(super) fn describe(&self) -> String {
        let call = self.call.as_ref();
        call.map_or_else(String::new, |call| {
            format!(" in the function `{}`", call.function)
        })
    }

    /// The name in the graph; `None` if nothing makes it.
    pub(super) fn read(&self, name: &str) -> Option<String> {
        match &self.call {
            _ if name.is_empty() => Some(String::new()),
            None => Some(name.to_owned()),
            Some(call) => call
                .layers
                .iter()
                .rev()
                .find_map(|layer| layer.get(name))
                .cloned(),
        }
    }

    /// The value of the function's attribute: the caller's, or the default.
    pub(super) fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.call.as_ref()?.attributes.get(name)
    }

    /// The graph's name of a value that the function's own nodes make.
    pub(super) fn own(&self, name: &str) -> Option<&str> {
        let call = self.call.as_ref()?;
        let found = call.layers.first()?.get(name)?;
        (!call.inputs.contains(name)).then_some(found)
    }

    /// What the caller gave for an input of that name.
    pub(super) fn handed_through(&self, formal: &str) -> Option<&str> {
        let call = self.call.as_ref()?;
        let given = call.layers.first()?.get(formal)?;
        (call.inputs.contains(formal) && !given.is_empty()).then_some(given)
    }

    /// Goes into a subgraph that makes the values `made`.
    pub(super) fn enter<'a>(&mut self, made: impl Iterator<Item = &'a str>, labels: &mut Labels) {
        if let Some(call) = &mut self.call {
            let fresh = made.map(|name| (name.to_owned(), labels.fresh(&call.label, name)));
            call.layers.push(fresh.collect());
        }
    }

    pub(super) fn leave(&mut self) {
        if let Some(call) = &mut self.call {
            call.layers.pop();
        }
    }
}

/// Names of the values that a graph's inputs, initialisers and nodes make.
pub(super) fn made_in(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let inputs = graph.input.iter().map(ValueInfoProto::name);
    let sparse = graph
        .sparse_initializer
        .iter()
        .filter_map(|one| one.values.as_ref());
    let tensors = graph
        .initializer
        .iter()
        .chain(sparse)
        .map(TensorProto::name);
    let nodes = graph
        .node
        .iter()
        .flat_map(|node| &node.output)
        .map(String::as_str);
    let all = inputs.chain(tensors).chain(nodes);
    all.filter(|name| !name.is_empty())
}
