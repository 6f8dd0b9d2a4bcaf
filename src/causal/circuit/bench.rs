//! Pairs on which circuits of one model are run, each circuit once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ndarray::{Array2, Array3, s};

use super::ablation::Ablation;
use super::forward::{Deltas, Forward, Group, Pass, differences};
use super::graph::Graph;
use super::groups::{Maker, last_is_alone, stacked};
use super::pieces::Pieces;
use super::subgraph::{Circuit, Senders, used};
use crate::causal::Pair;
use crate::evidence::MIN_DENOMINATOR;
use crate::fault::{Fault, Result};
use crate::interrupt;

/// Bytes that the activations of one batch of passes may hold.
const BATCH_BYTES: usize = 256 << 20;

/// What was computed so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Circuits that were run, each on all pairs.
    pub circuits: usize,
    /// Circuits whose metric was known already.
    pub known: usize,
    /// Blocks computed, over all passes; a plain pass computes each of the model's once.
    pub blocks: f64,
}

/// A model, its graph, and pairs on which circuits are measured. The metric is the logit difference after the last token of
/// the clean prompt.
pub struct Bench<'a> {
    pieces: &'a dyn Pieces,
    graph: Graph,
    groups: Vec<Group>,
    sides: Vec<(usize, usize)>,
    clusters: Vec<String>,
    ablation: Ablation,
    last_alone: bool,
    base: (Senders, Vec<Deltas>),
    /// What the base is moved to before the next circuit that has to be run.
    preferred: Option<Circuit>,
    known: HashMap<Circuit, Arc<[f64]>>,
    cost: Cost,
}

impl<'a> Bench<'a> {
    /// Runs the whole model on all pairs, and their corrupt prompts where the ablation needs them.
    ///
    /// # Errors
    /// Usage: no pair, a pair of unequal length or with a token outside the vocabulary, or
    /// pairs on which the whole model and nothing differ by too little. Failed: a run fails.
    pub fn new(pieces: &'a dyn Pieces, pairs: &[Pair], ablation: Ablation) -> Result<Self> {
        let sides = sides(pairs, pieces.anatomy().vocab)?;
        let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, pair) in pairs.iter().enumerate() {
            if pair.clean.ids.len() != pair.corrupt.ids.len() || pair.clean.ids.is_empty() {
                return Err(Fault::usage(
                    format!("reading the pair `{}`", pair.item),
                    format!(
                        "{} tokens against {}",
                        pair.clean.ids.len(),
                        pair.corrupt.ids.len()
                    ),
                )
                .expected("as many tokens on both sides"));
            }
            let length = pair.clean.ids.len();
            by_length.entry(length).or_default().push(index);
        }
        let graph = Graph::of(pieces.anatomy());
        let mut bench = Self {
            pieces,
            groups: Vec::new(),
            sides,
            clusters: pairs.iter().map(|pair| pair.group.clone()).collect(),
            ablation,
            last_alone: false,
            base: (Vec::new(), Vec::new()),
            preferred: None,
            known: HashMap::new(),
            cost: Cost::default(),
            graph,
        };
        for (length, of_length) in by_length {
            let ids = |side: fn(&Pair) -> &Vec<i64>| {
                let rows = of_length.iter().filter_map(|&index| pairs.get(index));
                let flat: Vec<i64> = rows.flat_map(|pair| side(pair).iter().copied()).collect();
                Array2::from_shape_vec((of_length.len(), length), flat)
                    .map_err(|error| Fault::failed("laying out pairs", error.to_string()))
            };
            let (clean, corrupt) = (ids(|pair| &pair.clean.ids)?, ids(|pair| &pair.corrupt.ids)?);
            let made = Maker {
                pieces,
                graph: &bench.graph,
                ablation,
                rows: batch_rows(pieces, &bench.graph, length),
            }
            .group(of_length, clean, corrupt)?;
            bench.groups.push(made);
        }
        if let Some(group) = bench.groups.first() {
            let one = group.clean.slice(s![..1, ..]).to_owned();
            bench.last_alone = last_is_alone(pieces, &one)?;
        }
        bench.rebase(&Circuit::full(bench.graph.n_edges()))?;
        let gap = bench.gap(None)?;
        if gap.is_nan() || gap < MIN_DENOMINATOR {
            return Err(Fault::usage(
                "measuring circuits",
                format!("the whole model and one in which everything is ablated to `{ablation}` differ by {gap:.2e} logits on average"),
            )
            .expected(format!("at least {MIN_DENOMINATOR}"))
            .hint("choose an answer and a foil between which the model decides on these prompts, or another ablation"));
        }
        Ok(bench)
    }

    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What stands in for what is taken out.
    #[must_use]
    pub fn ablation(&self) -> Ablation {
        self.ablation
    }

    /// The cluster of each pair.
    #[must_use]
    pub fn clusters(&self) -> &[String] {
        &self.clusters
    }

    /// What was computed so far.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The whole model's metric less that of everything ablated, on average, as an absolute value; the pairs may be weighted.
    ///
    /// # Errors
    /// A run fails.
    pub fn gap(&mut self, weights: Option<&[f64]>) -> Result<f64> {
        let n = self.graph.n_edges();
        let ends = self.values(&[Circuit::full(n), Circuit::empty(n)])?;
        let differences = match ends.as_slice() {
            [full, empty] => full.iter().zip(empty.iter()).map(|(a, b)| a - b).collect(),
            _ => Vec::new(),
        };
        Ok(weighted_mean(&differences, weights).abs())
    }

    /// The metric of each pair under each circuit; a circuit that was run before is not run again.
    ///
    /// # Errors
    /// A run fails.
    pub fn values(&mut self, circuits: &[Circuit]) -> Result<Vec<Arc<[f64]>>> {
        if circuits
            .iter()
            .any(|circuit| !self.known.contains_key(circuit))
            && let Some(preferred) = self.preferred.take()
        {
            self.rebase(&preferred)?;
        }
        let mut missing: BTreeMap<usize, (Vec<Circuit>, Vec<Senders>)> = BTreeMap::new();
        let mut seen: Vec<&Circuit> = Vec::new();
        for circuit in circuits {
            if self.known.contains_key(circuit) {
                self.cost.known += 1;
            } else if !seen.contains(&circuit) {
                seen.push(circuit);
                let senders = circuit.senders(&self.graph);
                let from = self.first_difference(&senders);
                let (names, all) = missing.entry(from).or_default();
                names.push(circuit.clone());
                all.push(senders);
            }
        }
        for (from, (names, senders)) in missing {
            let found = self.run(&senders, from)?;
            self.cost.circuits += names.len();
            for (circuit, values) in names.into_iter().zip(found) {
                self.known.insert(circuit, values.into());
            }
        }
        circuits
            .iter()
            .map(|circuit| {
                let known = self.known.get(circuit).cloned();
                known.ok_or_else(|| Fault::failed("running circuits", "a circuit was not run"))
            })
            .collect()
    }

    /// The metric of each pair under one circuit.
    ///
    /// # Errors
    /// A run fails.
    pub fn value(&mut self, circuit: &Circuit) -> Result<Arc<[f64]>> {
        let found = self.values(std::slice::from_ref(circuit))?;
        let mut found = found.into_iter();
        found
            .next()
            .ok_or_else(|| Fault::failed("running circuits", "a circuit was not run"))
    }

    /// Keeps what every node writes under a circuit, so that circuits that part from it late are run from there on.
    ///
    /// # Errors
    /// A run fails.
    pub fn rebase(&mut self, circuit: &Circuit) -> Result<()> {
        let senders = circuit.senders(&self.graph);
        if senders == self.base.0 {
            return Ok(());
        }
        let mut bases = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let mut joined: Vec<Vec<Array3<f32>>> = vec![Vec::new(); self.graph.nodes.len()];
            let passes: Vec<Pass> = (0..group.pairs.len())
                .map(|pair| Pass { circuit: 0, pair })
                .collect();
            for some in passes.chunks(self.rows(group)) {
                interrupt::check()?;
                let forward = self.forward(group, some, std::slice::from_ref(&senders), 0, &EMPTY);
                for (all, own) in joined.iter_mut().zip(forward.written()?.deltas) {
                    all.extend(own);
                }
            }
            let deltas = joined
                .iter()
                .map(|parts| stacked(parts))
                .collect::<Result<_>>()?;
            bases.push(deltas);
        }
        self.count(self.sides.len(), 0);
        self.base = (senders, bases);
        Ok(())
    }

    /// As [`Bench::rebase`], once a circuit really has to be run.
    pub(super) fn prefer(&mut self, circuit: &Circuit) {
        self.preferred = Some(circuit.clone());
    }

    fn forward<'s>(
        &'s self,
        group: &'s Group,
        passes: &'s [Pass],
        senders: &'s [Senders],
        from: usize,
        base: &'s Deltas,
    ) -> Forward<'s> {
        Forward {
            pieces: self.pieces,
            graph: &self.graph,
            group,
            passes,
            used: senders
                .iter()
                .map(|own| used(own, self.graph.nodes.len()))
                .collect(),
            senders,
            from,
            base,
            last_alone: self.last_alone,
        }
    }

    /// Passes of one batch.
    fn rows(&self, group: &Group) -> usize {
        batch_rows(self.pieces, &self.graph, group.clean.ncols())
    }

    #[allow(clippy::cast_precision_loss, reason = "counts of passes and steps")]
    fn count(&mut self, passes: usize, from: usize) {
        let steps = self.graph.last_step().saturating_sub(from.max(1));
        self.cost.blocks += passes as f64 * steps as f64 / 2.0;
    }

    fn run(&mut self, senders: &[Senders], from: usize) -> Result<Vec<Vec<f64>>> {
        let mut values = vec![vec![f64::NAN; self.sides.len()]; senders.len()];
        for (group, base) in self.groups.iter().zip(&self.base.1) {
            let passes: Vec<Pass> = (0..senders.len())
                .flat_map(|circuit| (0..group.pairs.len()).map(move |pair| Pass { circuit, pair }))
                .collect();
            for some in passes.chunks(self.rows(group)) {
                interrupt::check()?;
                let forward = self.forward(group, some, senders, from, base);
                let logits = forward.logits(&mut forward.written()?)?;
                let pairs = some.iter().filter_map(|pass| group.pairs.get(pass.pair));
                let sides = pairs.filter_map(|pair| self.sides.get(*pair).copied());
                let found = differences(&logits, sides)?;
                for (pass, value) in some.iter().zip(found) {
                    let pair = group.pairs.get(pass.pair).copied().unwrap_or(0);
                    let slot = values
                        .get_mut(pass.circuit)
                        .and_then(|row| row.get_mut(pair));
                    if let Some(slot) = slot {
                        *slot = value;
                    }
                }
            }
        }
        self.count(self.sides.len() * senders.len(), from);
        Ok(values)
    }

    /// The first step at which a circuit computes something else than the base did.
    fn first_difference(&self, senders: &[Vec<usize>]) -> usize {
        let (base, deltas) = (&self.base.0, &self.base.1);
        if base.is_empty() {
            return 0;
        }
        let differs = senders.iter().zip(base).enumerate();
        // A receiver that nothing comes of changes nothing by what it reads, unless the circuit needs its node.
        let differs = differs
            .filter(|(_, (own, base))| own != base && !own.is_empty())
            .map(|(receiver, _)| self.graph.receiver_step(receiver));
        let emptied = senders.iter().zip(base).enumerate();
        let emptied = emptied
            .filter(|(receiver, (own, base))| {
                own.is_empty() && !base.is_empty() && self.is_needed(senders, *receiver)
            })
            .map(|(receiver, _)| self.graph.receiver_step(receiver));
        let absent = senders.iter().flatten().filter(|&&sender| {
            let known = |deltas: &Deltas| matches!(deltas.get(sender), Some(Some(_)));
            !deltas.iter().all(known)
        });
        let absent = absent.map(|&sender| self.graph.node_step(sender));
        let first = differs.chain(emptied).chain(absent).min();
        first.unwrap_or(self.graph.last_step())
    }

    /// Whether the node that reads there is a sender of the circuit.
    fn is_needed(&self, senders: &[Vec<usize>], receiver: usize) -> bool {
        self.graph.readers(receiver).is_none_or(|nodes| {
            let used = |node: &usize| senders.iter().any(|own| own.binary_search(node).is_ok());
            nodes.iter().any(used)
        })
    }
}

static EMPTY: Deltas = Vec::new();

/// Passes of one batch of prompts of one length.
fn batch_rows(pieces: &dyn Pieces, graph: &Graph, length: usize) -> usize {
    let anatomy = pieces.anatomy();
    let readers = anatomy.layers.iter().map(|layer| layer.inputs.len()).max();
    let arrays = graph.nodes.len() + 4 * readers.unwrap_or(1);
    let row = length * anatomy.d_model * arrays * size_of::<f32>();
    (BATCH_BYTES / row.max(1)).max(1)
}

/// Mean of values, each as often as its weight says.
pub(super) fn weighted_mean(values: &[f64], weights: Option<&[f64]>) -> f64 {
    let weight = |index: usize| weights.map_or(1.0, |all| all.get(index).copied().unwrap_or(0.0));
    let sum: f64 = values.iter().enumerate().map(|(i, v)| v * weight(i)).sum();
    let n: f64 = (0..values.len()).map(weight).sum();
    sum / n
}

fn sides(pairs: &[Pair], vocab: usize) -> Result<Vec<(usize, usize)>> {
    if pairs.is_empty() {
        return Err(Fault::no_inputs("measuring circuits", "no pair").expected("at least one"));
    }
    let index = |id: i64, pair: &Pair| {
        let index = usize::try_from(id).ok().filter(|id| *id < vocab);
        index.ok_or_else(|| {
            Fault::usage(
                format!("reading the pair `{}`", pair.item),
                format!("token id {id}"),
            )
            .expected(format!("an id below {vocab}, the model's vocabulary"))
        })
    };
    pairs
        .iter()
        .map(|pair| Ok((index(pair.answer, pair)?, index(pair.foil, pair)?)))
        .collect()
}
