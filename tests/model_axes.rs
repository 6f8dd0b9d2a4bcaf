//! Which axis of an attention is which: by what is done to them on their way to the output projection, because sizes may
//! coincide. Each case is a block that people write, and a tap on it by sizes alone would read another tensor.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use candor::model::onnx::tensor_shape_proto::{Dimension, dimension};
use candor::model::onnx::type_proto::{Tensor, Value};
use candor::model::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto,
};
use candor::model::{Architecture, Layout, Model, Point, SiteName, encode};

const FLOAT: i32 = 1;
const INT64: i32 = 7;

fn info(name: &str, kind: i32, dims: &[&str]) -> ValueInfoProto {
    let dim = dims.iter().map(|dim| Dimension {
        value: Some(match dim.parse() {
            Ok(size) => dimension::Value::DimValue(size),
            Err(_) => dimension::Value::DimParam((*dim).into()),
        }),
        ..Dimension::default()
    });
    let tensor = Tensor {
        elem_type: Some(kind),
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            value: Some(Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

fn weight(name: &str, dims: &[i64]) -> TensorProto {
    let count = usize::try_from(dims.iter().product::<i64>()).unwrap();
    TensorProto {
        name: Some(name.into()),
        dims: dims.to_vec(),
        data_type: Some(FLOAT),
        float_data: vec![0.5; count],
        ..TensorProto::default()
    }
}

fn sizes(name: &str, sizes: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: vec![i64::try_from(sizes.len()).unwrap()],
        data_type: Some(INT64),
        int64_data: sizes.to_vec(),
        ..TensorProto::default()
    }
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

fn transpose(from: &str, perm: &[i64], to: &str) -> NodeProto {
    let mut node = node("Transpose", &[from], to);
    node.attribute.push(AttributeProto {
        name: Some("perm".into()),
        ints: perm.to_vec(),
        ..AttributeProto::default()
    });
    node
}

fn einsum(equation: &str, inputs: &[&str], to: &str) -> NodeProto {
    let mut node = node("Einsum", inputs, to);
    node.attribute.push(AttributeProto {
        name: Some("equation".into()),
        s: Some(equation.as_bytes().to_vec().into()),
        ..AttributeProto::default()
    });
    node
}

fn fused(flag: &str, inputs: &[&str], to: &str) -> NodeProto {
    let mut node = node("FusedMatMul", inputs, to);
    node.attribute.push(AttributeProto {
        name: Some(flag.into()),
        i: Some(1),
        ..AttributeProto::default()
    });
    node
}

/// A block of attention alone, eight wide, with heads of two; `middle` leads from `p`, the weights, and `v`, the values, to
/// `out`, what is added to the stream `x`.
fn found(middle: Vec<NodeProto>) -> Architecture {
    let mut nodes = vec![
        node("Gather", &["table", "ids"], "x"),
        node("MatMul", &["x", "w"], "q"),
        node("MatMul", &["x", "w"], "k"),
        transpose("k", &[0, 2, 1], "kt"),
        node("MatMul", &["q", "kt"], "scores"),
        node("Softmax", &["scores"], "p"),
        node("MatMul", &["x", "w"], "flat"),
        node("Reshape", &["flat", "by_head"], "v"),
    ];
    nodes.extend(middle);
    nodes.extend([
        node("Add", &["x", "out"], "post"),
        node("LayerNormalization", &["post", "gain"], "last"),
        node("MatMul", &["last", "head"], "logits"),
    ]);
    let graph = GraphProto {
        node: nodes,
        input: vec![info("ids", INT64, &["batch", "seq"])],
        output: vec![info("logits", FLOAT, &["batch", "seq", "32"])],
        initializer: vec![
            weight("table", &[32, 8]),
            weight("w", &[8, 8]),
            weight("w_by_head", &[4, 2, 8]),
            weight("gain", &[8]),
            weight("head", &[8, 32]),
            sizes("by_head", &[0, 0, 4, 2]),
            weight("w_two", &[8, 2]),
            sizes("inner", &[2]),
            sizes("behind", &[3]),
            sizes("beside", &[0, 0, 8]),
        ],
        ..GraphProto::default()
    };
    let proto = ModelProto {
        graph: Some(graph),
        ..ModelProto::default()
    };
    let bytes = encode(&proto).into();
    let model = Model::from_bytes(bytes, Path::new("sketch.onnx")).unwrap();
    Architecture::find(&model).unwrap()
}

/// Whether the model shows `hook_z`, and whether it shows `hook_pattern`; each with as many heads as there are.
fn shows(middle: Vec<NodeProto>) -> [bool; 2] {
    let found = found(middle);
    [Point::HookZ, Point::Pattern].map(|point| {
        let name = SiteName::block(0, point);
        let Some(site) = found.site(name) else {
            assert!(found.absent.iter().any(|absent| absent.name == name));
            return false;
        };
        match site.layout {
            Layout::Heads { heads, d_head } => assert_eq!((heads, d_head), (4, 2)),
            Layout::Pattern { heads } => assert_eq!(heads, 4),
            Layout::Token { .. } => panic!("heads are no token"),
        }
        true
    })
}

fn exchanged(perm: &[i64]) -> Vec<NodeProto> {
    vec![
        node("MatMul", &["p", "v"], "gathered"),
        transpose("gathered", perm, "turned"),
        node("Reshape", &["turned", "beside"], "z"),
        node("MatMul", &["z", "w"], "out"),
    ]
}

#[test]
fn exchanges_of_axes_tell_batch_from_heads() {
    assert_eq!(shows(exchanged(&[0, 2, 1, 3])), [true, true]);
    assert_eq!(shows(exchanged(&[2, 0, 1, 3])), [true, true]);
    // [head, batch, query, key]
    assert_eq!(shows(exchanged(&[1, 2, 0, 3])), [true, false]);
    // Channels of all heads in turn.
    assert_eq!(shows(exchanged(&[0, 2, 3, 1])), [false, false]);
    // Heads by the keys that they share, and the other way round.
    assert_eq!(shows(exchanged(&[0, 3, 1, 2, 4])), [true, true]);
    assert_eq!(shows(exchanged(&[0, 3, 2, 1, 4])), [true, false]);
}

#[test]
fn weights_that_are_never_exchanged_stand_behind_their_tokens() {
    let middle = vec![
        node("MatMul", &["p", "v"], "gathered"),
        node("Reshape", &["gathered", "beside"], "z"),
        node("MatMul", &["z", "w"], "out"),
    ];
    assert_eq!(shows(middle), [true, false]);
}

#[test]
fn a_fused_product_may_turn_its_weights() {
    let with = |flag| {
        let mut nodes = exchanged(&[0, 2, 1, 3]);
        nodes[0] = fused(flag, &["p", "v"], "gathered");
        shows(nodes)
    };
    assert_eq!(with("transA"), [true, false]);
    assert_eq!(with("transBatchA"), [false, false]);
}

#[test]
fn letters_tell_the_axes_of_a_summed_product() {
    let with = |equation, inputs: [&str; 2]| {
        shows(vec![
            einsum(equation, &inputs, "gathered"),
            node("Reshape", &["gathered", "beside"], "z"),
            node("MatMul", &["z", "w"], "out"),
        ])
    };
    assert_eq!(with("bhqk,bkhd->bqhd", ["p", "v"]), [true, true]);
    assert_eq!(with("bkhd, bhqk -> bqhd", ["v", "p"]), [true, true]);
    assert_eq!(with("...hqk,...khd->...qhd", ["p", "v"]), [true, true]);
    assert_eq!(with("bqhk,bkhd->bqhd", ["p", "v"]), [true, false]);
    assert_eq!(with("hbqk,bkhd->bqhd", ["p", "v"]), [true, false]);
    assert_eq!(with("bhkq,bkhd->bqhd", ["p", "v"]), [true, false]);
    assert_eq!(with("bhqk,bkhd->bqdh", ["p", "v"]), [false, false]);
}

#[test]
fn a_projection_may_have_a_weight_for_each_head() {
    let with = |gather, project| {
        shows(vec![
            einsum(gather, &["p", "v"], "z"),
            einsum(project, &["z", "w_by_head"], "out"),
        ])
    };
    assert_eq!(with("bhqk,bkhd->bqhd", "bqhd,hdm->bqm"), [true, true]);
    assert_eq!(with("bhqk,bkhd->bhqd", "bhqd,hdm->bqm"), [false, false]);
    let batched = vec![
        node("MatMul", &["p", "v"], "z"),
        node("MatMul", &["z", "w_by_head"], "each"),
        node("ReduceSum", &["each"], "out"),
    ];
    assert!(!shows(batched)[0]);
}

#[test]
fn heads_may_be_joined_to_those_of_another_attention() {
    let with = |axis| {
        let mut nodes = vec![node("Softmax", &["scores"], "p2")];
        for [weights, own, apart] in [["p", "gathered1", "apart1"], ["p2", "gathered2", "apart2"]] {
            nodes.push(node("MatMul", &[weights, "flat2"], own));
            nodes.push(node("Unsqueeze", &[own, axis], apart));
        }
        nodes.insert(0, node("MatMul", &["x", "w_two"], "flat2"));
        nodes.push(node(
            "Concat",
            &["apart1", "apart2", "apart1", "apart2"],
            "joined",
        ));
        nodes.push(node("Reshape", &["joined", "beside"], "z"));
        nodes.push(node("MatMul", &["z", "w"], "out"));
        shows(nodes)
    };
    assert_eq!(with("inner"), [true, false]);
    assert_eq!(with("behind"), [false, false]);
}

#[test]
fn one_of_two_attentions_is_not_the_branch() {
    let second = |nodes: Vec<NodeProto>| {
        let own = ["p", "v", "w"];
        nodes.into_iter().map(move |mut node| {
            let renamed = node.input.iter_mut().chain(&mut node.output);
            for name in renamed.filter(|name| !own.contains(&name.as_str()) && *name != "beside") {
                name.push('2');
            }
            node
        })
    };
    let mut nodes = exchanged(&[0, 2, 1, 3]);
    nodes.push(node("Softmax", &["scores"], "p2"));
    nodes.extend(second(exchanged(&[0, 2, 1, 3])).map(|mut node| {
        node.input
            .iter_mut()
            .filter(|name| *name == "p")
            .for_each(|name| name.push('2'));
        node
    }));
    for node in &mut nodes {
        node.output
            .iter_mut()
            .filter(|name| *name == "out")
            .for_each(|name| name.push('1'));
    }
    nodes.push(node("Add", &["out1", "out2"], "out"));
    assert_eq!(shows(nodes), [false, false]);
}
