//! Which nodes of a graph only reckon with shapes, positions and constants.

use std::collections::HashSet;

use prost::Message;

use super::index::GraphIndex;
use super::onnx::tensor_proto::DataType;
use super::onnx::type_proto::Value;
use super::onnx::{ModelProto, NodeProto, TensorProto, ValueInfoProto};
use super::tensor;

/// Stored tensors of more elements are weights. ONNX Runtime holds no larger ones for parts of a shape.
const FEW: usize = 100;

/// Names of the nodes that nothing reaches that is computed from a weight or from an input of floats, but for its shape. Empty if
/// the bytes are no model.
#[must_use]
pub fn reckoning(model: &[u8]) -> HashSet<String> {
    let Ok(ModelProto {
        graph: Some(graph), ..
    }) = ModelProto::decode(model)
    else {
        return HashSet::new();
    };
    let Ok(index) = GraphIndex::new(&graph) else {
        return HashSet::new();
    };
    let stored = graph.initializer.iter().filter(|own| is_weight(own));
    let inputs = index.inputs().filter(|input| is_float(input));
    let mut worked: HashSet<&str> = stored
        .map(TensorProto::name)
        .chain(inputs.map(ValueInfoProto::name))
        .collect();
    let (mut working, mut all) = (HashSet::new(), HashSet::new());
    for &at in index.order() {
        let Some(node) = index.node(at) else { continue };
        all.insert(node.name());
        let measures = matches!(node.op_type(), "Shape" | "Size");
        if measures || !(holds_weight(node) || index.reads(at).any(|name| worked.contains(name))) {
            continue;
        }
        working.insert(node.name());
        worked.extend(node.output.iter().map(String::as_str));
    }
    all.difference(&working)
        .filter(|name| !name.is_empty())
        .map(|name| (*name).to_owned())
        .collect()
}

fn is_weight(stored: &TensorProto) -> bool {
    let counts = matches!(
        tensor::data_type(stored),
        DataType::Int32 | DataType::Int64 | DataType::Bool
    );
    !counts && tensor::dims(stored).is_none_or(|(_, count)| count > FEW)
}

fn holds_weight(node: &NodeProto) -> bool {
    node.attribute
        .iter()
        .any(|own| own.t.as_deref().is_some_and(is_weight) || own.g.is_some())
}

fn is_float(input: &ValueInfoProto) -> bool {
    let value = input.r#type.as_ref().and_then(|own| own.value.as_ref());
    let element = match value {
        Some(Value::TensorType(own)) => own.elem_type,
        _ => None,
    };
    let counts = [DataType::Int32, DataType::Int64, DataType::Bool];
    element.is_none_or(|element| counts.iter().all(|own| i32::from(*own) != element))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::super::onnx::{GraphProto, TypeProto, type_proto};
    use super::*;

    fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
        NodeProto {
            name: Some(format!("{op}:{output}")),
            op_type: Some(op.to_owned()),
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        }
    }

    fn stored(name: &str, data: DataType, count: i64) -> TensorProto {
        TensorProto {
            name: Some(name.to_owned()),
            dims: vec![count],
            data_type: Some(data.into()),
            ..TensorProto::default()
        }
    }

    #[test]
    fn a_scale_that_is_computed_from_a_shape_is_no_work_and_what_it_scales_is() {
        let tensor = type_proto::Tensor {
            elem_type: Some(DataType::Float.into()),
            shape: None,
        };
        let graph = GraphProto {
            input: vec![ValueInfoProto {
                name: Some("stream".to_owned()),
                r#type: Some(TypeProto {
                    denotation: None,
                    value: Some(Value::TensorType(tensor)),
                }),
                ..ValueInfoProto::default()
            }],
            initializer: vec![
                stored("weight", DataType::Float, 4096),
                stored("packed", DataType::Uint8, 4096),
                stored("one", DataType::Float, 1),
                stored("table", DataType::Int64, 4096),
            ],
            node: vec![
                node("Shape", &["stream"], "sizes"),
                node("Gather", &["table", "sizes"], "size"),
                node("Cast", &["size"], "real"),
                node("Sqrt", &["real"], "root"),
                node("Div", &["one", "root"], "scale"),
                node("Mul", &["stream", "scale"], "scaled"),
                node("MatMul", &["scaled", "weight"], "mixed"),
                node("MatMulNBits", &["root", "packed"], "unpacked"),
            ],
            ..GraphProto::default()
        };
        let model = ModelProto {
            graph: Some(graph),
            ..ModelProto::default()
        };
        let mut found: Vec<String> = reckoning(&model.encode_to_vec()).into_iter().collect();
        found.sort();
        let expected = [
            "Cast:real",
            "Div:scale",
            "Gather:size",
            "Shape:sizes",
            "Sqrt:root",
        ];
        assert_eq!(found, expected);
        assert!(reckoning(b"no model").is_empty());
    }
}
