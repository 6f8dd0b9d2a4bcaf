//! Files that no exporter writes: each ends in an error with its reason.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use candor::fault::Fault;
use candor::instrument::{Plan, instrument};
use candor::model::onnx::tensor_shape_proto::dimension::Value as Dim;
use candor::model::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto,
    TypeProto, ValueInfoProto, type_proto,
};
use candor::model::{Architecture, Model, encode};
use proptest::prelude::*;

fn open(bytes: Vec<u8>) -> Result<Model, Fault> {
    Model::from_bytes(bytes.into(), Path::new("hostile.onnx"))
}

fn refused(bytes: Vec<u8>) -> String {
    let opened = open(bytes).and_then(|model| Architecture::find(&model).map(|_| ()));
    opened.unwrap_err().to_string()
}

fn info(name: &str) -> ValueInfoProto {
    ValueInfoProto {
        name: Some(name.into()),
        ..ValueInfoProto::default()
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

fn attribute(name: &str) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        ..AttributeProto::default()
    }
}

fn tensor(dims: &[i64], raw: &'static [u8]) -> TensorProto {
    TensorProto {
        name: Some("w".into()),
        dims: dims.to_vec(),
        data_type: Some(1),
        raw_data: Some(raw.into()),
        ..TensorProto::default()
    }
}

/// `y = Neg(x)` with these tensors, and as much as the change adds.
fn model(tensors: Vec<TensorProto>, change: impl FnOnce(&mut GraphProto)) -> ModelProto {
    let mut graph = GraphProto {
        node: vec![node("Neg", &["x"], "y")],
        input: vec![info("x")],
        output: vec![info("y")],
        initializer: tensors,
        ..GraphProto::default()
    };
    change(&mut graph);
    ModelProto {
        ir_version: Some(13),
        graph: Some(graph),
        ..ModelProto::default()
    }
}

#[test]
fn messages_that_contradict_themselves() {
    let twice = |graph: &mut GraphProto| {
        graph.node[0].attribute = vec![attribute("axis"), attribute("axis")];
    };
    // The same within a branch of a branch.
    let inner = |graph: &mut GraphProto| {
        let mut choice = node("If", &["x"], "z");
        let mut branch = attribute("then_branch");
        let mut body = GraphProto {
            node: vec![node("Neg", &["x"], "y")],
            ..GraphProto::default()
        };
        twice(&mut body);
        branch.g = Some(Box::new(body));
        choice.attribute.push(branch);
        graph.node.push(choice);
    };
    let constant = |tensor: TensorProto| {
        move |graph: &mut GraphProto| {
            let mut value = attribute("value");
            value.t = Some(Box::new(tensor));
            let mut constant = node("Constant", &[], "c");
            constant.attribute.push(value);
            graph.node.push(constant);
        }
    };
    let many = vec![-1_i64; 100];
    let cases = [
        model(vec![], twice),
        model(vec![], inner),
        model(vec![tensor(&[i64::MAX, 3], &[])], |_| ()),
        model(vec![tensor(&many, &[])], |_| ()),
        model(vec![tensor(&[2], &[0; 12])], |_| ()),
        model(vec![], constant(tensor(&[1 << 40, 1 << 40], &[]))),
        model(vec![], constant(tensor(&[3], &[0; 4]))),
        model(vec![tensor(&[1], &[0; 4]), tensor(&[1], &[0; 4])], |_| ()),
        model(
            vec![TensorProto {
                raw_data: None,
                float_data: vec![1.0; 4],
                ..tensor(&[1 << 20, 1 << 20], &[])
            }],
            |_| (),
        ),
        model(vec![], |graph| graph.input.push(info("x"))),
        model(vec![], |graph| {
            graph.node.push(node("Neg", &["x"], "\u{1b}]0;owned\u{7}"));
        }),
        model(vec![], |graph| graph.input.push(info(&"n".repeat(100_000)))),
    ];
    let faults: Vec<String> = cases.iter().map(|case| refused(encode(case))).collect();
    insta::assert_snapshot!(faults.join("\n\n"));
}

/// The length of a field, a field's key, its wire type, text that is none, and groups, which protobuf gave up.
#[test]
fn bytes_that_are_no_messages() {
    let good = encode(&model(vec![], |_| ()));
    let with = |more: &[u8]| [&good[..], more].concat();
    let cases = [
        with(&[
            0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
        ]),
        with(&[0x3a, 0x80]),
        with(&[0xff; 16]),
        with(&[0x02, 0x01, 0x00]),
        with(&[0x0b, 0x0c]),
        with(&[0x12, 0x02, 0xc3, 0x28]),
        with(&[0x0a, 0x01, 0x00]),
    ];
    let faults: Vec<String> = cases.map(refused).into();
    insta::assert_snapshot!(faults.join("\n\n"));
}

#[test]
fn values_that_are_odd_but_allowed() {
    let odd = model(vec![tensor(&[2, 0], &[])], |graph| {
        let mut epsilon = attribute("epsilon");
        epsilon.f = Some(f32::NAN);
        let mut axis = attribute("axis");
        axis.i = Some(i64::MIN);
        graph.node[0].attribute = vec![epsilon, axis];
        let mut kind = TypeProto::default();
        for _ in 0..20 {
            kind = TypeProto {
                denotation: None,
                value: Some(type_proto::Value::SequenceType(Box::new(
                    type_proto::Sequence {
                        elem_type: Some(Box::new(kind)),
                    },
                ))),
            };
        }
        graph.input[0].r#type = Some(kind);
    });
    let opened = open(encode(&odd)).unwrap();
    assert!(Architecture::find(&opened).is_err());
    opened.check_finite().unwrap();
}

fn external(entries: &[(&str, &str)]) -> TensorProto {
    let entry = |(key, value): &(&str, &str)| StringStringEntryProto {
        key: Some((*key).into()),
        value: Some((*value).into()),
    };
    TensorProto {
        raw_data: None,
        data_location: Some(1),
        external_data: entries.iter().map(entry).collect(),
        ..tensor(&[2], &[])
    }
}

#[test]
fn external_data_that_is_said_twice_or_lies_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("w.data"), [0_u8; 64]).unwrap();
    // The runtime would read at the address 8 of its own memory.
    fs::create_dir_all(folder.path().join("*/_ORT_MEM_ADDR_")).unwrap();
    fs::write(folder.path().join("*/_ORT_MEM_ADDR_/*"), [0_u8; 64]).unwrap();
    let file = ("location", "w.data");
    let cases: [&[(&str, &str)]; 5] = [
        &[file, ("location", "v.data")],
        &[file, ("offset", "0"), ("offset", "8")],
        &[file, ("offset", "+8")],
        &[file, ("offset", " 8")],
        &[("location", "*/_ORT_MEM_ADDR_/*"), ("offset", "8")],
    ];
    let mut faults = Vec::new();
    for entries in cases {
        let path = folder.path().join("model.onnx");
        fs::write(&path, encode(&model(vec![external(entries)], |_| ()))).unwrap();
        let fault = Model::open(&path).unwrap_err().to_string();
        faults.push(fault.replace(&folder.path().display().to_string(), "FOLDER"));
    }
    insta::assert_snapshot!(faults.join("\n\n"));
}

/// A decoder whose outputs or inputs state sizes that its weights do not have.
#[test]
fn sizes_that_no_weight_bears_out() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/functions/decoder.onnx");
    let good = Model::open(&path).unwrap();
    let mut faults = Vec::new();
    for absurd in [1_i64 << 20, i64::MAX] {
        let mut proto = good.proto().clone();
        let graph = proto.graph.as_mut().unwrap();
        let kind = graph.output[0].r#type.as_mut().unwrap();
        let Some(type_proto::Value::TensorType(logits)) = kind.value.as_mut() else {
            panic!("the logits are a tensor");
        };
        let last = logits.shape.as_mut().unwrap().dim.last_mut().unwrap();
        last.value = Some(Dim::DimValue(absurd));
        faults.push(refused(encode(&proto)));
    }
    insta::assert_snapshot!(faults.join("\n\n"));
}

/// A node of very many inputs that is passed again and again: the search gives up instead of going on for hours.
#[test]
fn wide_nodes_do_not_hold_up_the_search() {
    let wide = NodeProto {
        input: vec!["x".into(); 200_000],
        ..node("Mul", &[], "wide")
    };
    let proto = model(vec![tensor(&[1], &[0; 4])], |graph| {
        graph.node = vec![wide, node("MatMul", &["wide", "w"], "y")];
        for copy in 0..2000 {
            let name = format!("y{copy}");
            graph.node.push(node("Identity", &["y"], &name));
            graph.output.push(info(&name));
        }
    });
    let fault = refused(encode(&proto));
    assert!(fault.contains("too tangled"), "{fault}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any few bytes of a real decoder may be others.
    #[test]
    fn changed_bytes_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/functions/decoder.onnx");
        let mut bytes = fs::read(path).unwrap();
        // Weights are most of the file; its structure is what comes before and after them.
        let structure: Vec<usize> = (0..bytes.len()).filter(|at| *at < 4500 || *at > 24_000).collect();
        for (at, value) in changes {
            bytes[structure[at.index(structure.len())]] = value;
        }
        if let Ok(model) = open(bytes) {
            let _ = model.check_finite();
            if let Ok(arch) = Architecture::find(&model) {
                let plan = Plan {
                    taps: arch.sites.iter().map(|site| site.name).collect(),
                    ..Plan::default()
                };
                let _ = instrument(&model, &arch, &plan);
            }
        }
    }
}
