//! How good a circuit is, with intervals over groups of pairs.

use super::bench::Bench;
use super::subgraph::Circuit;
use crate::fault::{Fault, Result};
use crate::stats::{Estimate, clustered_bootstrap_of};

/// Fewer groups give no interval: with five there are 126 different resamples.
const MIN_GROUPS: usize = 5;

/// One edge of a circuit.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimality {
    /// Index into the graph's edges.
    pub edge: usize,
    /// What taking the edge out of the circuit costs, as a share of the gap: positive where it supports the answer.
    pub cost: Estimate,
    /// The same as a mean of absolute values over pairs.
    pub absolute: f64,
}

/// What was measured of one circuit.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// `(circuit − nothing)/(whole − nothing)` of mean metrics; unclipped.
    pub faithfulness: Estimate,
    /// The same of the circuit's complement: 0 if the circuit is all that matters (Marks et al., arXiv 2403.19647).
    pub complement: Estimate,
    /// For each edge of the circuit.
    pub minimality: Vec<Minimality>,
    /// Mean metric of the whole model, of the circuit, and of nothing, in logits.
    pub means: (f64, f64, f64),
    /// The metrics of each pair: whole, circuit, nothing.
    pub pairs: Vec<(f64, f64, f64)>,
}

/// Faithfulness of metrics under a circuit: whole, own and nothing of each pair.
fn share(whole: &[f64], own: &[f64], nothing: &[f64], rows: &[usize]) -> Option<f64> {
    let sum = |values: &[f64]| -> f64 { rows.iter().filter_map(|row| values.get(*row)).sum() };
    let gap = sum(whole) - sum(nothing);
    (gap != 0.0).then(|| (sum(own) - sum(nothing)) / gap)
}

/// The faithfulness of a circuit, without an interval.
///
/// # Errors
/// A run fails.
pub fn faithfulness(bench: &mut Bench<'_>, circuit: &Circuit) -> Result<f64> {
    let n = bench.graph().n_edges();
    let all = bench.values(&[Circuit::full(n), circuit.clone(), Circuit::empty(n)])?;
    let rows: Vec<usize> = (0..bench.clusters().len()).collect();
    match all.as_slice() {
        [whole, own, nothing] => share(whole, own, nothing, &rows)
            .ok_or_else(|| Fault::failed("measuring a circuit", "the whole model does nothing")),
        _ => Err(Fault::failed("measuring a circuit", "no values")),
    }
}

/// The faithfulness of what a circuit leaves out.
///
/// # Errors
/// A run fails.
pub fn completeness(bench: &mut Bench<'_>, circuit: &Circuit) -> Result<f64> {
    faithfulness(bench, &circuit.complement())
}

/// Measures a circuit on all pairs of a bench.
///
/// # Errors
/// Usage: too few groups of pairs for an interval. Failed: a run fails.
pub fn measure(
    bench: &mut Bench<'_>,
    circuit: &Circuit,
    resamples: usize,
    seed: u64,
) -> Result<Measured> {
    let owned: Vec<String> = bench.clusters().to_vec();
    let clusters: Vec<&str> = owned.iter().map(String::as_str).collect();
    enough(&clusters)?;
    let n = bench.graph().n_edges();
    let [full, empty] = [Circuit::full(n), Circuit::empty(n)];
    let whole = bench.value(&full)?;
    let nothing = bench.value(&empty)?;
    bench.rebase(circuit)?;
    let own = bench.value(circuit)?;
    let other = bench.value(&circuit.complement())?;
    let estimate = |values: &[f64]| {
        clustered_bootstrap_of(&clusters, None, resamples, seed, |rows| {
            share(&whole, values, &nothing, rows)
        })
    };
    let everything: Vec<usize> = (0..clusters.len()).collect();
    let mut minimality = Vec::with_capacity(circuit.len());
    let edges: Vec<usize> = circuit.edges().collect();
    for some in edges.chunks(64) {
        let cut: Vec<Circuit> = some
            .iter()
            .map(|&edge| {
                let mut cut = circuit.clone();
                cut.set(edge, false);
                cut
            })
            .collect();
        for (&edge, without) in some.iter().zip(bench.values(&cut)?) {
            let lost = |values: &[f64], rows: &[usize]| {
                let (own, without) = (
                    share(&whole, &own, &nothing, rows)?,
                    share(&whole, values, &nothing, rows)?,
                );
                Some(own - without)
            };
            let gap = share_gap(&whole, &nothing, &everything);
            let changes = own.iter().zip(without.iter()).map(|(a, b)| (a - b).abs());
            minimality.push(Minimality {
                edge,
                cost: clustered_bootstrap_of(&clusters, None, resamples, seed, |rows| {
                    lost(&without, rows)
                })?,
                absolute: changes.sum::<f64>() / gap,
            });
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "a count of pairs")]
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    Ok(Measured {
        faithfulness: estimate(&own)?,
        complement: estimate(&other)?,
        minimality,
        means: (mean(&whole), mean(&own), mean(&nothing)),
        pairs: whole
            .iter()
            .zip(own.iter())
            .zip(nothing.iter())
            .map(|((whole, own), nothing)| (*whole, *own, *nothing))
            .collect(),
    })
}

/// Sum over pairs of whole less nothing, as an absolute value.
fn share_gap(whole: &[f64], nothing: &[f64], rows: &[usize]) -> f64 {
    let sum = |values: &[f64]| -> f64 { rows.iter().filter_map(|row| values.get(*row)).sum() };
    (sum(whole) - sum(nothing)).abs()
}

/// Refuses pairs of too few groups for an interval.
///
/// # Errors
/// Usage: fewer than five groups.
pub fn enough(clusters: &[&str]) -> Result<()> {
    let mut groups: Vec<&str> = clusters.to_vec();
    groups.sort_unstable();
    groups.dedup();
    if groups.len() < MIN_GROUPS {
        return Err(Fault::usage(
            "measuring a circuit",
            format!("{} pairs of {} groups", clusters.len(), groups.len()),
        )
        .expected(format!(
            "at least {MIN_GROUPS} groups, which intervals are made from"
        ))
        .hint("add pairs; those without a `group` are a group each"));
    }
    Ok(())
}
