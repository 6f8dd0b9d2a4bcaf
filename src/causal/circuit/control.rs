//! What a circuit is compared with: circuits of its size drawn at random, and those found on resampled pairs.

use std::collections::BTreeMap;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::bench::{Bench, Cost};
use super::graph::{Graph, Receiver};
use super::measure::{enough, faithfulness};
use super::search::{Goal, discover};
use super::subgraph::Circuit;
use crate::fault::Result;
use crate::interrupt;

/// How alike circuits are that are found on bootstrap samples of the pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct Stability {
    /// Jaccard index of the edges with the circuit of all pairs, one for each sample.
    pub jaccard: Vec<f64>,
    /// For each edge of the graph in how many samples it was kept.
    pub kept: Vec<usize>,
    /// Samples that were asked for; fewer are there where the budget ran out or a sample had no effect to explain.
    pub asked: usize,
}

/// Searches again on bootstrap samples of the groups, with the threshold of the first search. Runs that the searches share are
/// not repeated; no search begins once `budget` blocks have been computed.
///
/// # Errors
/// Too few groups, or a run fails.
pub fn stability(
    bench: &mut Bench<'_>,
    circuit: &Circuit,
    threshold: f64,
    samples: usize,
    budget: f64,
    seed: u64,
) -> Result<Stability> {
    let owned: Vec<String> = bench.clusters().to_vec();
    enough(&owned.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (pair, group) in owned.iter().enumerate() {
        members.entry(group).or_default().push(pair);
    }
    let members: Vec<Vec<usize>> = members.into_values().collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let Cost { blocks: before, .. } = bench.cost();
    let mut found = Stability {
        jaccard: Vec::new(),
        kept: vec![0; bench.graph().n_edges()],
        asked: samples,
    };
    for _ in 0..samples {
        interrupt::check()?;
        let mut weights = vec![0.0; owned.len()];
        for _ in 0..members.len() {
            let drawn = rng.random_range(0..members.len());
            for &pair in members.get(drawn).into_iter().flatten() {
                if let Some(weight) = weights.get_mut(pair) {
                    *weight += 1.0;
                }
            }
        }
        if bench.cost().blocks - before > budget {
            break;
        }
        if bench.gap(Some(&weights))? < crate::evidence::MIN_DENOMINATOR {
            continue;
        }
        let other = discover(bench, Goal::Threshold(threshold), Some(&weights))?;
        found.jaccard.push(circuit.jaccard(&other.circuit));
        for edge in other.circuit.edges() {
            if let Some(kept) = found.kept.get_mut(edge) {
                *kept += 1;
            }
        }
    }
    Ok(found)
}

/// The faithfulness of `n` circuits of at least as many edges as `size`, made of random paths from the embedding to the logits
/// (as Shi et al., arXiv 2410.13032): edges drawn one by one hardly ever join to a path.
///
/// # Errors
/// A run fails.
pub fn random_circuits(
    bench: &mut Bench<'_>,
    size: usize,
    n: usize,
    seed: u64,
) -> Result<Vec<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let circuits: Vec<Circuit> = (0..n)
        .map(|_| random(bench.graph(), size, &mut rng))
        .collect();
    for some in circuits.chunks(16) {
        interrupt::check()?;
        bench.values(some)?;
    }
    circuits
        .iter()
        .map(|circuit| faithfulness(bench, circuit))
        .collect()
}

fn random(graph: &Graph, size: usize, rng: &mut ChaCha8Rng) -> Circuit {
    let all = graph.n_edges();
    let mut circuit = Circuit::empty(all);
    let inputs = reads_of_nodes(graph);
    while circuit.len() < size.min(all) {
        let mut receiver = graph.receivers.len() - 1;
        loop {
            let edges = graph.into(receiver);
            let sender = rng.random_range(0..edges.len());
            circuit.set(edges.start + sender, true);
            match inputs.get(sender) {
                Some(reads) if !reads.is_empty() => {
                    let drawn = rng.random_range(0..reads.len());
                    receiver = reads.get(drawn).copied().unwrap_or(receiver);
                }
                _ => break,
            }
        }
    }
    circuit
}

/// For each node the receivers that it reads by.
fn reads_of_nodes(graph: &Graph) -> Vec<Vec<usize>> {
    let mut inputs = vec![Vec::new(); graph.nodes.len()];
    for (receiver, what) in graph.receivers.iter().enumerate() {
        if matches!(what, Receiver::Logits) {
            continue;
        }
        for node in graph.readers(receiver).unwrap_or_default() {
            if let Some(reads) = inputs.get_mut(node) {
                reads.push(receiver);
            }
        }
    }
    inputs
}
