//! Bad files: each is refused with what was found, and nothing panics.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use bytes::Bytes;
use candor::fault::{Fault, Kind};
use candor::model::onnx::{GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto};
use candor::model::{Architecture, Model, encode};
use proptest::prelude::*;

fn tensor(name: &str, values: &[f32]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: vec![i64::try_from(values.len()).unwrap()],
        data_type: Some(1),
        raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        ..TensorProto::default()
    }
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
        ..tensor("weight", &[1.0, 2.0])
    }
}

fn model_with(tensors: Vec<TensorProto>) -> ModelProto {
    ModelProto {
        ir_version: Some(10),
        graph: Some(GraphProto {
            node: vec![NodeProto {
                op_type: Some("Identity".into()),
                input: vec!["weight".into()],
                output: vec!["out".into()],
                ..NodeProto::default()
            }],
            initializer: tensors,
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

fn open_in(folder: &Path, proto: &ModelProto) -> Result<Model, Fault> {
    let path = folder.join("model.onnx");
    fs::write(&path, encode(proto)).unwrap();
    Model::open(&path)
}

fn scrubbed(folder: &Path, fault: &Fault) -> String {
    assert_eq!(fault.kind, Kind::Usage);
    let real = folder.canonicalize().unwrap();
    let text = fault.to_string();
    text.replace(&real.display().to_string(), "FOLDER")
        .replace(&folder.display().to_string(), "FOLDER")
}

#[test]
fn files_that_are_no_models() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let good = encode(&model_with(vec![tensor("weight", &[1.0, 2.0])]));
    let no_nodes = ModelProto {
        graph: Some(GraphProto::default()),
        ..ModelProto::default()
    };
    let no_graph = ModelProto {
        ir_version: Some(10),
        ..ModelProto::default()
    };
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n";
    let cases: [(&str, Vec<u8>); 6] = [
        ("empty", Vec::new()),
        ("truncated", good[..good.len() - 3].to_vec()),
        ("pointer", lfs.to_vec()),
        ("zip", b"PK\x03\x04\x14\x00\x00\x00".to_vec()),
        ("no_graph", encode(&no_graph)),
        ("no_nodes", encode(&no_nodes)),
    ];
    let mut messages = Vec::new();
    for (name, bytes) in cases {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        messages.push(scrubbed(folder, &Model::open(&path).unwrap_err()));
    }
    for path in [folder.join("missing.onnx"), folder.to_path_buf()] {
        messages.push(scrubbed(folder, &Model::open(&path).unwrap_err()));
    }
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn external_data_that_cannot_be_trusted() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("model");
    fs::create_dir_all(folder.join("inner")).unwrap();
    fs::write(outer.path().join("secret"), [0_u8; 64]).unwrap();
    fs::write(folder.join("w.data"), [0_u8; 16]).unwrap();
    let cases: [&[(&str, &str)]; 13] = [
        &[],
        &[("location", "missing.data")],
        &[("location", "../secret")],
        &[("location", "inner/../../secret")],
        &[("location", "/etc/passwd")],
        &[("location", "C:\\weights.data")],
        &[("location", "inner")],
        &[("location", "w.data"), ("offset", "12"), ("length", "8")],
        &[("location", "w.data"), ("offset", "-4"), ("length", "8")],
        &[("location", "w.data"), ("offset", "18446744073709551615")],
        &[("location", "w.data"), ("length", "99999999999999999999")],
        &[("location", "w.data"), ("length", "4")],
        &[("location", ".")],
    ];
    let mut tensors: Vec<TensorProto> = cases.iter().map(|entries| external(entries)).collect();
    for dims in [vec![i64::MAX, 4], vec![-1]] {
        tensors.push(TensorProto {
            dims,
            ..external(&[("location", "w.data")])
        });
    }
    let mut messages = Vec::new();
    for tensor in tensors {
        let fault = open_in(&folder, &model_with(vec![tensor])).unwrap_err();
        messages.push(scrubbed(&folder, &fault));
    }
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_refused_and_one_within_is_not() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("model");
    fs::create_dir(&folder).unwrap();
    fs::write(outer.path().join("secret"), [0_u8; 64]).unwrap();
    fs::write(folder.join("w.data"), [0_u8; 64]).unwrap();
    std::os::unix::fs::symlink("../secret", folder.join("out.data")).unwrap();
    std::os::unix::fs::symlink("w.data", folder.join("in.data")).unwrap();
    let linked = |file| model_with(vec![external(&[("location", file)])]);
    let fault = open_in(&folder, &linked("out.data")).unwrap_err();
    assert!(
        fault.found.contains("outside the model's folder"),
        "{fault}"
    );
    assert!(open_in(&folder, &linked("in.data")).is_ok());
}

#[test]
fn weights_are_read_from_every_place_and_type() {
    let folder = tempfile::tempdir().unwrap();
    let values = [1.5_f32, -2.0];
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let file = [&[9_u8; 4][..], &raw].concat();
    fs::write(folder.path().join("w.data"), file).unwrap();
    let typed = TensorProto {
        raw_data: None,
        float_data: values.to_vec(),
        ..tensor("typed", &values)
    };
    let half = TensorProto {
        data_type: Some(10),
        raw_data: Some(Bytes::from_static(&[0x00, 0x3e, 0x00, 0xc0])),
        ..tensor("half", &values)
    };
    let brain = TensorProto {
        data_type: Some(16),
        raw_data: None,
        int32_data: vec![0x3fc0, 0xc000],
        ..tensor("brain", &values)
    };
    let short = TensorProto {
        dims: vec![3],
        raw_data: None,
        float_data: values.to_vec(),
        ..tensor("short", &values)
    };
    let outside = external(&[("location", "./w.data"), ("offset", "4")]);
    let proto = model_with(vec![
        tensor("raw", &values),
        typed,
        half,
        brain,
        outside,
        short,
    ]);
    let model = open_in(folder.path(), &proto).unwrap();
    for name in ["raw", "typed", "half", "brain", "weight"] {
        let read = model.weights_f32(name).unwrap();
        assert_eq!(read.shape(), [2], "{name}");
        assert_eq!(read.iter().copied().collect::<Vec<_>>(), values, "{name}");
    }
    assert_eq!(model.weights_f32("short").unwrap_err().kind, Kind::Usage);
    assert_eq!(model.weights_f32("none").unwrap_err().kind, Kind::Usage);
    assert_eq!(model.digests().unwrap()[1].path, "w.data");
}

#[test]
fn weights_that_are_not_finite_are_named() {
    let check = |tensors: Vec<TensorProto>| {
        let bytes = encode(&model_with(tensors));
        let model = Model::from_bytes(bytes.into(), Path::new("m.onnx")).unwrap();
        model.check_finite()
    };
    let good = tensor("weight", &[1.0, 2.0]);
    let fault = check(vec![good.clone(), tensor("bad", &[1.0, f32::NAN])]).unwrap_err();
    let found = &fault.found;
    assert!(
        found.contains("`bad` [2] holds NaN at element 1"),
        "{fault}"
    );
    let fault = check(vec![tensor("weight", &[f32::INFINITY, 2.0])]).unwrap_err();
    let found = &fault.found;
    assert!(
        found.contains("`weight` [2] holds inf at element 0"),
        "{fault}"
    );
    let half = TensorProto {
        data_type: Some(10),
        raw_data: Some(Bytes::from_static(&[0x00, 0x7e, 0x00, 0x00])),
        ..good.clone()
    };
    assert!(check(vec![half]).is_err());
    assert!(check(vec![tensor("weight", &[f32::NAN])]).is_err());
    // Constants of masks.
    assert!(check(vec![tensor("weight", &[f32::NEG_INFINITY])]).is_ok());
    assert!(check(vec![tensor("weight", &[0.0, f32::NEG_INFINITY])]).is_ok());
    assert!(check(vec![good]).is_ok());
}

fn try_all(bytes: Vec<u8>) {
    if let Ok(model) = Model::from_bytes(bytes.into(), Path::new("nowhere/m.onnx")) {
        let _ = model.check_finite();
        let _ = model.weights_f32("weight");
        let _ = Architecture::find(&model);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        try_all(bytes);
    }

    #[test]
    fn mutated_models_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode(&model_with(vec![tensor("weight", &[1.0, 2.0])]));
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        try_all(bytes.clone());
        bytes.truncate(cut.index(bytes.len()));
        try_all(bytes);
    }
}

/// A message around `inner`: the field's key, the length as a varint, the bytes.
fn wrapped(key: u8, inner: &[u8]) -> Vec<u8> {
    let mut outer = vec![key];
    let mut len = inner.len();
    while len >= 0x80 {
        outer.push(u8::try_from(len & 0x7f).unwrap() | 0x80);
        len >>= 7;
    }
    outer.push(u8::try_from(len).unwrap());
    outer.extend(inner);
    outer
}

/// Graphs within attributes of nodes of graphs: ends in a fault and not in an overflowing stack.
#[test]
fn deep_nesting_is_refused() {
    let mut bytes = Vec::new();
    for _ in 0..1000 {
        // GraphProto.node (1) holds NodeProto.attribute (5) holds AttributeProto.g (6).
        bytes = wrapped(0x0a, &wrapped(0x2a, &wrapped(0x32, &bytes)));
    }
    let model = wrapped(0x3a, &bytes);
    let fault = Model::from_bytes(model.into(), Path::new("deep.onnx")).unwrap_err();
    assert!(fault.found.contains("more than 96 deep"), "{fault}");
}
