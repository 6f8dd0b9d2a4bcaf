//! The element type of a tensor, from what the graph declares or from the operators that make it.

use std::collections::HashMap;

use crate::model::onnx::tensor_proto::DataType;
use crate::model::onnx::{GraphProto, NodeProto, ValueInfoProto, type_proto};

/// Declared element types by tensor name, and the nodes to walk where none is declared.
pub(super) struct Elements {
    declared: HashMap<String, i32>,
}

impl Elements {
    pub(super) fn of(graph: &GraphProto) -> Self {
        let values = graph
            .input
            .iter()
            .chain(&graph.output)
            .chain(&graph.value_info);
        let declared = values.filter_map(|value| Some((value.name.clone()?, declared(value)?)));
        let initializers = graph.initializer.iter();
        let stored =
            initializers.filter_map(|tensor| Some((tensor.name.clone()?, tensor.data_type?)));
        Self {
            declared: stored.chain(declared).collect(),
        }
    }

    /// The element type of `tensor`; `None` where the graph does not say and the operators before it do not tell.
    ///
    /// `producer` gives the node that makes a tensor.
    pub(super) fn find<'graph>(
        &self,
        tensor: &str,
        producer: impl Fn(&str) -> Option<&'graph NodeProto>,
        nodes: usize,
    ) -> Option<DataType> {
        let mut name = tensor;
        // A malformed graph may have a cycle; a walk longer than the graph has nodes is one.
        for _ in 0..=nodes {
            if let Some(&element) = self.declared.get(name) {
                return DataType::try_from(element).ok();
            }
            let node = producer(name)?;
            if node.op_type() == "Cast" {
                let to = node
                    .attribute
                    .iter()
                    .find(|attribute| attribute.name() == "to")?;
                return DataType::try_from(i32::try_from(to.i()).ok()?).ok();
            }
            name = node.input.get(same_type_as(node.op_type())?)?;
        }
        None
    }
}

fn declared(value: &ValueInfoProto) -> Option<i32> {
    match value.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => tensor.elem_type.filter(|&element| element != 0),
        _ => None,
    }
}

/// The input whose element type the first output and the stream output of an operator have.
fn same_type_as(op: &str) -> Option<usize> {
    match op {
        "Add"
        | "Sub"
        | "Mul"
        | "Div"
        | "Sum"
        | "MatMul"
        | "Gemm"
        | "Gather"
        | "Identity"
        | "Dropout"
        | "Reshape"
        | "Transpose"
        | "Squeeze"
        | "Unsqueeze"
        | "Expand"
        | "Slice"
        | "Concat"
        | "Split"
        | "LayerNormalization"
        | "SimplifiedLayerNormalization"
        | "RMSNormalization"
        | "SkipLayerNormalization"
        | "SkipSimplifiedLayerNormalization"
        | "MatMulNBits"
        | "Softmax"
        | "Tanh"
        | "Gelu"
        | "FusedMatMul"
        | "FusedGemm"
        | "Attention"
        | "MultiHeadAttention"
        | "GroupQueryAttention" => Some(0),
        "Where" | "DequantizeLinear" => Some(1),
        "GatherBlockQuantized" => Some(2),
        _ => None,
    }
}
