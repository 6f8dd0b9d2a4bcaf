//! What a graph is made of and what flows into what, for a graph in which no stream was found.

use std::collections::{HashMap, HashSet};

use super::super::super::messages;
use super::super::super::onnx::tensor_proto::DataType;
use super::super::super::onnx::{NodeProto, ValueInfoProto};
use super::super::branch::is_attention;
use super::super::reach::Reach;
use super::super::{inputs, linear, shape};

/// How many operators may stand between a softmax and the product that its scores are from.
const FAR: usize = 64;
/// Sources that are told apart; further ones count as one.
const SOURCES: u32 = 63;

/// Inputs that a value is computed from, one bit each.
type Sources = u64;

/// An attention with what its queries and its keys are computed from.
pub(super) struct Attention {
    pub node: usize,
    pub queries: Sources,
    pub keys: Sources,
}

/// Facts of a graph.
pub(super) struct Census<'r, 'i, 'g> {
    pub reach: &'r Reach<'i, 'g>,
    /// Each node of the graph, or the node that carries the subgraph, with the operator.
    pub operators: Vec<(usize, &'g NodeProto)>,
    /// Integer inputs that index a constant table, in the order of their bits.
    pub tokens: Vec<&'g str>,
    /// Float inputs, in the order of their bits, which follow those of the tokens.
    pub floats: Vec<&'g ValueInfoProto>,
    /// Every attention in the graph itself.
    pub attentions: Vec<Attention>,
    content: HashMap<&'g str, Sources>,
}

impl<'r, 'i, 'g> Census<'r, 'i, 'g> {
    pub fn of(reach: &'r Reach<'i, 'g>) -> Self {
        let nodes = reach.index.graph().node.iter().enumerate();
        let operators = nodes
            .flat_map(|(at, node)| messages::of_nodes([node]).into_iter().map(move |n| (at, n)))
            .collect();
        let mut census = Self {
            reach,
            operators,
            tokens: Vec::new(),
            floats: Vec::new(),
            attentions: Vec::new(),
            content: HashMap::new(),
        };
        census.flow();
        census.attend();
        census
    }

    /// The first node of the graph that is, or carries, an operator like that.
    pub fn first(&self, like: impl Fn(&NodeProto) -> bool) -> Option<usize> {
        self.operators
            .iter()
            .find(|(_, node)| like(node))
            .map(|(at, _)| *at)
    }

    /// Whether any operator might be an attention or a part of one.
    pub fn attends(&self) -> bool {
        let like = |node: &NodeProto| {
            node.op_type().contains("Attention") || node.op_type().contains("Softmax")
        };
        self.first(like).is_some()
    }

    /// What the data input of a node is computed from.
    pub fn sources(&self, node: usize) -> Sources {
        let message = self.reach.index.node(node);
        let data = message.and_then(|message| message.input.first());
        data.map_or(0, |name| self.of_value(name))
    }

    /// Bits of the inputs that hold tokens.
    pub fn of_tokens(&self) -> Sources {
        (0..self.tokens.len()).fold(0, |all, at| all | bit(at))
    }

    /// Names of inputs, by their bits.
    pub fn names(&self, sources: Sources) -> Vec<&'g str> {
        let floats = self.floats.iter().map(|input| input.name());
        let all = self.tokens.iter().copied().chain(floats).enumerate();
        all.filter(|(at, _)| sources & bit(*at) != 0)
            .map(|(_, name)| name)
            .collect()
    }

    /// What a value is computed from.
    pub fn of_value(&self, name: &str) -> Sources {
        self.content.get(name).copied().unwrap_or(0)
    }

    /// Tokens count from the table that they look up onwards: a mask made from them is no content.
    fn flow(&mut self) {
        let index = self.reach.index;
        let mut raw: HashMap<&'g str, HashSet<&'g str>> = HashMap::new();
        for input in index.inputs() {
            let kind = shape::tensor_type(input).and_then(|tensor| tensor.elem_type);
            match kind.and_then(|kind| DataType::try_from(kind).ok()) {
                Some(DataType::Float | DataType::Float16 | DataType::Bfloat16) => {
                    self.floats.push(input);
                }
                Some(DataType::Int64 | DataType::Int32) => {
                    raw.insert(input.name(), HashSet::from([input.name()]));
                }
                _ => {}
            }
        }
        let lookups: Vec<(usize, &'g str)> = index
            .order()
            .iter()
            .filter_map(|&node| Some((node, self.looked_up(&mut raw, node)?)))
            .collect();
        for (_, token) in &lookups {
            if !self.tokens.contains(token) {
                self.tokens.push(token);
            }
        }
        for (at, input) in self.floats.iter().enumerate() {
            self.content
                .insert(input.name(), bit(self.tokens.len() + at));
        }
        let lookups: HashMap<usize, &'g str> = lookups.into_iter().collect();
        for &node in index.order() {
            let Some(message) = index.node(node) else {
                continue;
            };
            if matches!(message.op_type(), "Shape" | "Size") {
                continue;
            }
            let mut sources = index
                .reads(node)
                .fold(0, |all, name| all | self.of_value(name));
            if let Some(at) = lookups
                .get(&node)
                .and_then(|token| self.tokens.iter().position(|t| t == token))
            {
                sources |= bit(at);
            }
            if sources != 0 {
                for output in message.output.iter().filter(|name| !name.is_empty()) {
                    self.content.insert(output, sources);
                }
            }
        }
    }

    /// The input whose integers index the node's table; hands integers on to what is computed from one input alone.
    fn looked_up(
        &self,
        raw: &mut HashMap<&'g str, HashSet<&'g str>>,
        node: usize,
    ) -> Option<&'g str> {
        let message = self.reach.index.node(node)?;
        if let Some((_, indices)) = inputs::lookup(self.reach, node) {
            return raw.get(indices).and_then(|of| of.iter().min().copied());
        }
        let first = message
            .input
            .iter()
            .find_map(|name| raw.get(name.as_str()))?
            .clone();
        for output in &message.output {
            raw.insert(output, first.clone());
        }
        None
    }

    fn attend(&mut self) {
        for &node in self.reach.index.order() {
            let Some(message) = self.reach.index.node(node) else {
                continue;
            };
            let op = message.op_type();
            let factors = if is_attention(op) {
                let [queries, keys] =
                    [0, 1].map(|slot| message.input.get(slot).map(String::as_str));
                let queries = queries.unwrap_or_default();
                Some([
                    queries,
                    keys.filter(|keys| self.reach.is_live(keys))
                        .unwrap_or(queries),
                ])
            } else if op == "Softmax" {
                message
                    .input
                    .first()
                    .and_then(|scores| self.product(scores))
            } else {
                None
            };
            if let Some([queries, keys]) = factors {
                let (queries, keys) = (self.of_value(queries), self.of_value(keys));
                self.attentions.push(Attention {
                    node,
                    queries,
                    keys,
                });
            }
        }
    }

    /// The product of two computed values that scores are from.
    fn product(&self, scores: &'g str) -> Option<[&'g str; 2]> {
        let mut seen = HashSet::new();
        let mut open = vec![scores];
        while let Some(at) = open.pop() {
            let Some((node, _)) = self.reach.index.producer(at) else {
                continue;
            };
            if seen.len() > FAR || !seen.insert(node) {
                continue;
            }
            match linear::factors(self.reach, node) {
                Some(factors) if factors.iter().all(|one| self.of_value(one) != 0) => {
                    return Some(factors);
                }
                Some(_) => {}
                None => open.extend(self.reach.live_inputs(node)),
            }
        }
        None
    }
}

fn bit(at: usize) -> Sources {
    1 << u32::try_from(at).unwrap_or(SOURCES).min(SOURCES)
}
