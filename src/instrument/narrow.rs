//! An unembedding for some tokens: columns of its weight, and of whatever is applied to each logit behind it.

use std::collections::{HashMap, HashSet};

use super::build;
use super::names::Names;
use crate::model::onnx::tensor_proto::DataType;
use crate::model::onnx::{GraphProto, NodeProto};
use crate::model::{Role, role};

/// The input that names the tokens, `[tokens]` int64.
pub const TOKENS: &str = "candor.tokens";

/// Lets a graph that makes `logits` `[…, vocab]` make those of the tokens in [`TOKENS`] instead, in their order.
///
/// # Errors
/// What stands between the weight and the logits.
pub(super) fn narrow(graph: &mut GraphProto, logits: &str) -> std::result::Result<(), String> {
    let fixed = fixed(graph);
    let producers: HashMap<String, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(at, node)| node.output.iter().map(move |name| (name.clone(), at)))
        .collect();
    let sizes = sizes(graph);
    // Inputs to be replaced by some of their columns (or rows): node, slot, axis.
    let mut chosen: Vec<(usize, usize, i64)> = Vec::new();
    let mut at = logits.to_owned();
    loop {
        let index = producers.get(&at).copied();
        let node = index.and_then(|index| Some((index, graph.node.get(index)?)));
        let (index, node) = node.ok_or_else(|| format!("`{at}`, which no operator makes"))?;
        let attribute = |name: &str| {
            node.attribute
                .iter()
                .find(|own| own.name() == name)
                .and_then(|own| own.i)
        };
        let plain = matches!(node.domain(), "" | "ai.onnx" | "com.microsoft");
        let stored = |slot: usize| {
            node.input
                .get(slot)
                .is_some_and(|name| fixed.contains(name))
        };
        match role(node.op_type()) {
            Some(Role::Product([0, 1])) if plain && stored(1) && is_simple(node) => {
                let turned = attribute("transB").unwrap_or(0) != 0;
                chosen.push((index, 1, i64::from(!turned)));
                if let Some(bias) = node.input.get(2).filter(|name| !name.is_empty()) {
                    let last = sizes.get(bias).and_then(|dims| dims.last());
                    if last.is_none_or(|last| *last != 1) {
                        chosen.push((index, 2, -1));
                    }
                }
                break;
            }
            Some(Role::Copy) => at = node.input.first().cloned().unwrap_or_default(),
            Some(Role::Pointwise) => {
                let mut computed = node
                    .input
                    .iter()
                    .filter(|name| !name.is_empty() && !fixed.contains(*name));
                let next = computed.next().cloned().unwrap_or_default();
                if computed.next().is_some() {
                    return Err(format!("`{}` of two computed values", node.op_type()));
                }
                for (slot, name) in node.input.iter().enumerate() {
                    if !fixed.contains(name) {
                        continue;
                    }
                    match sizes
                        .get(name)
                        .map(|dims| dims.last().copied().unwrap_or(1))
                    {
                        Some(1) => {}
                        Some(_) => chosen.push((index, slot, -1)),
                        None => return Err(format!("`{name}` of unknown size")),
                    }
                }
                at = next;
            }
            _ => return Err(format!("the operator `{}`", node.op_type())),
        }
    }
    let mut names = Names::of(graph);
    let mut added: Vec<NodeProto> = Vec::new();
    for (index, slot, axis) in chosen {
        let Some(input) = graph
            .node
            .get_mut(index)
            .and_then(|node| node.input.get_mut(slot))
        else {
            continue;
        };
        let some = names.fresh("candor.some");
        let mut gather = build::node(
            format!("{some}/Gather"),
            "Gather",
            &[input.as_str(), TOKENS],
            some.clone(),
        );
        gather.attribute.push(build::int_attribute("axis", axis));
        added.push(gather);
        *input = some;
    }
    // What is fixed may itself be made by nodes, which come first.
    let (mut before, behind): (Vec<NodeProto>, Vec<NodeProto>) = std::mem::take(&mut graph.node)
        .into_iter()
        .partition(|node| node.output.iter().all(|name| fixed.contains(name)));
    before.extend(added);
    before.extend(behind);
    graph.node = before;
    graph.value_info.clear();
    graph.input.push(build::value(
        TOKENS.to_owned(),
        DataType::Int64,
        vec![build::symbol("candor.chosen")],
    ));
    Ok(())
}

/// Products without a factor or a turn of their own that a choice of columns would not survive.
fn is_simple(node: &NodeProto) -> bool {
    matches!(node.op_type(), "MatMul" | "Gemm")
}

/// Names of everything that no input has a part in.
fn fixed(graph: &GraphProto) -> HashSet<String> {
    let stored = graph
        .initializer
        .iter()
        .map(|tensor| tensor.name().to_owned());
    let mut fixed: HashSet<String> = stored.collect();
    for node in &graph.node {
        let known = |name: &String| name.is_empty() || fixed.contains(name);
        if node.input.iter().all(known) && node.attribute.iter().all(|own| own.g.is_none()) {
            fixed.extend(node.output.iter().filter(|name| !name.is_empty()).cloned());
        }
    }
    fixed
}

/// Sizes of stored tensors, and of constants in nodes.
fn sizes(graph: &GraphProto) -> HashMap<String, Vec<i64>> {
    let stored = graph
        .initializer
        .iter()
        .map(|tensor| (tensor.name().to_owned(), tensor.dims.clone()));
    let constants = graph
        .node
        .iter()
        .filter(|node| node.op_type() == "Constant")
        .filter_map(|node| {
            let dims = node
                .attribute
                .iter()
                .find_map(|own| match (&own.t, own.name()) {
                    (Some(tensor), _) => Some(tensor.dims.clone()),
                    (None, "value_float" | "value_int") => Some(Vec::new()),
                    _ => None,
                })?;
            Some((node.output.first()?.clone(), dims))
        });
    stored.chain(constants).collect()
}
