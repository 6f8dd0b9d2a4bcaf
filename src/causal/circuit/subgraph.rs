//! A circuit: the edges that are kept.

use super::graph::Graph;

/// For each receiver the senders that it hears.
pub(super) type Senders = Vec<Vec<usize>>;

/// Which edges of a [`Graph`] are kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Circuit {
    bits: Vec<u64>,
    n: usize,
}

impl Circuit {
    /// Nothing of `n` edges.
    #[must_use]
    pub fn empty(n: usize) -> Self {
        Self {
            bits: vec![0; n.div_ceil(64)],
            n,
        }
    }

    /// All of `n` edges.
    #[must_use]
    pub fn full(n: usize) -> Self {
        let mut all = Self::empty(n);
        (0..n).for_each(|edge| all.set(edge, true));
        all
    }

    /// Whether an edge is kept.
    #[must_use]
    pub fn has(&self, edge: usize) -> bool {
        let word = self.bits.get(edge / 64).copied().unwrap_or(0);
        word >> (edge % 64) & 1 == 1
    }

    /// Keeps an edge, or takes it out.
    pub fn set(&mut self, edge: usize, kept: bool) {
        if edge < self.n
            && let Some(word) = self.bits.get_mut(edge / 64)
        {
            let bit = 1 << (edge % 64);
            *word = if kept { *word | bit } else { *word & !bit };
        }
    }

    /// The kept edges.
    pub fn edges(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.n).filter(|&edge| self.has(edge))
    }

    /// How many edges are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bits
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Whether no edge is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|word| *word == 0)
    }

    /// The edges that are not kept.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut other = Self::empty(self.n);
        (0..self.n).for_each(|edge| other.set(edge, !self.has(edge)));
        other
    }

    /// Shared edges over edges of either; 1 for two empty circuits.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts of edges")]
    pub fn jaccard(&self, other: &Self) -> f64 {
        let count = |join: fn(u64, u64) -> u64| {
            let words = self.bits.iter().zip(&other.bits);
            words.map(|(a, b)| join(*a, *b).count_ones()).sum::<u32>()
        };
        let either = count(|a, b| a | b);
        if either == 0 {
            return 1.0;
        }
        f64::from(count(|a, b| a & b)) / f64::from(either)
    }

    /// For each node whether what it writes reaches the logits over kept edges.
    #[must_use]
    pub fn alive(&self, graph: &Graph) -> Vec<bool> {
        let mut alive = vec![false; graph.nodes.len()];
        for receiver in (0..graph.receivers.len()).rev() {
            if reaches(graph, receiver, &alive) {
                for (sender, edge) in graph.into(receiver).enumerate() {
                    if self.has(edge)
                        && let Some(alive) = alive.get_mut(sender)
                    {
                        *alive = true;
                    }
                }
            }
        }
        alive
    }

    /// The circuit without edges that reach nothing: they change no run.
    #[must_use]
    pub fn tidy(&self, graph: &Graph) -> Self {
        let alive = self.alive(graph);
        let mut tidy = self.clone();
        for receiver in 0..graph.receivers.len() {
            if !reaches(graph, receiver, &alive) {
                graph.into(receiver).for_each(|edge| tidy.set(edge, false));
            }
        }
        tidy
    }

    /// For each receiver the senders whose part it reads as this run computes it; none where nothing comes of it.
    pub(super) fn senders(&self, graph: &Graph) -> Senders {
        let alive = self.alive(graph);
        (0..graph.receivers.len())
            .map(|receiver| {
                if !reaches(graph, receiver, &alive) {
                    return Vec::new();
                }
                let edges = graph.into(receiver).enumerate();
                let kept = edges.filter(|(_, edge)| self.has(*edge));
                kept.map(|(sender, _)| sender).collect()
            })
            .collect()
    }
}

/// Whether anything that a receiver reads can reach the logits.
fn reaches(graph: &Graph, receiver: usize, alive: &[bool]) -> bool {
    graph.readers(receiver).is_none_or(|nodes| {
        nodes
            .iter()
            .any(|&node| alive.get(node).copied().unwrap_or(false))
    })
}

/// For each of `n` nodes whether any receiver hears it.
pub(super) fn used(senders: &Senders, n: usize) -> Vec<bool> {
    let mut used = vec![false; n];
    for &sender in senders.iter().flatten() {
        if let Some(used) = used.get_mut(sender) {
            *used = true;
        }
    }
    used
}
