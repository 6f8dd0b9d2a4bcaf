//! Models that are no decoders with one residual stream: each refusal says what the model seems to be, where the chain broke and
//! what to do. The files are exports of `tests/fixtures/refused/make.py`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use candor::fault::Kind;
use candor::model::onnx::type_proto::{Tensor, Value};
use candor::model::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto,
};
use candor::model::{Architecture, Model, encode};

fn refused(model: &Model) -> String {
    let fault = Architecture::find(model).unwrap_err();
    assert_eq!(fault.kind, Kind::Usage);
    fault.to_string()
}

#[test]
fn exported_models_of_other_kinds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/refused");
    let names = [
        "encoder_decoder",
        "decoder_of_two",
        "classifier",
        "hidden_states",
        "state_space",
        "vision",
        "convolution",
        "embeddings",
        "merged",
    ];
    let messages = names.map(|name| {
        let model = Model::open(&folder.join(format!("{name}.onnx"))).unwrap();
        format!("{name}: {}", refused(&model))
    });
    insta::assert_snapshot!(messages.join("\n\n"));
}

fn info(name: &str, kind: i32) -> ValueInfoProto {
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            denotation: None,
            value: Some(Value::TensorType(Tensor {
                elem_type: Some(kind),
                shape: None,
            })),
        }),
        ..ValueInfoProto::default()
    }
}

fn node(domain: &str, op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        domain: Some(domain.into()),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

/// A graph that makes `y` of `x`, an input of type `kind`.
fn sketch(kind: i32, nodes: Vec<NodeProto>) -> Model {
    let weight = |name: &str| TensorProto {
        name: Some(name.into()),
        dims: vec![2, 2],
        data_type: Some(1),
        raw_data: Some(vec![0; 16].into()),
        ..TensorProto::default()
    };
    let proto = ModelProto {
        graph: Some(GraphProto {
            node: nodes,
            input: vec![info("x", kind)],
            output: vec![info("y", 1)],
            initializer: vec![weight("w"), weight("table")],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    };
    Model::from_bytes(encode(&proto).into(), Path::new("sketch.onnx")).unwrap()
}

#[test]
fn graphs_around_a_model() {
    const FLOAT: i32 = 1;
    const INT64: i32 = 7;
    const STRING: i32 = 8;
    let with_body = |mut node: NodeProto, name: &str| {
        node.attribute.push(AttributeProto {
            name: Some(name.into()),
            g: Some(Box::new(GraphProto {
                node: vec![self::node("", "MatMul", &["x", "w"], "h")],
                output: vec![info("h", FLOAT)],
                ..GraphProto::default()
            })),
            ..AttributeProto::default()
        });
        node
    };
    let models = [
        sketch(
            INT64,
            vec![with_body(
                node("com.microsoft", "BeamSearch", &["x"], "y"),
                "decoder",
            )],
        ),
        sketch(
            INT64,
            vec![with_body(node("", "Loop", &["x"], "y"), "body")],
        ),
        sketch(
            INT64,
            vec![
                node("", "Gather", &["table", "x"], "e"),
                node("", "MatMul", &["e", "w"], "scores"),
                node("", "SoftmaxCrossEntropyLoss", &["scores", "x"], "y"),
            ],
        ),
        sketch(
            STRING,
            vec![node("ai.onnx.contrib", "BpeTokenizer", &["x"], "y")],
        ),
        sketch(
            FLOAT,
            vec![node("ai.onnx.ml", "TreeEnsembleClassifier", &["x"], "y")],
        ),
        sketch(
            INT64,
            vec![
                node("", "Gather", &["table", "x"], "e"),
                node("", "GRU", &["e", "w", "w"], "y"),
            ],
        ),
        sketch(FLOAT, vec![node("", "MatMul", &["x", "w"], "y")]),
    ];
    let messages: Vec<String> = models.iter().map(refused).collect();
    insta::assert_snapshot!(messages.join("\n\n"));
}
