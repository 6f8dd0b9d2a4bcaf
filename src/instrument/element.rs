//! The element type of a tensor, from what the graph declares or from the operators that make it.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::model::onnx::tensor_proto::DataType;
use crate::model::onnx::{GraphProto, NodeProto, ValueInfoProto, type_proto};
use crate::model::operator;

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
        tensor: &'graph str,
        producer: impl Fn(&str) -> Option<&'graph NodeProto>,
    ) -> Option<DataType> {
        let mut seen = HashSet::from([tensor]);
        let mut open = VecDeque::from([tensor]);
        while let Some(name) = open.pop_front() {
            if let Some(&element) = self.declared.get(name) {
                return DataType::try_from(element).ok();
            }
            let Some(node) = producer(name) else { continue };
            if node.op_type() == "Cast" {
                let mut attributes = node.attribute.iter();
                let to = attributes.find(|attribute| attribute.name() == "to")?;
                return DataType::try_from(i32::try_from(to.i()).ok()?).ok();
            }
            let typed_by = operator(node.op_type()).map_or(&[][..], |operator| operator.typed_by);
            let alike = typed_by.iter();
            let alike = alike.filter_map(|&slot| node.input.get(slot));
            let alike = alike.map(String::as_str).filter(|name| !name.is_empty());
            open.extend(alike.filter(|name| seen.insert(name)));
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
