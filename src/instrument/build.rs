//! Small constructors for the ONNX messages that are added to a graph.

use crate::model::onnx::attribute_proto::AttributeType;
use crate::model::onnx::tensor_proto::DataType;
use crate::model::onnx::tensor_shape_proto::{Dimension, dimension};
use crate::model::onnx::{
    AttributeProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// A node of the default operator domain with one output.
pub(super) fn node(name: String, op: &str, inputs: &[&str], output: String) -> NodeProto {
    NodeProto {
        name: Some(name),
        op_type: Some(op.to_owned()),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output],
        ..NodeProto::default()
    }
}

pub(super) fn int_attribute(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Int.into()),
        i: Some(value),
        ..AttributeProto::default()
    }
}

pub(super) fn ints_attribute(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Ints.into()),
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

/// A float32 tensor; `dims` and the number of values agree.
pub(super) fn float_tensor(
    name: String,
    dims: &[usize],
    values: impl Iterator<Item = f32>,
) -> TensorProto {
    let raw: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
    TensorProto {
        name: Some(name),
        dims: dims.iter().map(|&size| signed(size)).collect(),
        data_type: Some(DataType::Float.into()),
        raw_data: Some(raw.into()),
        ..TensorProto::default()
    }
}

pub(super) fn int_tensor(name: String, values: &[i64]) -> TensorProto {
    let raw: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    TensorProto {
        name: Some(name),
        dims: vec![signed(values.len())],
        data_type: Some(DataType::Int64.into()),
        raw_data: Some(raw.into()),
        ..TensorProto::default()
    }
}

/// A typed, shaped value: a graph input, a graph output or an entry of `value_info`.
pub(super) fn value(name: String, element: DataType, dims: Vec<Dimension>) -> ValueInfoProto {
    let tensor = type_proto::Tensor {
        elem_type: Some(element.into()),
        shape: Some(TensorShapeProto { dim: dims }),
    };
    ValueInfoProto {
        name: Some(name),
        r#type: Some(TypeProto {
            denotation: None,
            value: Some(type_proto::Value::TensorType(tensor)),
        }),
        ..ValueInfoProto::default()
    }
}

/// A typed value of any shape.
pub(super) fn unshaped(name: String, element: DataType) -> ValueInfoProto {
    let tensor = type_proto::Tensor {
        elem_type: Some(element.into()),
        shape: None,
    };
    ValueInfoProto {
        name: Some(name),
        r#type: Some(TypeProto {
            denotation: None,
            value: Some(type_proto::Value::TensorType(tensor)),
        }),
        ..ValueInfoProto::default()
    }
}

pub(super) fn size(value: usize) -> Dimension {
    Dimension {
        denotation: None,
        value: Some(dimension::Value::DimValue(signed(value))),
    }
}

pub(super) fn symbol(name: &str) -> Dimension {
    Dimension {
        denotation: None,
        value: Some(dimension::Value::DimParam(name.to_owned())),
    }
}

// No array in memory has more than `i64::MAX` elements, so the cap is never reached.
fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
