//! How weights are stored: by the operators that read them.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::index::attribute;
use super::super::messages;
use super::super::onnx::tensor_proto::DataType;
use super::super::onnx::{GraphProto, ModelProto, NodeProto, TensorProto};
use super::super::tensor;
use super::{Quantisation, Stored};

/// Slots of an operator that read quantised weights, and their scales and zero points.
struct Reads {
    op: &'static str,
    weights: &'static [usize],
    beside: &'static [usize],
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    /// In blocks, packed into bytes.
    Packed,
    Dynamic,
    Dequantised,
    Static,
}

const QUANTISED: [Reads; 11] = [
    Reads {
        op: "MatMulNBits",
        weights: &[1],
        beside: &[2, 3, 4],
        how: How::Packed,
    },
    Reads {
        op: "GatherBlockQuantized",
        weights: &[0],
        beside: &[2, 3],
        how: How::Packed,
    },
    Reads {
        op: "QMoE",
        weights: &[2, 5, 8],
        beside: &[3, 6, 9],
        how: How::Packed,
    },
    Reads {
        op: "MatMulInteger",
        weights: &[0, 1],
        beside: &[3],
        how: How::Dynamic,
    },
    Reads {
        op: "DynamicQuantizeMatMul",
        weights: &[1],
        beside: &[2, 3],
        how: How::Dynamic,
    },
    Reads {
        op: "MatMulIntegerToFloat",
        weights: &[1],
        beside: &[3, 5],
        how: How::Dynamic,
    },
    Reads {
        op: "QAttention",
        weights: &[1],
        beside: &[4, 7],
        how: How::Dynamic,
    },
    Reads {
        op: "DequantizeLinear",
        weights: &[0],
        beside: &[1, 2],
        how: How::Dequantised,
    },
    Reads {
        op: "QLinearMatMul",
        weights: &[3],
        beside: &[4, 5],
        how: How::Static,
    },
    Reads {
        op: "QGemm",
        weights: &[3],
        beside: &[4, 5],
        how: How::Static,
    },
    Reads {
        op: "QLinearConv",
        weights: &[3],
        beside: &[4, 5],
        how: How::Static,
    },
];

/// Slots that read tables of angles, which are no parameters.
const ANGLES: [(&str, &str, [usize; 2]); 3] = [
    ("com.microsoft", "RotaryEmbedding", [2, 3]),
    ("", "RotaryEmbedding", [1, 2]),
    ("com.microsoft", "GroupQueryAttention", [7, 8]),
];

/// What a tensor is to the operator that reads it.
#[derive(Clone, Copy)]
enum Use<'p> {
    Weight(&'p NodeProto, How),
    /// Scales or zero points of the weight of that name.
    Beside(&'p str),
    Angles,
}

/// Name of an element type as arrays spell it.
pub(super) fn element(kind: DataType) -> String {
    match kind {
        DataType::Float => "float32".into(),
        DataType::Double => "float64".into(),
        DataType::Undefined => String::new(),
        other => other.as_str_name().to_ascii_lowercase(),
    }
}

/// Every weight of the model, grouped.
pub(super) fn stored(proto: &ModelProto) -> Vec<Stored> {
    let uses = proto.graph.as_ref().map(uses).unwrap_or_default();
    let (named, inner) = tensors(proto);
    let ways: HashMap<&str, Way> = named
        .iter()
        .map(|(name, tensor)| (*name, way(tensor, uses.get(name))))
        .collect();
    let mut groups: BTreeMap<Way, Stored> = BTreeMap::new();
    for (name, tensor) in named
        .into_iter()
        .chain(inner.into_iter().map(|tensor| ("", tensor)))
    {
        let used = uses.get(name);
        let group = match used {
            Some(Use::Beside(of)) => ways.get(of).cloned(),
            _ => None,
        };
        let is_beside = group.is_some();
        let group = group.unwrap_or_else(|| way(tensor, used));
        let is_weight = is_float(tensor::data_type(tensor)) || group.1.is_some();
        let Some(bytes) = tensor::raw_len(tensor).filter(|_| is_weight) else {
            continue;
        };
        let numbers = if is_beside || matches!(used, Some(Use::Angles)) {
            0
        } else {
            numbers(tensor, used)
        };
        let (element, quantisation) = group.clone();
        let entry = groups.entry(group).or_insert(Stored {
            element,
            quantisation,
            tensors: 0,
            parameters: 0,
            bytes: 0,
        });
        entry.tensors += usize::from(numbers > 1);
        entry.parameters = entry
            .parameters
            .saturating_add(if numbers > 1 { numbers } else { 0 });
        entry.bytes = entry.bytes.saturating_add(bytes as u64);
    }
    let mut all: Vec<Stored> = groups
        .into_values()
        .filter(|stored| stored.tensors > 0)
        .collect();
    all.sort_by_key(|stored| std::cmp::Reverse(stored.bytes));
    all
}

type Way = (String, Option<Quantisation>);

fn is_float(kind: DataType) -> bool {
    element(kind).contains("float")
}

fn integer(node: &NodeProto, name: &str) -> Option<u64> {
    attribute(node, name)?
        .i
        .and_then(|value| u64::try_from(value).ok())
}

/// Element type and quantisation of a tensor that is used like that.
fn way(tensor: &TensorProto, used: Option<&Use<'_>>) -> Way {
    let own = element(tensor::data_type(tensor));
    let Some(Use::Weight(node, how)) = used else {
        return (own, None);
    };
    let block = || integer(node, "block_size").filter(|size| *size > 0);
    match how {
        How::Packed => {
            let bits = integer(node, "bits").or_else(|| integer(node, "expert_weight_bits"));
            // Without blocks a whole row has one scale.
            (
                format!("int{}", bits.unwrap_or(4)),
                Some(block().map_or(Quantisation::Dequantised, Quantisation::Blocks)),
            )
        }
        _ if is_float(tensor::data_type(tensor)) => (own, None),
        How::Dynamic => (own, Some(Quantisation::Dynamic)),
        How::Dequantised => (
            own,
            Some(block().map_or(Quantisation::Dequantised, Quantisation::Blocks)),
        ),
        How::Static => (own, Some(Quantisation::Static)),
    }
}

/// How many numbers a tensor stands for.
fn numbers(tensor: &TensorProto, used: Option<&Use<'_>>) -> u64 {
    let held = tensor::dims(tensor).map_or(0, |(_, count)| count as u64);
    let Some(Use::Weight(node, How::Packed)) = used else {
        return held;
    };
    let shape = integer(node, "K").and_then(|rows| rows.checked_mul(integer(node, "N")?));
    let width = tensor::bits(tensor::data_type(tensor)).unwrap_or(8) as u64;
    let bits = integer(node, "bits")
        .or_else(|| integer(node, "expert_weight_bits"))
        .unwrap_or(4);
    let unpacked = || held.saturating_mul(width).checked_div(bits).unwrap_or(held);
    shape.unwrap_or_else(unpacked)
}

fn uses(graph: &GraphProto) -> HashMap<&str, Use<'_>> {
    let mut uses = HashMap::new();
    for node in &graph.node {
        let at = |slot: &usize| {
            node.input
                .get(*slot)
                .map(String::as_str)
                .filter(|name| !name.is_empty())
        };
        if let Some(reads) = QUANTISED.iter().find(|reads| reads.op == node.op_type()) {
            for weight in reads.weights.iter().filter_map(at) {
                uses.insert(weight, Use::Weight(node, reads.how));
            }
            if let Some(weight) = reads.weights.iter().rev().find_map(at) {
                for beside in reads.beside.iter().filter_map(at) {
                    uses.entry(beside).or_insert(Use::Beside(weight));
                }
            }
        }
        for (domain, op, slots) in &ANGLES {
            if node.op_type() == *op && node.domain() == *domain {
                uses.extend(slots.iter().filter_map(at).map(|name| (name, Use::Angles)));
            }
        }
    }
    uses
}

/// Tensors of the graph itself with the names that its nodes know them by, and those of subgraphs.
fn tensors(proto: &ModelProto) -> (Vec<(&str, &TensorProto)>, Vec<&TensorProto>) {
    let mut named: Vec<(&str, &TensorProto)> = Vec::new();
    if let Some(graph) = &proto.graph {
        named.extend(
            graph
                .initializer
                .iter()
                .map(|tensor| (tensor.name(), tensor)),
        );
        for node in graph
            .node
            .iter()
            .filter(|node| node.op_type() == "Constant")
        {
            let value = attribute(node, "value").and_then(|value| value.t.as_deref());
            named.extend(node.output.first().map(String::as_str).zip(value));
        }
    }
    let own: HashSet<*const TensorProto> = named
        .iter()
        .map(|(_, tensor)| std::ptr::from_ref(*tensor))
        .collect();
    let mut inner = messages::tensors(proto);
    inner.retain(|tensor| !own.contains(&std::ptr::from_ref(*tensor)));
    (named, inner)
}
