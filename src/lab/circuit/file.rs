//! `circuit.json`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{CircuitRequest, CircuitStudy};
use crate::causal::Pair;
use crate::causal::circuit::{Goal, Node};
use crate::stats::{Estimate, mean};

/// The file that `candor circuit` writes. Effects are shares of the gap, the whole model's mean metric less that of nothing;
/// a bound of an interval that has none is null.
#[derive(Debug, Clone, Serialize)]
pub struct CircuitFile {
    /// `candor-circuit/1`.
    pub format: &'static str,
    /// Version of Candor.
    pub candor: &'static str,
    /// Name of the model.
    pub model: String,
    /// SHA-256 of its file.
    pub sha256: String,
    /// What is measured on each pair.
    pub metric: &'static str,
    /// `zero`, `mean` or `corrupt`.
    pub ablation: &'static str,
    /// The search's goal, by name.
    pub goal: GoalLine,
    /// The threshold that the circuit was found with.
    pub threshold: f64,
    /// Seeds the bootstrap and the random circuits.
    pub seed: u64,
    /// Mean logit differences.
    pub means: Means,
    /// `(circuit − nothing)/(whole − nothing)`, unclipped.
    pub faithfulness: Interval,
    /// The same of what the circuit leaves out; near 0 if the circuit is complete.
    pub complement: Interval,
    /// Sizes of the circuit.
    pub size: Size,
    /// Sizes of the whole graph.
    pub of: Size,
    /// The nodes, in the order of the model.
    pub nodes: Vec<NodeLine>,
    /// The edges, by the receiver's order.
    pub edges: Vec<EdgeLine>,
    /// Random circuits of at least that many edges.
    pub random: RandomLine,
    /// The search repeated on bootstrap samples of the groups of pairs, with the same threshold.
    pub stability: StabilityLine,
    /// What it took.
    pub cost: CostLine,
    /// Every pair.
    pub pairs: Vec<PairLine>,
}

/// Threshold or faithfulness.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GoalLine {
    /// An edge stays if it costs at least this.
    Threshold(f64),
    /// The largest threshold with at least this faithfulness.
    Faithfulness(f64),
}

/// A 95 % interval over groups of pairs.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Interval {
    /// The estimate.
    pub point: f64,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// Mean logit differences, answer less foil.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Means {
    /// Of the whole model.
    pub whole: f64,
    /// Of the circuit.
    pub circuit: f64,
    /// With everything ablated.
    pub nothing: f64,
}

/// How large a graph is.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Size {
    /// Blocks that a node is in.
    pub layers: usize,
    /// Nodes: the embedding, heads, MLPs.
    pub nodes: usize,
    /// Edges.
    pub edges: usize,
}

/// A node.
#[derive(Debug, Clone, Serialize)]
pub struct NodeLine {
    /// `input`, `L3.H5` or `L3.mlp`.
    pub name: String,
    /// 0-based block.
    pub layer: Option<usize>,
    /// 0-based head.
    pub head: Option<usize>,
}

/// An edge.
#[derive(Debug, Clone, Serialize)]
pub struct EdgeLine {
    /// The node that writes.
    pub sender: String,
    /// What is read: `L3.H5.q`, `.k`, `.v`, `L3.mlp` or `logits`; heads of a group are joined by `+`.
    pub receiver: String,
    /// What taking it out of the circuit costs in faithfulness: above 0 where it supports the answer.
    pub cost: Interval,
    /// The mean over pairs of absolute costs.
    pub absolute: f64,
    /// In what share of the bootstrap samples it was kept; null without samples.
    pub kept: Option<f64>,
}

/// The random control.
#[derive(Debug, Clone, Serialize)]
pub struct RandomLine {
    /// Faithfulness of each.
    pub faithfulness: Vec<f64>,
    /// How often one is as near to 1 as the circuit: `(1 + as near)/(1 + random)`.
    pub p: f64,
}

/// Stability.
#[derive(Debug, Clone, Serialize)]
pub struct StabilityLine {
    /// Samples that were asked for.
    pub asked: usize,
    /// Jaccard index of the edges with those of the circuit, one for each sample.
    pub jaccard: Vec<f64>,
    /// Their mean; null without samples.
    pub mean: Option<f64>,
}

/// Work done. A plain pass of one prompt computes each block once.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct CostLine {
    /// Different circuits that were run on all pairs.
    pub circuits: usize,
    /// Blocks computed by the search.
    pub blocks_search: f64,
    /// Blocks computed in all.
    pub blocks: f64,
}

/// One pair's logit differences.
#[derive(Debug, Clone, Serialize)]
pub struct PairLine {
    /// Its id.
    pub id: String,
    /// Its group.
    pub group: String,
    /// The clean prompt's tokens.
    pub clean: Vec<String>,
    /// The answer.
    pub answer: String,
    /// The foil.
    pub foil: String,
    /// Of the whole model.
    pub whole: f64,
    /// Of the circuit.
    pub circuit: f64,
    /// With everything ablated.
    pub nothing: f64,
}

impl Interval {
    fn of(estimate: Estimate) -> Self {
        let bound = |value: f64| value.is_finite().then_some(value);
        Self {
            point: estimate.point,
            low: bound(estimate.low),
            high: bound(estimate.high),
        }
    }

    /// `0.987 [0.95, 1.02]`, or that there is no interval.
    #[must_use]
    pub fn shown(&self) -> String {
        match (self.low, self.high) {
            (Some(low), Some(high)) => format!("{:.3} [{low:.3}, {high:.3}]", self.point),
            _ => format!("{:.3} (all groups alike: no interval)", self.point),
        }
    }
}

impl CircuitFile {
    /// Lays a study out for the file.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts of samples")]
    pub fn of(
        model: &str,
        sha256: &str,
        pairs: &[Pair],
        request: &CircuitRequest,
        study: &CircuitStudy,
    ) -> Self {
        let graph = &study.graph;
        let alive = study.circuit().alive(graph);
        let nodes = graph.nodes.iter().zip(&alive).filter(|(_, alive)| **alive);
        let nodes: Vec<NodeLine> = nodes.map(|(node, _)| NodeLine::of(node)).collect();
        let samples = study.stability.jaccard.len();
        let edges = study.measured.minimality.iter().map(|line| {
            let name = graph.edge_name(line.edge);
            let (sender, receiver) = name.split_once('>').unwrap_or_default();
            let kept = study.stability.kept.get(line.edge).copied().unwrap_or(0);
            EdgeLine {
                sender: sender.to_owned(),
                receiver: receiver.to_owned(),
                cost: Interval::of(line.cost),
                absolute: line.absolute,
                kept: (samples > 0).then(|| kept as f64 / samples as f64),
            }
        });
        let edges: Vec<EdgeLine> = edges.collect();
        let (whole, circuit, nothing) = study.measured.means;
        let (search, all) = study.cost;
        Self {
            format: "candor-circuit/1",
            candor: env!("CARGO_PKG_VERSION"),
            model: model.to_owned(),
            sha256: sha256.to_owned(),
            metric: "logit difference, answer less foil, after the last token of the clean prompt",
            ablation: request.ablation.name(),
            goal: match request.goal {
                Goal::Threshold(threshold) => GoalLine::Threshold(threshold),
                Goal::Faithfulness(target) => GoalLine::Faithfulness(target),
            },
            threshold: study.found.threshold,
            seed: request.seed,
            means: Means {
                whole,
                circuit,
                nothing,
            },
            faithfulness: Interval::of(study.measured.faithfulness),
            complement: Interval::of(study.measured.complement),
            size: Size {
                layers: layers(&mut nodes.iter().map(|node| node.layer)),
                nodes: nodes.len(),
                edges: edges.len(),
            },
            of: Size {
                layers: layers(&mut graph.nodes.iter().map(|node| NodeLine::of(node).layer)),
                nodes: graph.nodes.len(),
                edges: graph.n_edges(),
            },
            nodes,
            edges,
            random: RandomLine {
                faithfulness: study.random.clone(),
                p: study.random_p,
            },
            stability: StabilityLine {
                asked: study.stability.asked,
                mean: mean(&study.stability.jaccard),
                jaccard: study.stability.jaccard.clone(),
            },
            cost: CostLine {
                circuits: all.circuits,
                blocks_search: search.blocks,
                blocks: all.blocks,
            },
            pairs: pairs
                .iter()
                .zip(&study.measured.pairs)
                .map(|(pair, &(whole, circuit, nothing))| PairLine {
                    id: pair.item.clone(),
                    group: pair.group.clone(),
                    clean: pair.clean.tokens.clone(),
                    answer: pair.answer_text.clone(),
                    foil: pair.foil_text.clone(),
                    whole,
                    circuit,
                    nothing,
                })
                .collect(),
        }
    }
}

fn layers(of_nodes: &mut dyn Iterator<Item = Option<usize>>) -> usize {
    of_nodes.flatten().collect::<BTreeSet<_>>().len()
}

impl NodeLine {
    fn of(node: &Node) -> Self {
        let (layer, head) = match node {
            Node::Input => (None, None),
            Node::Head { layer, head } => (Some(*layer), Some(*head)),
            Node::Mlp { layer } => (Some(*layer), None),
        };
        Self {
            name: node.to_string(),
            layer,
            head,
        }
    }
}
