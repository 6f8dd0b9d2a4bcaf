//! Model-local functions, put in place of the nodes that call them.
//!
//! What is indexed, searched and instrumented afterwards is one graph of plain operators. The digests stay those of the file.
//! Attributes are handed down, names made unique (`<caller>/<name in the function>`), inputs and outputs that a call leaves
//! out stay left out. A function that calls itself is refused, and so is an expansion that takes more memory than a file of
//! that length may.

mod cost;
mod imports;
mod scope;

use std::collections::{HashMap, HashSet};

use super::onnx::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TypeProto, ValueInfoProto,
    tensor_shape_proto::dimension, type_proto,
};
use crate::fault::{Fault, Result};
use cost::Budget;
use scope::{Labels, Scope};

/// How deep functions may call one another.
const CALLS: usize = 32;
/// How deep subgraphs may lie in one another, those of functions in functions too; the decoder of the runtime takes 33.
const GRAPHS: usize = 30;

/// Domains of operators that the runtime brings.
const TAKEN: [&str; 4] = [
    "",
    "ai.onnx.ml",
    "com.microsoft",
    "ai.onnx.preview.training",
];

/// Domain, name and overload of a function.
type Key<'f> = (&'f str, &'f str, &'f str);

/// Replaces every call of a function of the model by the function's nodes. At most `allowed` bytes are taken.
///
/// # Errors
/// Two functions have one name; a function calls itself, directly or not, or reads what nothing in it makes; it is called with
/// more inputs or outputs than it has; it needs another version of an operator set than the model; or what comes of it is too
/// deep or too large.
pub(super) fn inline(mut proto: ModelProto, allowed: u64, doing: &str) -> Result<ModelProto> {
    if proto.functions.is_empty() {
        return Ok(proto);
    }
    let functions = std::mem::take(&mut proto.functions);
    let mut known: HashMap<Key<'_>, &FunctionProto> = HashMap::new();
    for function in &functions {
        if known.insert(key(function), function).is_some() {
            return Err(wrong(doing, format!("two functions {}", named(function))));
        }
    }
    let Some(graph) = proto.graph.take() else {
        return Ok(proto);
    };
    let mut inliner = Inliner {
        doing,
        labels: Labels::of(&graph),
        budget: Budget::new(allowed, doing),
        used: HashSet::new(),
        active: Vec::new(),
        functions: known,
    };
    let mut scope = Scope::outermost();
    let mut made = Made::default();
    inliner.expand(&graph.node, &mut scope, 0, &mut made)?;
    let used = inliner.used;
    let mut graph = graph;
    graph.node = made.nodes;
    graph.value_info.extend(made.infos);
    proto.graph = Some(graph);
    imports::join(&mut proto, &functions, &used, doing)?;
    Ok(proto)
}

/// Nodes that take the place of others, and what is known of their values.
#[derive(Default)]
struct Made {
    nodes: Vec<NodeProto>,
    infos: Vec<ValueInfoProto>,
}

struct Inliner<'f, 'd> {
    doing: &'d str,
    functions: HashMap<Key<'f>, &'f FunctionProto>,
    labels: Labels,
    budget: Budget<'d>,
    used: HashSet<Key<'f>>,
    /// The functions whose bodies are being put in place, outermost first.
    active: Vec<&'f FunctionProto>,
}

impl<'f> Inliner<'f, '_> {
    /// Appends `nodes` to `made`, with names and attributes as the scope says and calls replaced. Recursion goes as deep as
    /// [`CALLS`] and [`GRAPHS`] allow.
    fn expand(
        &mut self,
        nodes: &[NodeProto],
        scope: &mut Scope,
        depth: usize,
        made: &mut Made,
    ) -> Result<()> {
        for node in nodes {
            self.budget.take(cost::bare(node), scope.describe())?;
            let node = self.resolve(node, scope, depth)?;
            let callee = (domain(node.domain()), node.op_type(), node.overload());
            match self.functions.get(&callee).copied() {
                Some(function) => self.call(function, &node, depth, made)?,
                None => made.nodes.push(node),
            }
        }
        Ok(())
    }

    /// A node as it is in the graph that it is put into.
    fn resolve(&mut self, node: &NodeProto, scope: &mut Scope, depth: usize) -> Result<NodeProto> {
        let mut attributes = Vec::with_capacity(node.attribute.len());
        for attribute in &node.attribute {
            if attribute.ref_attr_name().is_empty() {
                attributes.push(self.attribute(attribute, scope, depth)?);
            } else if let Some(given) = scope.attribute(attribute.ref_attr_name()) {
                self.budget.take(cost::deep(given), scope.describe())?;
                attributes.push(AttributeProto {
                    name: attribute.name.clone(),
                    ..given.clone()
                });
            } else if scope.is_outermost() {
                return Err(wrong(
                    self.doing,
                    format!(
                        "a node {} outside any function whose attribute `{}` refers to a function's",
                        node.op_type(),
                        attribute.name()
                    ),
                ));
            }
        }
        let read = |name: &String| scope.read(name).ok_or_else(|| self.unmade(scope, name));
        let given = |names: &[String]| names.iter().map(read).collect::<Result<Vec<_>>>();
        Ok(NodeProto {
            input: given(&node.input)?,
            output: given(&node.output)?,
            name: match &node.name {
                Some(name) if !scope.is_outermost() && !name.is_empty() => {
                    Some(self.labels.fresh(scope.label(), name))
                }
                name => name.clone(),
            },
            op_type: node.op_type.clone(),
            domain: node.domain.clone(),
            overload: node.overload.clone(),
            attribute: attributes,
            doc_string: node.doc_string.clone(),
            metadata_props: node.metadata_props.clone(),
            device_configurations: vec![],
        })
    }

    fn attribute(
        &mut self,
        attribute: &AttributeProto,
        scope: &mut Scope,
        depth: usize,
    ) -> Result<AttributeProto> {
        if attribute.g.is_none() && attribute.graphs.is_empty() {
            self.budget.take(cost::deep(attribute), scope.describe())?;
            return Ok(attribute.clone());
        }
        let mut inner = |graph: &GraphProto| self.subgraph(graph, scope, depth + 1);
        let g = attribute
            .g
            .as_deref()
            .map(&mut inner)
            .transpose()?
            .map(Box::new);
        let graphs = attribute.graphs.iter().map(inner).collect::<Result<_>>()?;
        Ok(AttributeProto {
            g,
            graphs,
            name: attribute.name.clone(),
            r#type: attribute.r#type,
            doc_string: attribute.doc_string.clone(),
            ..AttributeProto::default()
        })
    }

    fn subgraph(
        &mut self,
        graph: &GraphProto,
        scope: &mut Scope,
        depth: usize,
    ) -> Result<GraphProto> {
        if depth > GRAPHS {
            return Err(wrong(
                self.doing,
                format!(
                    "subgraphs that lie more than {GRAPHS} deep in one another once functions are in place{}",
                    scope.describe()
                ),
            ));
        }
        self.budget.take(cost::values(graph), scope.describe())?;
        let own = scope::made_in(graph);
        scope.enter(own, &mut self.labels);
        let mut made = Made::default();
        self.expand(&graph.node, scope, depth, &mut made)?;
        let mut copy = GraphProto {
            node: made.nodes,
            name: graph.name.clone(),
            initializer: graph.initializer.clone(),
            sparse_initializer: graph.sparse_initializer.clone(),
            doc_string: graph.doc_string.clone(),
            input: graph.input.clone(),
            output: graph.output.clone(),
            value_info: graph.value_info.clone(),
            quantization_annotation: vec![],
            metadata_props: graph.metadata_props.clone(),
        };
        let sparse = copy.sparse_initializer.iter_mut();
        let tensors = copy.initializer.iter_mut();
        let tensors = tensors.chain(sparse.filter_map(|one| one.values.as_mut()));
        let infos = copy.input.iter_mut().chain(&mut copy.output);
        let names = tensors.map(|tensor| &mut tensor.name);
        for name in names.chain(infos.map(|info| &mut info.name)) {
            let new = name
                .as_deref()
                .map(|name| scope.read(name).ok_or_else(|| self.unmade(scope, name)));
            *name = new.transpose()?;
        }
        copy.value_info.retain_mut(|info| {
            info.name = scope.read(info.name());
            info.name.is_some()
        });
        copy.value_info.extend(made.infos);
        scope.leave();
        Ok(copy)
    }

    /// Puts the body of `function` in the place of `node`, whose names and attributes are those of the graph already.
    fn call(
        &mut self,
        function: &'f FunctionProto,
        node: &NodeProto,
        depth: usize,
        made: &mut Made,
    ) -> Result<()> {
        if self
            .active
            .iter()
            .any(|active| key(active) == key(function))
        {
            return Err(wrong(
                self.doing,
                format!("the function {}, which calls itself", named(function)),
            ));
        }
        if TAKEN.contains(&domain(function.domain())) {
            return Err(Fault::usage(
                self.doing,
                format!("a call of the function {}, in a domain of the runtime's own operators", named(function)),
            )
            .expected("functions in a domain of their own: ONNX would take the function, ONNX Runtime its operator")
            .hint("rename the function's domain, or export the model again without functions"));
        }
        if self.active.len() >= CALLS {
            return Err(wrong(
                self.doing,
                format!("functions that call one another more than {CALLS} deep"),
            ));
        }
        if node.input.len() > function.input.len() || node.output.len() > function.output.len() {
            return Err(wrong(
                self.doing,
                format!(
                    "a call of the function {} with {} inputs and {} outputs, where it has {} and {}",
                    named(function),
                    node.input.len(),
                    node.output.len(),
                    function.input.len(),
                    function.output.len()
                ),
            ));
        }
        self.budget.take(cost::signature(function), String::new())?;
        self.used.insert(key(function));
        let mut scope = Scope::of_call(function, node, &mut self.labels).map_err(|found| {
            wrong(
                self.doing,
                format!("the function {}, {found}", named(function)),
            )
        })?;
        self.active.push(function);
        self.expand(&function.node, &mut scope, depth, made)?;
        self.active.pop();
        // An input that is handed through is no value of its own: a copy takes the name that the caller reads.
        for (output, formal) in node.output.iter().zip(&function.output) {
            if let Some(input) = scope.handed_through(formal).filter(|_| !output.is_empty()) {
                made.nodes.push(NodeProto {
                    input: vec![input.to_owned()],
                    output: vec![output.clone()],
                    op_type: Some("Identity".into()),
                    ..NodeProto::default()
                });
            }
        }
        for info in &function.value_info {
            if let Some(name) = scope.own(info.name()) {
                self.budget.take(cost::value(info), scope.describe())?;
                made.infos.push(ValueInfoProto {
                    name: Some(name.to_owned()),
                    r#type: info.r#type.clone().map(without_symbols),
                    ..ValueInfoProto::default()
                });
            }
        }
        Ok(())
    }

    fn unmade(&self, scope: &Scope, name: &str) -> Fault {
        wrong(
            self.doing,
            format!("`{name}`, which nothing makes{}", scope.describe()),
        )
    }
}

/// A symbol of a function says nothing of another call, so that only sizes stay.
fn without_symbols(mut kind: TypeProto) -> TypeProto {
    if let Some(type_proto::Value::TensorType(tensor)) = &mut kind.value {
        for dim in tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim) {
            if matches!(dim.value, Some(dimension::Value::DimParam(_))) {
                dim.value = None;
            }
        }
    }
    kind
}

fn key(function: &FunctionProto) -> Key<'_> {
    (
        domain(function.domain()),
        function.name(),
        function.overload(),
    )
}

/// The default operator set has two names.
fn domain(name: &str) -> &str {
    if name == "ai.onnx" { "" } else { name }
}

fn named(function: &FunctionProto) -> String {
    match (domain(function.domain()), function.overload()) {
        ("", "") => format!("`{}`", function.name()),
        (domain, "") => format!("`{domain}.{}`", function.name()),
        (domain, overload) => format!("`{domain}.{}:{overload}`", function.name()),
    }
}

fn wrong(doing: &str, found: String) -> Fault {
    Fault::usage(doing, found)
        .expected("functions as ONNX defines them: each of one name, not recursive, whole in itself")
        .hint("export the model again without functions (`onnx.inliner.inline_local_functions` puts them in place)")
}
