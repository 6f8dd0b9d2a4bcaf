//! What the inputs of exported graphs mean, by what reads them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop, and says where a runtime is fetched"
)]

use std::path::{Path, PathBuf};

use candor::model::onnx::attribute_proto::AttributeType;
use candor::model::onnx::tensor_proto::DataType;
use candor::model::onnx::tensor_shape_proto::{Dimension, dimension};
use candor::model::onnx::{
    AttributeProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};
use candor::model::{Architecture, InputRole, Model, Open, encode};
use candor::run::{Generation, Runtime, RuntimeOptions, Session, generate};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/run")
}

fn proto(name: &str) -> ModelProto {
    let path = folder().join(format!("{name}.onnx"));
    Model::open(&path).unwrap().proto().clone()
}

/// The architecture of a changed model, or what is said against it.
fn find(proto: &ModelProto) -> Result<Architecture, String> {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("model.onnx");
    std::fs::write(&path, encode(proto)).unwrap();
    Architecture::find(&Model::open(&path).unwrap()).map_err(|fault| fault.to_string())
}

fn role(arch: &Architecture, name: &str) -> InputRole {
    let port = arch.inputs.iter().find(|port| port.name == name);
    port.unwrap().role.clone()
}

fn input(name: &str, element: DataType, dims: &[&str]) -> ValueInfoProto {
    let dim = |text: &&str| Dimension {
        denotation: None,
        value: Some(match text.parse() {
            Ok(size) => dimension::Value::DimValue(size),
            Err(_) => dimension::Value::DimParam((*text).to_owned()),
        }),
    };
    let tensor = type_proto::Tensor {
        elem_type: Some(element.into()),
        shape: Some(TensorShapeProto {
            dim: dims.iter().map(dim).collect(),
        }),
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            denotation: None,
            value: Some(type_proto::Value::TensorType(tensor)),
        }),
        ..ValueInfoProto::default()
    }
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        name: Some(format!("made_{output}")),
        op_type: Some(op.to_owned()),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

fn number(name: &str, value: f32) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(DataType::Float.into()),
        float_data: vec![value],
        ..TensorProto::default()
    }
}

/// The lengths that onnxruntime-genai's graphs count from a mask, as inputs; the text stays the same.
#[test]
fn lengths_are_fed_where_the_operator_reads_them() {
    let mut model = proto("window");
    let with_mask = find(&model).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let attention = |node: &&NodeProto| node.op_type() == "GroupQueryAttention";
    let found = graph.node.iter().find(attention).unwrap();
    let (lens, total) = (found.input[5].clone(), found.input[6].clone());
    // Everything between the mask and these two goes.
    let mut dead = vec![lens.clone(), total.clone()];
    while let Some(name) = dead.pop() {
        let made = |node: &NodeProto| node.output.contains(&name);
        if let Some(at) = graph.node.iter().position(made) {
            dead.extend(graph.node.remove(at).input);
        }
    }
    graph.input.retain(|input| input.name() != "attention_mask");
    graph
        .input
        .push(input(&lens, DataType::Int32, &["batch_size"]));
    graph.input.push(input(&total, DataType::Int32, &["1"]));
    let arch = find(&model).unwrap();
    assert_eq!(role(&arch, &lens), InputRole::LastTokens);
    assert_eq!(role(&arch, &total), InputRole::TotalLength);

    let options = RuntimeOptions::default();
    let runtime = Runtime::obtain(&options, &mut |line| println!("{line}")).unwrap();
    let write = |model: &ModelProto, arch: &Architecture| {
        let session = Session::open(&runtime, &encode(model), &folder(), arch).unwrap();
        let how = Generation {
            max_new_tokens: 8,
            ..Generation::default()
        };
        generate(&session, &[vec![5, 9, 12, 3, 44], vec![7, 8]], &how).unwrap()
    };
    assert_eq!(write(&model, &arch), write(&proto("window"), &with_mask));
}

#[test]
fn places_segments_and_counts_are_told_apart() {
    let places = find(&proto("places")).unwrap();
    assert_eq!(role(&places, "a"), InputRole::TokenIds);
    assert_eq!(role(&places, "b"), InputRole::TokenTypes);
    assert_eq!(role(&places, "c"), InputRole::CachePositions);
    let kept = find(&proto("score_mask")).unwrap();
    assert_eq!(role(&kept, "kept"), InputRole::LogitsToKeep);
}

/// A mask of truth values over the scores, behind each form in which it is read.
#[test]
fn what_a_score_mask_opens_is_read_from_the_graph() {
    let opened = |first: f32, second: f32, negated: bool| {
        let mut model = proto("score_mask");
        let graph = model.graph.as_mut().unwrap();
        graph.input.retain(|input| input.name() != "scores");
        let dims = ["batch", "1", "seq", "total"];
        graph.input.push(input("truth", DataType::Bool, &dims));
        let numbers = [number("first", first), number("second", second)];
        graph.initializer.extend(numbers);
        let from = if negated { "false" } else { "truth" };
        let mut nodes = vec![
            node("Not", &["truth"], "false"),
            node("Where", &[from, "first", "second"], "scores"),
        ];
        nodes.append(&mut graph.node);
        graph.node = nodes;
        match role(&find(&model)?, "truth") {
            InputRole::ScoreMask(mask) => Ok(mask.open),
            other => Err(format!("{other:?}")),
        }
    };
    assert_eq!(opened(0.0, -1e4, false), Ok(Open::True));
    assert_eq!(opened(-1e4, 0.0, false), Ok(Open::False));
    assert_eq!(opened(0.0, -1e4, true), Ok(Open::False));
    let plain = find(&proto("score_mask")).unwrap();
    let InputRole::ScoreMask(mask) = role(&plain, "scores") else {
        unreachable!("{:?}", role(&plain, "scores"))
    };
    assert_eq!(
        (mask.open, mask.by_query, mask.heads),
        (Open::Zero, true, 1)
    );
}

#[test]
fn inputs_that_nothing_is_known_to_feed_are_refused_with_the_reason() {
    let refused = |added: ValueInfoProto, nodes: Vec<NodeProto>| {
        let mut model = proto("kv_rotary");
        let graph = model.graph.as_mut().unwrap();
        graph.input.push(added);
        graph.node.extend(nodes);
        find(&model).unwrap_err()
    };
    let to_float = AttributeProto {
        name: Some("to".into()),
        r#type: Some(AttributeType::Int.into()),
        i: Some(DataType::Float as i64),
        ..AttributeProto::default()
    };
    let mut cast = node("Cast", &["places3"], "angles");
    cast.attribute.push(to_float);
    let cases = [
        refused(
            input("places3", DataType::Int64, &["3", "batch", "seq"]),
            vec![cast, node("Cos", &["angles"], "cosines")],
        ),
        refused(
            input("pictures", DataType::Float, &["batch", "3", "h", "w"]),
            vec![node("Relu", &["pictures"], "seen")],
        ),
        refused(
            input("number", DataType::Int64, &[]),
            vec![node("Neg", &["number"], "less")],
        ),
    ];
    insta::assert_snapshot!(cases.join("\n\n"));
}

/// Equal names would be a coincidence; what is not returned has no name.
#[test]
fn a_cache_that_is_not_returned_is_known_as_such() {
    let mut model = proto("kv_rotary");
    let graph = model.graph.as_mut().unwrap();
    graph.output.retain(|output| output.name() != "out2");
    let arch = find(&model).unwrap();
    let grown = arch.inputs.iter().filter_map(|port| port.grown.as_deref());
    assert_eq!(grown.collect::<Vec<_>>(), ["out0", "out1", "out3"]);
}
