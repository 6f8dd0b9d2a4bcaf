//! Nodes, what they read, and the edges between them.

use std::fmt;
use std::str::FromStr;

use super::pieces::Anatomy;
use crate::fault::{Fault, Result};
use crate::run::AttentionPart;

/// Whoever writes into the stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Node {
    /// The embedding, learned positions included.
    Input,
    /// An attention head.
    Head {
        /// 0-based block.
        layer: usize,
        /// 0-based head.
        head: usize,
    },
    /// An MLP.
    Mlp {
        /// 0-based block.
        layer: usize,
    },
}

/// What is read from the stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Receiver {
    /// Queries of a head, or keys or values of one head or a group.
    Head {
        /// 0-based block.
        layer: usize,
        /// Which part.
        part: AttentionPart,
        /// The query heads that it reaches.
        heads: Vec<usize>,
    },
    /// The input of an MLP.
    Mlp {
        /// 0-based block.
        layer: usize,
    },
    /// What the unembedding reads.
    Logits,
}

/// A sender and a receiver, as indices into [`Graph::nodes`] and [`Graph::receivers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Edge {
    /// The node that writes.
    pub sender: usize,
    /// What is read.
    pub receiver: usize,
}

/// All nodes and edges of a model.
///
/// Steps number what happens one after the other: 0 is the embedding, `1 + 2L` the attention and `2 + 2L` the MLP of block L,
/// `1 + 2·n_layers` the logits.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Nodes in the order in which they write.
    pub nodes: Vec<Node>,
    /// Receivers in the order in which they read.
    pub receivers: Vec<Receiver>,
    /// For each receiver how many nodes, from the first, have written before it reads.
    before: Vec<usize>,
    /// For each receiver the index of its first edge.
    first: Vec<usize>,
    /// For each receiver the step whose stream it reads.
    reads: Vec<usize>,
    n_layers: usize,
}

impl Graph {
    /// The graph of a model of these parts.
    #[must_use]
    pub fn of(anatomy: &Anatomy) -> Self {
        let mut nodes = vec![Node::Input];
        let (mut receivers, mut before, mut reads) = (Vec::new(), Vec::new(), Vec::new());
        for (layer, parts) in anatomy.layers.iter().enumerate() {
            let (at, step) = (nodes.len(), 1 + 2 * layer);
            for input in &parts.inputs {
                receivers.push(Receiver::Head {
                    layer,
                    part: input.part,
                    heads: input.heads.clone(),
                });
                before.push(at);
                reads.push(step);
            }
            nodes.extend((0..parts.heads).map(|head| Node::Head { layer, head }));
            if parts.mlp {
                receivers.push(Receiver::Mlp { layer });
                before.push(if parts.parallel { at } else { nodes.len() });
                reads.push(if parts.parallel { step } else { step + 1 });
                nodes.push(Node::Mlp { layer });
            }
        }
        receivers.push(Receiver::Logits);
        before.push(nodes.len());
        reads.push(1 + 2 * anatomy.layers.len());
        let mut next = 0;
        let first = before
            .iter()
            .map(|before| {
                next += before;
                next - before
            })
            .collect();
        Self {
            nodes,
            receivers,
            before,
            first,
            reads,
            n_layers: anatomy.layers.len(),
        }
    }

    /// Number of edges.
    #[must_use]
    pub fn n_edges(&self) -> usize {
        self.before.iter().sum()
    }

    /// The edges into a receiver, from the earliest sender on: the indices into a circuit.
    #[must_use]
    pub fn into(&self, receiver: usize) -> std::ops::Range<usize> {
        let first = self.first.get(receiver).copied().unwrap_or(0);
        first..first + self.before.get(receiver).copied().unwrap_or(0)
    }

    /// The edge of that index.
    #[must_use]
    pub fn edge(&self, index: usize) -> Edge {
        let receiver = self.first.partition_point(|first| *first <= index);
        let receiver = receiver.saturating_sub(1);
        Edge {
            sender: index - self.first.get(receiver).copied().unwrap_or(0),
            receiver,
        }
    }

    /// The index of an edge, if there is one.
    #[must_use]
    pub fn index(&self, edge: Edge) -> Option<usize> {
        let before = *self.before.get(edge.receiver)?;
        (edge.sender < before).then(|| self.first.get(edge.receiver).map(|f| f + edge.sender))?
    }

    /// The index of the edge between a node and a receiver.
    ///
    /// # Errors
    /// Usage: the model has no such node or receiver, or the node writes after the receiver has read.
    pub fn edge_between(&self, sender: &Node, receiver: &Receiver) -> Result<usize> {
        let doing = || format!("naming the edge `{sender}>{receiver}`");
        let node = self.nodes.iter().position(|own| own == sender);
        let node = node.ok_or_else(|| {
            Fault::usage(doing(), format!("no node `{sender}`"))
                .expected("`input`, or a head or an MLP of the model")
        })?;
        let read = self.receivers.iter().position(|own| own == receiver);
        let read = read.ok_or_else(|| {
            let own = self.receivers.iter().find(|own| matches!((own, receiver),
                (Receiver::Head { layer: a, part: p, heads }, Receiver::Head { layer: b, part: q, heads: wanted })
                if a == b && p == q && wanted.iter().all(|head| heads.contains(head))));
            let fault = Fault::usage(doing(), format!("no receiver `{receiver}`"));
            match own {
                Some(own) => fault.expected(format!("`{own}`, which these heads share")),
                None => fault.expected("`logits`, or the input of a head or an MLP of the model"),
            }
        })?;
        let edge = Edge {
            sender: node,
            receiver: read,
        };
        self.index(edge).ok_or_else(|| {
            Fault::usage(
                doing(),
                format!("{sender} writes after {receiver} has read"),
            )
            .expected("a sender before its receiver")
        })
    }

    /// The index of the edge of that name, as [`Graph::edge_name`] gives it.
    ///
    /// # Errors
    /// As [`Graph::edge_between`], or the text is no name of an edge.
    pub fn edge_of(&self, name: &str) -> Result<usize> {
        let (sender, receiver) = name.split_once('>').ok_or_else(|| {
            Fault::usage("naming an edge", format!("`{name}`"))
                .expected("`L0.H3>L1.H2.q` or the like")
        })?;
        self.edge_between(&sender.parse()?, &receiver.parse()?)
    }

    /// `sender>receiver`, such as `L0.H3>L1.H2.q`.
    #[must_use]
    pub fn edge_name(&self, index: usize) -> String {
        let Edge { sender, receiver } = self.edge(index);
        match (self.nodes.get(sender), self.receivers.get(receiver)) {
            (Some(sender), Some(receiver)) => format!("{sender}>{receiver}"),
            _ => String::new(),
        }
    }

    /// The node that computes from what a receiver reads; `None` for the logits. Of a group of heads any may be alive.
    pub(super) fn readers(&self, receiver: usize) -> Option<Vec<usize>> {
        let wanted: Vec<Node> = match self.receivers.get(receiver)? {
            Receiver::Logits => return None,
            Receiver::Mlp { layer } => vec![Node::Mlp { layer: *layer }],
            Receiver::Head { layer, heads, .. } => {
                let layer = *layer;
                let node = |&head: &usize| Node::Head { layer, head };
                heads.iter().map(node).collect()
            }
        };
        let place = |node: &Node| self.nodes.binary_search_by_key(&order(node), order).ok();
        Some(wanted.iter().filter_map(place).collect())
    }

    /// The step in which a node writes.
    pub(super) fn node_step(&self, node: usize) -> usize {
        self.nodes.get(node).map_or(0, |node| order(node).0)
    }

    /// The step in which a receiver's node computes.
    pub(super) fn receiver_step(&self, receiver: usize) -> usize {
        match self.receivers.get(receiver) {
            Some(Receiver::Head { layer, .. }) => 1 + 2 * layer,
            Some(Receiver::Mlp { layer }) => 2 + 2 * layer,
            Some(Receiver::Logits) | None => 1 + 2 * self.n_layers,
        }
    }

    /// The step before which everything is part of what a receiver reads.
    pub(super) fn read_step(&self, receiver: usize) -> usize {
        self.reads.get(receiver).copied().unwrap_or(0)
    }

    /// Receivers of one step.
    pub(super) fn of_step(&self, step: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.receivers.len()).filter(move |&receiver| self.receiver_step(receiver) == step)
    }

    pub(super) fn last_step(&self) -> usize {
        1 + 2 * self.n_layers
    }
}

/// Nodes in the order of the model.
fn order(node: &Node) -> (usize, usize) {
    match node {
        Node::Input => (0, 0),
        Node::Head { layer, head } => (1 + 2 * layer, *head),
        Node::Mlp { layer } => (2 + 2 * layer, 0),
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("input"),
            Self::Head { layer, head } => write!(f, "L{layer}.H{head}"),
            Self::Mlp { layer } => write!(f, "L{layer}.mlp"),
        }
    }
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head { layer, part, heads } => {
                let heads: Vec<String> = heads.iter().map(ToString::to_string).collect();
                let part = match part {
                    AttentionPart::Query => 'q',
                    AttentionPart::Key => 'k',
                    AttentionPart::Value => 'v',
                };
                write!(f, "L{layer}.H{}.{part}", heads.join("+"))
            }
            Self::Mlp { layer } => write!(f, "L{layer}.mlp"),
            Self::Logits => f.write_str("logits"),
        }
    }
}

impl FromStr for Node {
    type Err = Fault;

    fn from_str(text: &str) -> std::result::Result<Self, Fault> {
        let parsed = || {
            if text == "input" {
                return Some(Self::Input);
            }
            let (layer, rest) = text.strip_prefix('L')?.split_once('.')?;
            let layer = layer.parse().ok()?;
            if rest == "mlp" {
                return Some(Self::Mlp { layer });
            }
            let head = rest.strip_prefix('H')?.parse().ok()?;
            Some(Self::Head { layer, head })
        };
        parsed().ok_or_else(|| {
            Fault::usage("reading the name of a node", format!("`{text}`"))
                .expected("`input`, `L3.H5` or `L3.mlp`")
        })
    }
}

impl FromStr for Receiver {
    type Err = Fault;

    fn from_str(text: &str) -> std::result::Result<Self, Fault> {
        let parsed = || {
            if text == "logits" {
                return Some(Self::Logits);
            }
            let (layer, rest) = text.strip_prefix('L')?.split_once('.')?;
            let layer = layer.parse().ok()?;
            if rest == "mlp" {
                return Some(Self::Mlp { layer });
            }
            let (heads, part) = rest.strip_prefix('H')?.split_once('.')?;
            let part = match part {
                "q" => AttentionPart::Query,
                "k" => AttentionPart::Key,
                "v" => AttentionPart::Value,
                _ => return None,
            };
            let heads = heads.split('+').map(|head| head.parse().ok());
            let heads = heads.collect::<Option<Vec<usize>>>()?;
            Some(Self::Head { layer, part, heads })
        };
        parsed().ok_or_else(|| {
            Fault::usage("reading the name of a receiver", format!("`{text}`"))
                .expected("`L3.H5.q`, `L3.H5.k`, `L3.H4+5.v` for a group, `L3.mlp` or `logits`")
        })
    }
}
