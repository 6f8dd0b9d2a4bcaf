//! The circuit that carries an effect on a set of pairs, measured and drawn.

mod draw;
mod file;
mod layers;
mod page;

pub use file::CircuitFile;
pub use page::circuit_page;

use super::progress::Progress;
use crate::causal::Pair;
use crate::causal::circuit::{
    Ablation, Bench, Circuit, Cost, Discovered, Goal, Graph, Measured, Pieces, Stability, discover,
    enough, measure, random_circuits, stability,
};
use crate::fault::Result;
use crate::stats::empirical_p;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CircuitRequest {
    /// What stands in for what is taken out.
    pub ablation: Ablation,
    /// When to stop taking out.
    pub goal: Goal,
    /// Bootstrap samples of the pairs on which the search is repeated.
    pub samples: usize,
    /// Random circuits of the same size.
    pub random: usize,
    /// Resamples of each interval.
    pub resamples: usize,
    /// Seeds every random choice.
    pub seed: u64,
}

/// How much more than the first search its repetitions on bootstrap samples may cost.
const BUDGET: f64 = 10.0;

/// A circuit and everything that was measured of it.
pub struct CircuitStudy {
    /// The graph that its edges belong to.
    pub graph: Graph,
    /// What was found.
    pub found: Discovered,
    /// How good it is.
    pub measured: Measured,
    /// The faithfulness of random circuits of at least its size.
    pub random: Vec<f64>,
    /// How often a random circuit is as near to the whole model: `(1 + as near)/(1 + random)`.
    pub random_p: f64,
    /// How alike circuits of bootstrap samples are.
    pub stability: Stability,
    /// Blocks that the search computed, and those of everything.
    pub cost: (Cost, Cost),
}

/// Finds a circuit on pairs and measures it.
///
/// # Errors
/// Usage: pairs that do not do, too few of them for an interval, or a goal that cannot be reached. Failed: a run fails.
pub fn find_circuit(
    pieces: &dyn Pieces,
    pairs: &[Pair],
    request: &CircuitRequest,
    progress: &dyn Progress,
) -> Result<CircuitStudy> {
    let groups: Vec<&str> = pairs.iter().map(|pair| pair.group.as_str()).collect();
    enough(&groups)?;
    progress.stage("running the whole model", 1);
    let mut bench = Bench::new(pieces, pairs, request.ablation)?;
    progress.stage("finding the circuit", 1);
    let found = discover(&mut bench, request.goal, None)?;
    let search = bench.cost();
    progress.stage("measuring the circuit", 1);
    let measured = measure(&mut bench, &found.circuit, request.resamples, request.seed)?;
    progress.stage("random circuits", 1);
    let random = random_circuits(
        &mut bench,
        found.circuit.len(),
        request.random,
        request.seed,
    )?;
    let nearness = |faithfulness: &f64| -(1.0 - faithfulness).abs();
    let random_p = empirical_p(
        nearness(&measured.faithfulness.point),
        &random.iter().map(nearness).collect::<Vec<_>>(),
    );
    progress.stage("circuits of bootstrap samples", 1);
    let stability = stability(
        &mut bench,
        &found.circuit,
        found.threshold,
        request.samples,
        search.blocks * BUDGET,
        request.seed,
    )?;
    Ok(CircuitStudy {
        graph: bench.graph().clone(),
        found,
        measured,
        random,
        random_p,
        stability,
        cost: (search, bench.cost()),
    })
}

impl CircuitStudy {
    /// The circuit.
    #[must_use]
    pub fn circuit(&self) -> &Circuit {
        &self.found.circuit
    }
}
