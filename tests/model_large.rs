//! A model of 500 MB is opened and its architecture found without its weights being read, inside the file or beside it.
//! The files are sparse: they take no disk.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use candor::model::onnx::{GraphProto, ModelProto, StringStringEntryProto, TensorProto};
use candor::model::{Architecture, Model, encode};

const WIDTH: usize = 16;
const VOCAB: usize = 4_000_000;
const BYTES: usize = WIDTH * VOCAB * 4;

/// The small decoder of the tests without its two largest weights, and those, with dimensions and no data yet.
fn decoder() -> (ModelProto, [TensorProto; 2]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/functions/decoder.onnx");
    let mut proto = Model::open(&path).unwrap().proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    graph
        .initializer
        .retain(|one| !matches!(one.name(), "table" | "head"));
    graph.output[0].r#type = None;
    let large = |name: &str, dims: [usize; 2]| TensorProto {
        name: Some(name.into()),
        dims: dims.map(|size| i64::try_from(size).unwrap()).to_vec(),
        data_type: Some(1),
        ..TensorProto::default()
    };
    (
        proto,
        [
            large("table", [VOCAB, WIDTH]),
            large("head", [WIDTH, VOCAB]),
        ],
    )
}

fn beside(folder: &Path) -> PathBuf {
    let (mut proto, mut tensors) = decoder();
    for (at, tensor) in tensors.iter_mut().enumerate() {
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: Some(key.into()),
            value: Some(value),
        };
        tensor.data_location = Some(1);
        tensor.external_data = vec![
            entry("location", "weights.data".into()),
            entry("offset", (at * BYTES).to_string()),
        ];
    }
    let data = File::create(folder.join("weights.data")).unwrap();
    data.set_len(2 * BYTES as u64).unwrap();
    proto.graph.as_mut().unwrap().initializer.extend(tensors);
    let path = folder.join("beside.onnx");
    fs::write(&path, encode(&proto)).unwrap();
    path
}

fn key(number: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut rest = len;
    while rest >= 0x80 {
        bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// The same in one file, written by hand around holes of zeros.
fn inside(folder: &Path) -> PathBuf {
    let (mut proto, tensors) = decoder();
    // The fields of a message follow one another: what is encoded alone can be put into a graph's bytes.
    let graph = proto.graph.take().unwrap();
    let body = |graph: GraphProto| {
        let whole = encode(&ModelProto {
            graph: Some(graph.clone()),
            ..ModelProto::default()
        });
        let len = (0..=whole.len())
            .find(|len| key(7, *len).len() + len == whole.len())
            .unwrap();
        whole[whole.len() - len..].to_vec()
    };
    let small = body(graph);
    // GraphProto.initializer is 5, TensorProto.raw_data 9.
    let heads = tensors.map(|tensor| {
        let alone = body(GraphProto {
            initializer: vec![tensor],
            ..GraphProto::default()
        });
        let head = [
            alone[key(5, alone.len() - 2).len()..].to_vec(),
            key(9, BYTES),
        ]
        .concat();
        [key(5, head.len() + BYTES), head].concat()
    });
    let len = small.len() + heads.iter().map(|head| head.len() + BYTES).sum::<usize>();
    let path = folder.join("inside.onnx");
    let file = File::create(&path).unwrap();
    let mut at = 0_u64;
    let mut put = |bytes: &[u8], hole: usize| {
        file.write_all_at(bytes, at).unwrap();
        at += (bytes.len() + hole) as u64;
        file.set_len(at).unwrap();
    };
    put(&encode(&proto), 0);
    put(&key(7, len), 0);
    put(&small, 0);
    for head in &heads {
        put(head, BYTES);
    }
    path
}

/// Memory of this process that is there and not swapped or mapped only, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let number = line.split_whitespace().nth(1).unwrap();
    number.parse::<usize>().unwrap() * 1024
}

#[test]
fn weights_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    for path in [beside(folder.path()), inside(folder.path())] {
        let before = resident();
        let start = Instant::now();
        let model = Model::open(&path).unwrap();
        let arch = Architecture::find(&model).unwrap();
        let took = start.elapsed();
        let files: u64 = model.files().iter().map(|file| file.bytes).sum();
        let grown = resident().saturating_sub(before);
        println!(
            "{}: {files} bytes, {grown} of memory, {took:?}",
            path.display()
        );
        assert_eq!(
            (arch.vocab_size, arch.d_model, arch.n_layers),
            (VOCAB, WIDTH, 2)
        );
        assert!(files > 500_000_000);
        assert!(grown < 20 << 20, "{grown} bytes of memory for {files}");
        assert_eq!(model.weights_f32("g").unwrap().shape(), [WIDTH]);
    }
}
