//! Left-out inputs and outputs at the end of a node.

use super::onnx::{GraphProto, ModelProto};

/// Drops names that are empty at the end of a node's inputs and outputs: they say what leaving them out says.
///
/// ONNX Runtime's fusions crash on a norm whose bias is left out by an empty name (1.31, 1.32).
pub(super) fn trim(proto: &mut ModelProto) {
    let mut open: Vec<&mut GraphProto> = proto.graph.iter_mut().collect();
    while let Some(graph) = open.pop() {
        for node in &mut graph.node {
            for names in [&mut node.input, &mut node.output] {
                let kept = names.iter().rposition(|name| !name.is_empty());
                names.truncate(kept.map_or(0, |last| last + 1));
            }
            for attribute in &mut node.attribute {
                open.extend(attribute.g.as_deref_mut());
                open.extend(&mut attribute.graphs);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::onnx::NodeProto;
    use super::*;

    #[test]
    fn what_is_left_out_at_the_end_is_not_named() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let node = NodeProto {
            input: names(&["x", "", "gain", "", ""]),
            output: names(&["", "y", ""]),
            ..NodeProto::default()
        };
        let mut proto = ModelProto {
            graph: Some(GraphProto {
                node: vec![node],
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        };
        trim(&mut proto);
        let node = proto.graph.and_then(|graph| graph.node.into_iter().next());
        let node = node.unwrap_or_default();
        assert_eq!(node.input, ["x", "", "gain"]);
        assert_eq!(node.output, ["", "y"]);
    }
}
