//! The models of `tests/fixtures/circuit` and what PyTorch measured on them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use candor::causal::Pair;
use candor::causal::circuit::{Bench, BlockPieces, Circuit};
use candor::lab::bare;
use candor::model::{Architecture, Model};
use candor::run::{Blocks, Runtime, RuntimeOptions};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct GivenPair {
    pub clean: Vec<i64>,
    pub corrupt: Vec<i64>,
    pub answer: i64,
    pub foil: i64,
    pub group: String,
}

/// Beside a model whose circuit is known.
#[derive(Deserialize)]
pub struct Known {
    pub pairs: Vec<GivenPair>,
    pub edges: Vec<String>,
    pub idle: Vec<String>,
    pub effects: BTreeMap<String, BTreeMap<String, f64>>,
}

/// Beside a model with random weights.
#[derive(Deserialize)]
pub struct Random {
    pub pairs: Vec<GivenPair>,
    pub edges: Vec<String>,
    pub plain: Vec<Vec<f32>>,
    pub circuits: Vec<GivenCircuit>,
    pub patches: Vec<GivenPatch>,
}

#[derive(Deserialize)]
pub struct GivenCircuit {
    pub removed: Vec<String>,
    pub zero: Vec<f64>,
    pub mean: Vec<f64>,
    pub corrupt: Vec<f64>,
}

#[derive(Deserialize)]
pub struct GivenPatch {
    pub sender: String,
    pub receivers: Vec<String>,
    pub through_mlps: bool,
    pub logits: Vec<Vec<f32>>,
}

pub const KNOWN: [&str; 9] = [
    "induction",
    "movers",
    "conjunction",
    "tracr_shift_by_one",
    "tracr_detect_pattern",
    "tracr_hist",
    "tracr_count_less_freq",
    "tracr_sort_unique",
    "tracr_reverse",
];
pub const RANDOM: [&str; 3] = ["random_gpt", "random_llama", "random_neox"];

pub fn path(file: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fixtures/circuit/models").join(file)
}

pub fn told<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let text = std::fs::read_to_string(path(&format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

pub fn blocks_of(path: &std::path::Path) -> candor::fault::Result<Blocks> {
    let model = Model::open(path)?;
    let arch = Architecture::find(&model)?;
    let runtime = Runtime::obtain(&RuntimeOptions::default(), &mut |_| ())?;
    Blocks::open(&runtime, &model, &arch)
}

pub fn blocks(name: &str) -> Blocks {
    blocks_of(&path(&format!("{name}.onnx"))).unwrap()
}

pub fn pairs(given: &[GivenPair]) -> Vec<Pair> {
    let pair = |(index, pair): (usize, &GivenPair)| Pair {
        item: format!("{index}"),
        counterpart: String::new(),
        group: pair.group.clone(),
        clean: bare(pair.clean.clone()),
        corrupt: bare(pair.corrupt.clone()),
        answer: pair.answer,
        foil: pair.foil,
        answer_text: String::new(),
        foil_text: String::new(),
    };
    given.iter().enumerate().map(pair).collect()
}

/// The circuit of the named edges.
pub fn circuit(bench: &Bench<'_>, names: &[String]) -> Circuit {
    let mut circuit = Circuit::empty(bench.graph().n_edges());
    for name in names {
        circuit.set(bench.graph().edge_of(name).unwrap(), true);
    }
    circuit
}

pub fn pieces(blocks: &Blocks) -> BlockPieces<'_> {
    BlockPieces::new(blocks).unwrap()
}
