//! What is needed to compute some tensors of a graph from others.

use std::collections::{HashMap, HashSet};

use crate::model::{GraphIndex, Role, role};

/// What is needed to compute some tensors, back to those that are given.
pub(super) struct Region<'g> {
    /// In topological order.
    pub nodes: Vec<usize>,
    pub inputs: Vec<&'g str>,
    pub stored: HashSet<&'g str>,
    pub given: HashSet<&'g str>,
    /// Tensors of which only the shape is needed, and known: `[batch, seq, width]`.
    pub measured: HashMap<&'g str, usize>,
}

impl<'g> Region<'g> {
    pub fn of(
        index: &GraphIndex<'g>,
        given: &HashSet<&str>,
        wanted: &[&'g str],
        by_token: &HashMap<String, usize>,
    ) -> Self {
        let mut region = Self {
            nodes: Vec::new(),
            inputs: Vec::new(),
            stored: HashSet::new(),
            given: HashSet::new(),
            measured: HashMap::new(),
        };
        let mut seen: HashSet<&str> = HashSet::new();
        let mut taken: HashSet<usize> = HashSet::new();
        let mut open: Vec<&'g str> = wanted.to_vec();
        while let Some(name) = open.pop() {
            if name.is_empty() || !seen.insert(name) {
                continue;
            }
            if given.contains(name) {
                region.given.insert(name);
            } else if let Some((node, _)) = index.producer(name) {
                if !taken.insert(node) {
                    continue;
                }
                let shape_of = index.node(node).filter(|node| node.op_type() == "Shape");
                let measured = shape_of.and_then(|node| node.input.first());
                let measured = measured.filter(|input| !given.contains(input.as_str()));
                match measured.and_then(|input| Some((input, alike(index, input, by_token)?))) {
                    Some((input, width)) => {
                        region.measured.insert(input, width);
                    }
                    None => open.extend(index.reads(node)),
                }
            } else if index.initializer(name).is_some() {
                region.stored.insert(name);
            } else {
                region.inputs.push(name);
            }
        }
        region.nodes = taken.into_iter().collect();
        region.nodes.sort_unstable_by_key(|&node| index.rank(node));
        region
    }
}

/// The width of a tensor that has the shape of one `[batch, seq, width]`, because it is computed from one value by value.
fn alike(index: &GraphIndex<'_>, tensor: &str, by_token: &HashMap<String, usize>) -> Option<usize> {
    const FAR: usize = 32;
    let mut seen = HashSet::new();
    let mut open = vec![tensor];
    while let Some(name) = open.pop() {
        if let Some(width) = by_token.get(name) {
            return Some(*width);
        }
        if seen.len() > FAR || !seen.insert(name) {
            return None;
        }
        let node = index.producer(name).and_then(|(node, _)| index.node(node));
        let Some(node) = node else { continue };
        let first = node.input.first().map(String::as_str);
        match role(node.op_type()) {
            Some(Role::Norm { .. } | Role::SkipNorm { .. } | Role::Copy) => open.extend(first),
            Some(Role::Pointwise) => open.extend(node.input.iter().map(String::as_str)),
            _ => {}
        }
    }
    None
}
