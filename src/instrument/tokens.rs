//! Small graphs over matrices of tokens: what is done to activations between the pieces of a model where they do not leave the device.
//! Pure.
//!
//! A tensor of tokens may lie in any shape, as a piece makes it or wants it; [`FLAT`] says what it is as a matrix.

use super::build;
use crate::model::encode;
use crate::model::onnx::tensor_proto::DataType;
use crate::model::onnx::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto};

/// The tensor of tokens, of the graph's element type, in any shape.
pub const VALUES: &str = "values";
/// `[2]` int64: its tokens and their width.
pub const FLAT: &str = "flat";
/// `[n]` int64: which tokens are taken.
pub const FROM: &str = "from";
/// `[k, 1]` int64: where rows are written, among those taken.
pub const AT: &str = "at";
/// `[k', width]`: rows to be written; float32 in [`Step::Stage`], else of the graph's element type.
pub const ROWS: &str = "rows";
/// `[k]` int64: which of these are.
pub const WHICH: &str = "which";
/// `[c]` int64: which values of each token are read.
pub const COLUMNS: &str = "columns";
/// `[rank]` int64: the shape of what is made.
pub const SHAPE: &str = "shape";
/// What is made.
pub const MADE: &str = "made";
/// `[k]` float32: 1 where a row is what is there already.
pub const SAME: &str = "same";
/// A second tensor of tokens, and what it is as a matrix.
pub const MORE: [&str; 2] = ["more", "more.flat"];

/// What a graph does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Takes tokens [`FROM`] of [`VALUES`] where `takes`, all of them otherwise; where `writes` it writes the [`WHICH`] of [`ROWS`]
    /// to places [`AT`] of these; and lays them out as [`SHAPE`]. Reads [`FLAT`] where it does either.
    Move {
        /// Whether tokens are chosen.
        takes: bool,
        /// Whether rows are written.
        writes: bool,
    },
    /// Tokens [`FROM`] of [`VALUES`] as float32 `[n, width]`, or `[n, c]` where only [`COLUMNS`] are read.
    Read {
        /// Whether values are chosen.
        columns: bool,
    },
    /// [`ROWS`] `[k, width]`, rounded to the element type, and whether each is [`SAME`] as token [`FROM`] of [`VALUES`].
    Stage,
    /// The tokens of [`VALUES`] and behind them those of [`MORE`], `[n, width]`.
    Join,
}

/// The element type of activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Float {
    /// 32 bits.
    F32,
    /// IEEE half.
    F16,
    /// The upper half of 32 bits.
    Bf16,
}

impl Float {
    fn data_type(self) -> DataType {
        match self {
            Self::F32 => DataType::Float,
            Self::F16 => DataType::Float16,
            Self::Bf16 => DataType::Bfloat16,
        }
    }
}

/// The encoded model of a step.
#[must_use]
pub fn step(step: Step, element: Float) -> Vec<u8> {
    let mut graph = Graph::default();
    let data = element.data_type();
    graph.input(VALUES, data);
    match step {
        Step::Move { takes, writes } => {
            let mut now = VALUES.to_owned();
            if takes || writes {
                now = graph.flat(VALUES, FLAT);
            }
            if takes {
                graph.input(FROM, DataType::Int64);
                now = graph.gather(&now, FROM, 0);
            }
            if writes {
                graph.input(AT, DataType::Int64);
                graph.input(ROWS, data);
                graph.input(WHICH, DataType::Int64);
                let some = graph.gather(ROWS, WHICH, 0);
                now = graph.node("ScatterND", &[&now, AT, &some]);
            }
            graph.input(SHAPE, DataType::Int64);
            graph.output("Reshape", &[&now, SHAPE], MADE, data);
        }
        Step::Read { columns } => {
            let mut now = graph.flat(VALUES, FLAT);
            graph.input(FROM, DataType::Int64);
            now = graph.gather(&now, FROM, 0);
            if columns {
                graph.input(COLUMNS, DataType::Int64);
                now = graph.gather(&now, COLUMNS, 1);
            }
            graph.cast_out(&now, MADE, DataType::Float);
        }
        Step::Stage => {
            let flat = graph.flat(VALUES, FLAT);
            graph.input(FROM, DataType::Int64);
            graph.input(ROWS, DataType::Float);
            graph.cast_out(ROWS, MADE, data);
            let there = graph.gather(&flat, FROM, 0);
            let there = graph.cast(&there, DataType::Float);
            let rounded = graph.cast(MADE, DataType::Float);
            let equal = graph.node("Equal", &[&there, &rounded]);
            let equal = graph.cast(&equal, DataType::Float);
            graph.output("ReduceMin", &[&equal], SAME, DataType::Float);
            graph.attribute(build::ints_attribute("axes", &[1]));
            graph.attribute(build::int_attribute("keepdims", 0));
        }
        Step::Join => {
            let [more, shape] = MORE;
            let first = graph.flat(VALUES, FLAT);
            graph.input(more, data);
            let second = graph.flat(more, shape);
            graph.output("Concat", &[&first, &second], MADE, data);
            graph.attribute(build::int_attribute("axis", 0));
        }
    }
    graph.encoded()
}

/// The default operators of ONNX 1.12: axes of a reduction are an attribute.
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

#[derive(Default)]
struct Graph(GraphProto);

impl Graph {
    fn input(&mut self, name: &str, data: DataType) {
        self.0.input.push(build::unshaped(name.to_owned(), data));
    }

    fn push(&mut self, op: &str, inputs: &[&str], output: String) {
        let name = format!("{output}/{op}");
        self.0.node.push(build::node(name, op, inputs, output));
    }

    fn node(&mut self, op: &str, inputs: &[&str]) -> String {
        let output = format!("{}.{}", op.to_lowercase(), self.0.node.len());
        self.push(op, inputs, output.clone());
        output
    }

    fn attribute(&mut self, attribute: crate::model::onnx::AttributeProto) {
        let last: Option<&mut NodeProto> = self.0.node.last_mut();
        if let Some(node) = last {
            node.attribute.push(attribute);
        }
    }

    fn output(&mut self, op: &str, inputs: &[&str], name: &str, data: DataType) {
        self.push(op, inputs, name.to_owned());
        let info: ValueInfoProto = build::unshaped(name.to_owned(), data);
        self.0.output.push(info);
    }

    fn flat(&mut self, values: &str, shape: &str) -> String {
        self.input(shape, DataType::Int64);
        self.node("Reshape", &[values, shape])
    }

    fn gather(&mut self, values: &str, at: &str, axis: i64) -> String {
        let made = self.node("Gather", &[values, at]);
        self.attribute(build::int_attribute("axis", axis));
        made
    }

    fn cast(&mut self, values: &str, to: DataType) -> String {
        let made = self.node("Cast", &[values]);
        self.attribute(build::int_attribute("to", i64::from(i32::from(to))));
        made
    }

    fn cast_out(&mut self, values: &str, name: &str, to: DataType) {
        self.output("Cast", &[values], name, to);
        self.attribute(build::int_attribute("to", i64::from(i32::from(to))));
    }

    fn encoded(mut self) -> Vec<u8> {
        self.0.name = Some("candor.tokens".to_owned());
        encode(&ModelProto {
            ir_version: Some(IR_VERSION),
            opset_import: vec![OperatorSetIdProto {
                domain: None,
                version: Some(OPSET),
            }],
            graph: Some(self.0),
            ..ModelProto::default()
        })
    }
}
