//! Hand-written graphs with the architecture that a finder would report for them.

use std::collections::HashSet;

use candor::model::onnx::attribute_proto::AttributeType;
use candor::model::onnx::tensor_proto::DataType;
use candor::model::onnx::tensor_shape_proto::{Dimension, dimension};
use candor::model::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use candor::model::{
    Architecture, Block, BlockFacts, Element, Form, InputPort, InputRole, Layout, ModelFacts,
    Point, Site, SiteName, SiteTensor,
};

pub const F32: i32 = DataType::Float as i32;
pub const F16: i32 = DataType::Float16 as i32;
pub const BF16: i32 = DataType::Bfloat16 as i32;
pub const F64: i32 = DataType::Double as i32;
pub const WIDTH: usize = 4;
pub const VOCABULARY: usize = 9;
const EPSILON: f32 = 1e-6;

pub struct Tiny {
    pub model: ModelProto,
    pub arch: Architecture,
}

impl Tiny {
    /// `embedding → + → + → MatMul`; the stream is an output already, and a branch of an `If` reads it.
    pub fn plain(elem: i32, opset: i64) -> Self {
        let branch = GraphProto {
            name: Some("branch".into()),
            node: vec![node("Tanh", &["post0"], &["negated"])],
            output: vec![typed("negated", elem, &["N", "T", "4"])],
            ..GraphProto::default()
        };
        let mut choice = node("If", &["flag"], &["branch1"]);
        choice.attribute = ["then_branch", "else_branch"]
            .map(|name| AttributeProto {
                name: Some(name.into()),
                r#type: Some(AttributeType::Graph.into()),
                g: Some(Box::new(branch.clone())),
                ..AttributeProto::default()
            })
            .to_vec();
        let nodes = vec![
            node("Gather", &["w", "ids"], &["embedded"]),
            node("Tanh", &["embedded"], &["branch0"]),
            node("Add", &["embedded", "branch0"], &["post0"]),
            choice,
            node("Add", &["post0", "branch1"], &["post1"]),
            node("Neg", &["post1"], &["normed"]),
            node("MatMul", &["normed", "u"], &["logits"]),
        ];
        let sites = vec![
            (SiteName::outside(Point::Embed), named("embedded")),
            (SiteName::block(0, Point::ResidPre), named("embedded")),
            (SiteName::block(0, Point::ResidPost), named("post0")),
            (SiteName::block(1, Point::ResidPre), named("post0")),
            (SiteName::block(1, Point::ResidPost), named("post1")),
            (SiteName::outside(Point::LnFinal), named("normed")),
            (SiteName::outside(Point::Logits), named("logits")),
        ];
        let stored = [("w", elem), ("u", elem), ("flag", DataType::Bool as i32)];
        let outputs = vec![
            typed("logits", elem, &["N", "T", "9"]),
            typed("post0", elem, &["N", "T", "4"]),
        ];
        Self::new(nodes, sites, &stored, outputs, opset)
    }

    /// A residual sum inside a fused norm that does not put it out.
    pub fn fused(simplified: bool, biased: bool) -> Self {
        let mut inputs = vec!["x0", "branch", "gamma"];
        if !simplified {
            inputs.push("beta");
        }
        if biased {
            inputs.push("bias");
        }
        let op = if simplified {
            "SkipSimplifiedLayerNormalization"
        } else {
            "SkipLayerNormalization"
        };
        let mut norm = fused_node(op, &inputs, &["normed"]);
        norm.attribute = vec![AttributeProto {
            name: Some("epsilon".into()),
            r#type: Some(AttributeType::Float.into()),
            f: Some(EPSILON),
            ..AttributeProto::default()
        }];
        let nodes = vec![
            node("Gather", &["w", "ids"], &["x0"]),
            node("Tanh", &["x0"], &["branch"]),
            norm,
            node("MatMul", &["normed", "u"], &["logits"]),
        ];
        let sum = SiteTensor::SkipSum {
            node: 2,
            name: "mid0".into(),
        };
        let sites = vec![
            (SiteName::block(0, Point::ResidPre), named("x0")),
            (SiteName::block(0, Point::ResidMid), sum.clone()),
            (SiteName::block(0, Point::ResidPost), sum),
        ];
        let stored = ["w", "u", "gamma", "beta", "bias"].map(|name| (name, F32));
        Self::new(
            nodes,
            sites,
            &stored,
            vec![typed("logits", F32, &["N", "T", "9"])],
            20,
        )
    }

    /// A fused embedding whose normalised output hides an unedited copy of its sum.
    pub fn fused_embedding() -> Self {
        let nodes = vec![
            fused_node(
                "EmbedLayerNormalization",
                &["ids", "w"],
                &["normed", "", "sum"],
            ),
            node("Add", &["normed", "sum"], &["logits"]),
        ];
        let sites = vec![(SiteName::outside(Point::Embed), named("sum"))];
        Self::new(
            nodes,
            sites,
            &[("w", F32)],
            vec![typed("logits", F32, &["N", "T", "4"])],
            20,
        )
    }

    /// Adds `to = Identity(from)` behind the node that makes `from` and places a site on the copy.
    pub fn copy(&mut self, from: &str, to: &str, site: SiteName) {
        let nodes = &mut self.model.graph.as_mut().unwrap().node;
        let behind = nodes
            .iter()
            .position(|node| node.output.iter().any(|name| name == from));
        nodes.insert(
            behind.map_or(0, |index| index + 1),
            node("Identity", &[from], &[to]),
        );
        self.place(site, named(to));
    }

    /// Moves or adds a site.
    pub fn place(&mut self, name: SiteName, tensor: SiteTensor) {
        self.arch.sites.retain(|site| site.name != name);
        self.arch.sites.push(Site {
            name,
            tensor,
            layout: Layout::Token {
                width: if name == SiteName::outside(Point::Logits) {
                    VOCABULARY
                } else {
                    WIDTH
                },
            },
            form: Form::Same,
            processed: None,
            shape: vec![],
        });
    }

    /// Leaves the element type of the stream to be guessed: an operator of unknown typing, and no declarations.
    pub fn forget_types(&mut self) {
        let graph = self.model.graph.as_mut().unwrap();
        graph.output.retain(|output| output.name() == "logits");
        for node in &mut graph.node {
            if node.output[0] == "post0" {
                node.op_type = Some("PRelu".into());
            }
        }
    }

    fn new(
        nodes: Vec<NodeProto>,
        sites: Vec<(SiteName, SiteTensor)>,
        stored: &[(&str, i32)],
        outputs: Vec<ValueInfoProto>,
        opset: i64,
    ) -> Self {
        let graph = GraphProto {
            name: Some("tiny".into()),
            node: nodes,
            initializer: stored
                .iter()
                .map(|&(name, element)| weights(name, element))
                .collect(),
            input: vec![typed("ids", DataType::Int64 as i32, &["N", "T"])],
            output: outputs,
            ..GraphProto::default()
        };
        let block = || Block {
            crossing: Vec::new(),
            parallel: false,
            attention: "Softmax".into(),
            facts: BlockFacts::default(),
        };
        let site = |(name, tensor)| Site {
            name,
            tensor,
            layout: Layout::Token {
                width: if name == SiteName::outside(Point::Logits) {
                    VOCABULARY
                } else {
                    WIDTH
                },
            },
            form: Form::Same,
            processed: None,
            shape: vec![],
        };
        let ids = InputPort {
            name: "ids".into(),
            element: Element::I64,
            role: InputRole::TokenIds,
            grown: None,
        };
        Self {
            model: ModelProto {
                ir_version: Some(8),
                opset_import: vec![OperatorSetIdProto {
                    domain: None,
                    version: Some(opset),
                }],
                graph: Some(graph),
                ..ModelProto::default()
            },
            arch: Architecture {
                n_layers: 2,
                d_model: WIDTH,
                n_heads: None,
                vocab_size: VOCABULARY,
                family_hint: String::new(),
                blocks: vec![block(), block()],
                sites: sites.into_iter().map(site).collect(),
                absent: vec![],
                inputs: vec![ids],
                logits: "logits".into(),
                facts: ModelFacts::default(),
            },
        }
    }
}

fn named(name: &str) -> SiteTensor {
    SiteTensor::Named(name.into())
}

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: outputs.iter().map(|&name| name.into()).collect(),
        ..NodeProto::default()
    }
}

fn fused_node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        domain: Some("com.microsoft".into()),
        ..node(op, inputs, outputs)
    }
}

/// `w` `[9, 4]`, `u` `[4, 9]`, vectors `[4]`, and the truth value `flag`; any numbers do.
#[allow(clippy::cast_precision_loss, reason = "small counts")]
fn weights(name: &str, element: i32) -> TensorProto {
    let dims: &[i64] = match name {
        "w" => &[9, 4],
        "u" => &[4, 9],
        "flag" => &[],
        _ => &[4],
    };
    let seed = name.bytes().map(f32::from).sum::<f32>();
    let values = (0..dims.iter().product::<i64>()).map(|index| (seed + index as f32 * 1.7).sin());
    let raw: Vec<u8> = match element {
        F32 => values.flat_map(f32::to_le_bytes).collect(),
        F16 => values
            .flat_map(|value| half::f16::from_f32(value).to_le_bytes())
            .collect(),
        BF16 => values
            .flat_map(|value| half::bf16::from_f32(value).to_le_bytes())
            .collect(),
        F64 => values
            .flat_map(|value| f64::from(value).to_le_bytes())
            .collect(),
        _ => vec![1],
    };
    TensorProto {
        name: Some(name.into()),
        dims: dims.to_vec(),
        data_type: Some(element),
        raw_data: Some(raw.into()),
        ..TensorProto::default()
    }
}

fn typed(name: &str, element: i32, dims: &[&str]) -> ValueInfoProto {
    let dim = dims.iter().map(|dim| Dimension {
        denotation: None,
        value: Some(match dim.parse() {
            Ok(size) => dimension::Value::DimValue(size),
            Err(_) => dimension::Value::DimParam((*dim).into()),
        }),
    });
    let tensor = type_proto::Tensor {
        elem_type: Some(element),
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            denotation: None,
            value: Some(type_proto::Value::TensorType(tensor)),
        }),
        ..ValueInfoProto::default()
    }
}

fn tensor_type(value: &ValueInfoProto) -> &type_proto::Tensor {
    match value.r#type.as_ref().unwrap().value.as_ref().unwrap() {
        type_proto::Value::TensorType(tensor) => tensor,
        other => panic!("not a tensor: {other:?}"),
    }
}

pub fn element(value: &ValueInfoProto) -> i32 {
    tensor_type(value).elem_type()
}

/// The declared dimensions of an input or output, as text.
pub fn shape(model: &ModelProto, name: &str) -> Vec<String> {
    let graph = graph(model);
    let value = graph
        .input
        .iter()
        .chain(&graph.output)
        .find(|value| value.name() == name)
        .unwrap();
    let dims = &tensor_type(value).shape.as_ref().unwrap().dim;
    let text = |dim: &Dimension| match dim.value.as_ref().unwrap() {
        dimension::Value::DimValue(size) => size.to_string(),
        dimension::Value::DimParam(name) => name.clone(),
    };
    dims.iter().map(text).collect()
}

pub fn graph(model: &ModelProto) -> &GraphProto {
    model.graph.as_ref().unwrap()
}

pub fn node_making<'model>(model: &'model ModelProto, name: &str) -> &'model NodeProto {
    let makes = |node: &&NodeProto| node.output.iter().any(|output| output == name);
    graph(model)
        .node
        .iter()
        .find(makes)
        .unwrap_or_else(|| panic!("nothing makes `{name}`"))
}

/// The nodes that read `name`, those of subgraphs included.
pub fn readers<'model>(model: &'model ModelProto, name: &str) -> Vec<&'model NodeProto> {
    fn collect<'model>(graph: &'model GraphProto, name: &str, found: &mut Vec<&'model NodeProto>) {
        for node in &graph.node {
            if node.input.iter().any(|input| input == name) {
                found.push(node);
            }
            for inner in node
                .attribute
                .iter()
                .filter_map(|attribute| attribute.g.as_deref())
            {
                collect(inner, name, found);
            }
        }
    }
    let mut found = Vec::new();
    collect(graph(model), name, &mut found);
    found
}

/// Each tensor is made once, before its readers; outputs are made and declared once; node names are unique.
pub fn assert_sound(model: &ModelProto) {
    let graph = graph(model);
    let mut known = HashSet::new();
    let inputs = graph.input.iter().map(ValueInfoProto::name);
    for name in inputs.chain(graph.initializer.iter().map(TensorProto::name)) {
        assert!(
            known.insert(name),
            "`{name}` is an input or initialiser twice"
        );
    }
    let mut node_names = HashSet::new();
    for node in &graph.node {
        assert!(
            node.name.is_none() || node_names.insert(node.name()),
            "two nodes are named `{}`",
            node.name()
        );
        let inner = node
            .attribute
            .iter()
            .filter_map(|attribute| attribute.g.as_deref());
        let inner: Vec<_> = inner.flat_map(|graph| &graph.node).collect();
        for name in node
            .input
            .iter()
            .chain(inner.iter().flat_map(|node| &node.input))
            .filter(|name| !name.is_empty())
        {
            assert!(
                known.contains(name.as_str()),
                "`{name}` is read before it is made"
            );
        }
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            assert!(known.insert(name), "`{name}` is made twice");
        }
    }
    let mut declared = HashSet::new();
    for output in &graph.output {
        assert!(
            known.contains(output.name()),
            "`{}` is declared but not made",
            output.name()
        );
        assert!(
            declared.insert(output.name()),
            "`{}` is declared twice",
            output.name()
        );
    }
}
