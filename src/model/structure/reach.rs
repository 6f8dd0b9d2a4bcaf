//! What depends on what: data edges only, so that a shape read from a tensor does not count as the tensor.

use std::cell::Cell;
use std::collections::HashSet;

use super::super::index::GraphIndex;
use super::super::onnx::ValueInfoProto;
use super::value::{SKIP_SUM_SLOT, is_skip_norm};
use crate::fault::Result;

/// Steps allowed for each node (and a thousand more) before a graph counts as too tangled; of 300 exported models none
/// took more than three.
const STEPS_PER_NODE: usize = 64;

/// Answers questions of dependence over one graph.
pub(super) struct Reach<'i, 'g> {
    pub index: &'i GraphIndex<'g>,
    live: HashSet<&'g str>,
    steps: Cell<usize>,
}

impl<'i, 'g> Reach<'i, 'g> {
    pub fn new(index: &'i GraphIndex<'g>) -> Self {
        let mut live: HashSet<&'g str> = index.inputs().map(ValueInfoProto::name).collect();
        for &node in index.order() {
            if !cuts(index, node) && index.reads(node).any(|name| live.contains(name)) {
                live.extend(outputs(index, node));
            }
        }
        Self {
            index,
            live,
            steps: Cell::new(0),
        }
    }

    /// Whether a tensor's values depend on what is fed into the graph (and not only on its shape).
    pub fn is_live(&self, tensor: &str) -> bool {
        self.live.contains(tensor)
    }

    /// The inputs of a node that are live, without repetition.
    pub fn live_inputs(&self, node: usize) -> Vec<&'g str> {
        // A node may have any number of inputs: each is work, and the next step tells when there was too much.
        let width = self.index.node(node).map_or(0, |node| node.input.len());
        self.steps.set(self.steps.get().saturating_add(width));
        let mut seen = HashSet::new();
        self.index
            .reads(node)
            .filter(|name| self.is_live(name) && seen.insert(*name))
            .collect()
    }

    /// Whether the values of `of` are computed from `tensor`.
    pub fn is_ancestor(&self, tensor: &str, of: &str) -> Result<bool> {
        let floor = self
            .index
            .producer(tensor)
            .map(|(node, _)| self.index.rank(node));
        let same = self.same_value(tensor);
        let mut seen = HashSet::new();
        let mut open = vec![of];
        while let Some(at) = open.pop() {
            if same.contains(&at) {
                return Ok(true);
            }
            let Some((node, _)) = self.index.producer(at) else {
                continue;
            };
            // Whatever comes before the tensor's producer cannot lead back to it.
            let before = floor.is_some_and(|floor| self.index.rank(node) <= floor);
            if before || cuts(self.index, node) {
                continue;
            }
            for name in self.index.reads(node) {
                self.step()?;
                if self.is_live(name) && seen.insert(name) {
                    open.push(name);
                }
            }
        }
        Ok(false)
    }

    /// Every node that `of` is computed by, back to `stop` (which is not passed), in topological order.
    pub fn region(&self, of: &str, stop: Option<&str>) -> Result<Vec<usize>> {
        let stop = stop.map_or_else(Vec::new, |tensor| self.same_value(tensor));
        let mut nodes = HashSet::new();
        let mut open = vec![of];
        while let Some(at) = open.pop() {
            self.step()?;
            if stop.contains(&at) {
                continue;
            }
            let Some((node, _)) = self.index.producer(at) else {
                continue;
            };
            if !cuts(self.index, node) && nodes.insert(node) {
                open.extend(self.live_inputs(node));
            }
        }
        let mut nodes: Vec<usize> = nodes.into_iter().collect();
        nodes.sort_unstable_by_key(|&node| self.index.rank(node));
        Ok(nodes)
    }

    /// Outputs of the given nodes (in topological order) that are computed from `source`, and `source` itself.
    pub fn computed_from(&self, source: &'g str, nodes: &[usize]) -> HashSet<&'g str> {
        let mut found: HashSet<&'g str> = self.same_value(source).into_iter().collect();
        for &node in nodes {
            if !cuts(self.index, node) && self.index.reads(node).any(|name| found.contains(name)) {
                found.extend(outputs(self.index, node));
            }
        }
        found
    }

    /// The nodes between `node` and the tensor `of`, in topological order, and what of theirs is computed from `node`.
    pub fn after(&self, node: usize, of: &str) -> Result<(Vec<usize>, HashSet<&'g str>)> {
        let floor = self.index.rank(node);
        let mut nodes = HashSet::new();
        let mut open = vec![of];
        while let Some(at) = open.pop() {
            self.step()?;
            let Some((maker, _)) = self.index.producer(at) else {
                continue;
            };
            // What stands before the node in the order is not computed from it.
            if self.index.rank(maker) > floor && !cuts(self.index, maker) && nodes.insert(maker) {
                open.extend(self.live_inputs(maker));
            }
        }
        let mut nodes: Vec<usize> = nodes.into_iter().collect();
        nodes.sort_unstable_by_key(|&node| self.index.rank(node));
        let mut found: HashSet<&'g str> = outputs(self.index, node).collect();
        nodes.retain(|&node| {
            let is_behind = self.index.reads(node).any(|name| found.contains(name));
            if is_behind {
                found.extend(outputs(self.index, node));
            }
            is_behind
        });
        Ok((nodes, found))
    }

    /// Whether `of` is computed from one of the nodes by a way that does not pass `through`.
    pub fn around(&self, nodes: &[usize], of: &str, through: &str) -> Result<bool> {
        let floor = nodes.iter().map(|&node| self.index.rank(node)).min();
        let mut seen = HashSet::new();
        let mut open = vec![of];
        while let Some(at) = open.pop() {
            self.step()?;
            let Some((maker, _)) = self.index.producer(at).filter(|_| at != through) else {
                continue;
            };
            if nodes.contains(&maker) {
                return Ok(true);
            }
            let above = floor.is_some_and(|floor| self.index.rank(maker) > floor);
            if above && !cuts(self.index, maker) && seen.insert(maker) {
                open.extend(self.live_inputs(maker));
            }
        }
        Ok(false)
    }

    /// The tensor, and beside the sum of a fused skip norm its norm: the operator makes the one from the other.
    pub fn same_value<'t>(&self, tensor: &'t str) -> Vec<&'t str>
    where
        'g: 't,
    {
        let mut all = vec![tensor];
        if let Some((node, SKIP_SUM_SLOT)) = self.index.producer(tensor) {
            let message = self.index.node(node);
            let message = message.filter(|message| is_skip_norm(message.op_type()));
            all.extend(
                message
                    .and_then(|message| message.output.first())
                    .map(String::as_str),
            );
        }
        all
    }

    /// Counts a step of a search.
    pub fn step(&self) -> Result<()> {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        let allowed = STEPS_PER_NODE * (self.index.order().len() + 1000);
        if steps > allowed {
            return Err(super::broken(
                "the graph is too tangled to follow its residual stream",
                "a chain of additions, each with branches computed from the stream",
            ));
        }
        Ok(())
    }
}

fn cuts(index: &GraphIndex<'_>, node: usize) -> bool {
    index
        .node(node)
        .is_some_and(|node| matches!(node.op_type(), "Shape" | "Size"))
}

fn outputs<'g>(index: &GraphIndex<'g>, node: usize) -> impl Iterator<Item = &'g str> {
    let made = index.node(node).map_or(&[][..], |node| &node.output);
    made.iter()
        .map(String::as_str)
        .filter(|name| !name.is_empty())
}
