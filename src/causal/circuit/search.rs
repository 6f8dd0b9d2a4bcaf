//! Finding a circuit: nodes first, then edges, from the logits down.
//!
//! The order is that of ACDC (Conmy et al., arXiv 2304.14997, algorithm 1): each edge into a reader, from the latest sender on,
//! is taken out for good if that changes the metric by less than a threshold. One pass tests one edge there. Here a batch of
//! passes takes out the next edges cumulatively; the first that changes too much is kept and the rest of the batch is dropped.
//! The decisions are those of testing one after the other, in as many batches as edges are kept and a few more.

use super::ablation::Ablation;
use super::bench::{Bench, weighted_mean};
use super::subgraph::Circuit;
use crate::fault::{Fault, Result};

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// An edge stays if taking it out changes the metric by at least this share of the gap between the whole model and
    /// nothing, on average over pairs.
    Threshold(f64),
    /// The largest threshold, of those tried, whose circuit is at least as faithful as this; further from 1 on the other side
    /// counts as much.
    Faithfulness(f64),
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The circuit, without edges that reach nothing.
    pub circuit: Circuit,
    /// The threshold that it was found with, as a share of the gap.
    pub threshold: f64,
    /// Nodes that the first phase took out with all their edges.
    pub nodes_out: usize,
}

/// The thresholds among which a target faithfulness is searched, and in how many halvings of their logarithm.
const THRESHOLDS: (f64, f64) = (1e-4, 1.0);
const HALVINGS: usize = 8;
/// The smallest and the largest number of removals that one batch tries.
const BATCH: (usize, usize) = (4, 64);

/// Finds a circuit. `weights` say how often each pair counts.
///
/// # Errors
/// Usage: a threshold or faithfulness that is no sensible number, or a faithfulness that no threshold tried reaches. Failed: a
/// run fails.
pub fn discover(bench: &mut Bench<'_>, goal: Goal, weights: Option<&[f64]>) -> Result<Discovered> {
    goal.check()?;
    match goal {
        Goal::Threshold(threshold) => at(bench, threshold, weights),
        Goal::Faithfulness(target) => to_faithfulness(bench, target, weights),
    }
}

impl Goal {
    /// Whether it can be a goal.
    ///
    /// # Errors
    /// Usage: a threshold that is not above 0, or a faithfulness outside 0 to 1.
    pub fn check(self) -> Result<()> {
        let doing = "finding a circuit";
        match self {
            Self::Threshold(threshold) if !(threshold > 0.0 && threshold.is_finite()) => {
                Err(Fault::usage(doing, format!("a threshold of {threshold}"))
                    .expected("a share of the whole effect above 0, such as 0.02"))
            }
            Self::Faithfulness(target) if !(target > 0.0 && target <= 1.0) => {
                Err(Fault::usage(doing, format!("a faithfulness of {target}"))
                    .expected("a share of the whole effect above 0 and up to 1, such as 0.9"))
            }
            Self::Threshold(_) | Self::Faithfulness(_) => Ok(()),
        }
    }
}

fn to_faithfulness(
    bench: &mut Bench<'_>,
    target: f64,
    weights: Option<&[f64]>,
) -> Result<Discovered> {
    let (mut low, mut high) = (THRESHOLDS.0.ln(), THRESHOLDS.1.ln());
    let mut best: Option<Discovered> = None;
    let mut nearest = f64::NAN;
    let mut threshold = low;
    for _ in 0..=HALVINGS {
        let found = at(bench, threshold.exp(), weights)?;
        let faithful = faithfulness_of(bench, &found.circuit, weights)?;
        if (1.0 - faithful).abs() <= 1.0 - target + 1e-9 {
            low = threshold;
            best = Some(found);
        } else if best.is_none() {
            nearest = faithful;
            break;
        } else {
            high = threshold;
        }
        threshold = f64::midpoint(low, high);
    }
    best.ok_or_else(|| {
        Fault::usage(
            format!("finding a circuit of faithfulness {target}"),
            format!("{nearest:.3} at the smallest threshold, {}", THRESHOLDS.0),
        )
        .expected("a circuit that reaches it")
        .hint("give a smaller `--threshold` to see what is lost, or another ablation")
    })
}

/// `(metric − nothing)/(whole − nothing)` of means over pairs.
fn faithfulness_of(
    bench: &mut Bench<'_>,
    circuit: &Circuit,
    weights: Option<&[f64]>,
) -> Result<f64> {
    let n = bench.graph().n_edges();
    let all = bench.values(&[Circuit::full(n), Circuit::empty(n), circuit.clone()])?;
    let means: Vec<f64> = all.iter().map(|of| weighted_mean(of, weights)).collect();
    match means.as_slice() {
        [full, empty, own] => Ok((own - empty) / (full - empty)),
        _ => Err(Fault::failed("measuring a circuit", "no values")),
    }
}

/// A search with one threshold.
struct Search<'s, 'a> {
    bench: &'s mut Bench<'a>,
    /// In logits.
    allowed: f64,
    weights: Option<&'s [f64]>,
    circuit: Circuit,
}

fn at(bench: &mut Bench<'_>, threshold: f64, weights: Option<&[f64]>) -> Result<Discovered> {
    let gap = bench.gap(weights)?;
    if gap.is_nan() || gap < crate::evidence::MIN_DENOMINATOR {
        return Err(Fault::failed(
            "finding a circuit",
            format!("a difference of {gap:.2e} logits between the whole model and nothing"),
        ));
    }
    let circuit = Circuit::full(bench.graph().n_edges());
    let mut search = Search {
        allowed: threshold * gap,
        weights,
        circuit,
        bench,
    };
    let nodes_out = search.nodes()?;
    search.edges()?;
    let graph = search.bench.graph();
    let circuit = match search.bench.ablation() {
        Ablation::Corrupt => search.circuit.heard(graph),
        Ablation::Zero | Ablation::Mean => search.circuit.tidy(graph),
    };
    Ok(Discovered {
        circuit,
        threshold,
        nodes_out,
    })
}

impl Search<'_, '_> {
    /// Takes whole nodes out, from the last on; the embedding stays.
    fn nodes(&mut self) -> Result<usize> {
        let graph = self.bench.graph();
        let mut candidates: Vec<Vec<usize>> = vec![Vec::new(); graph.nodes.len()];
        for edge in 0..graph.n_edges() {
            if let Some(of_node) = candidates.get_mut(graph.edge(edge).sender) {
                of_node.push(edge);
            }
        }
        let mut candidates: Vec<Vec<usize>> = candidates.into_iter().skip(1).collect();
        candidates.reverse();
        self.bench.rebase(&self.circuit)?;
        self.prune(&candidates)
    }

    /// Takes edges out, reader by reader from the logits down.
    fn edges(&mut self) -> Result<()> {
        self.circuit = self.circuit.tidy(self.bench.graph());
        let receivers = self.bench.graph().receivers.len();
        let start = self.circuit.clone();
        for receiver in (0..receivers).rev() {
            // Edges of nodes of which nothing is left change nothing: no run is needed to see that.
            self.circuit = self.circuit.tidy(self.bench.graph());
            let edges = self.bench.graph().into(receiver).rev();
            let kept: Vec<Vec<usize>> = edges
                .filter(|&edge| self.circuit.has(edge))
                .map(|edge| vec![edge])
                .collect();
            if !kept.is_empty() {
                self.bench.prefer(&start);
                self.prune(&kept)?;
            }
        }
        Ok(())
    }

    /// Takes out each candidate, a set of edges, that changes the metric by less than is allowed; how many went.
    fn prune(&mut self, candidates: &[Vec<usize>]) -> Result<usize> {
        let mut now = self.bench.value(&self.circuit)?;
        let (mut next, mut size, mut gone) = (0, BATCH.0, 0);
        while let Some(rest) = candidates.get(next..).filter(|rest| !rest.is_empty()) {
            let batch = rest.get(..size.min(rest.len())).unwrap_or(rest);
            let mut cut = self.circuit.clone();
            let circuits: Vec<Circuit> = batch
                .iter()
                .map(|edges| {
                    for &edge in edges {
                        cut.set(edge, false);
                    }
                    cut.clone()
                })
                .collect();
            let values = self.bench.values(&circuits)?;
            let mut taken = 0;
            for (circuit, value) in circuits.iter().zip(values) {
                let change: Vec<f64> = now
                    .iter()
                    .zip(value.iter())
                    .map(|(a, b)| (a - b).abs())
                    .collect();
                if weighted_mean(&change, self.weights) >= self.allowed {
                    break;
                }
                self.circuit = circuit.clone();
                now = value;
                taken += 1;
            }
            gone += taken;
            next += taken;
            if taken == batch.len() {
                size = (size * 2).min(BATCH.1);
            } else {
                next += 1;
                size = (size / 2).max(BATCH.0);
            }
        }
        Ok(gone)
    }
}

/// For each edge of the whole model the change of each pair's metric when that edge alone is taken out: `[edges][pairs]`, whole
/// less cut, in logits.
///
/// # Errors
/// A run fails.
pub fn edge_effects(bench: &mut Bench<'_>) -> Result<Vec<Vec<f64>>> {
    let n = bench.graph().n_edges();
    let full = Circuit::full(n);
    bench.rebase(&full)?;
    let whole = bench.value(&full)?;
    let mut effects = Vec::with_capacity(n);
    for start in (0..n).step_by(BATCH.1) {
        let cut = (start..(start + BATCH.1).min(n)).map(|edge| {
            let mut cut = full.clone();
            cut.set(edge, false);
            cut
        });
        let cut: Vec<Circuit> = cut.collect();
        for values in bench.values(&cut)? {
            let change = whole.iter().zip(values.iter()).map(|(a, b)| a - b);
            effects.push(change.collect());
        }
    }
    Ok(effects)
}
