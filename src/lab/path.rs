//! What nodes tell chosen receivers, over a set of pairs: path patching.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, s};
use serde::Serialize;

use super::progress::Progress;
use crate::causal::circuit::{Graph, Node, Pieces, Receiver, enough};
use crate::causal::{Pair, Through, logit_difference, path_patch};
use crate::evidence::MIN_DENOMINATOR;
use crate::fault::{Fault, Result};
use crate::stats::clustered_bootstrap;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct PathRequest {
    /// Who tells; empty for every node that writes before the first receiver reads.
    pub senders: Vec<Node>,
    /// Who is told.
    pub receivers: Vec<Receiver>,
    /// Which ways between them are open.
    pub through: Through,
    /// Resamples of each interval.
    pub resamples: usize,
    /// Seeds them.
    pub seed: u64,
}

/// The file that `candor path` writes.
#[derive(Debug, Clone, Serialize)]
pub struct PathFile {
    /// Who is told.
    pub receivers: Vec<String>,
    /// Whether MLPs between them are computed again (`mlps`) or write what they wrote on the clean prompt (`nothing`).
    pub through: &'static str,
    /// Pairs that were used, by id.
    pub pairs: Vec<String>,
    /// Pairs that were not, with the reason.
    pub refused: Vec<String>,
    /// Mean logit difference on the clean prompts.
    pub clean: f64,
    /// Mean logit difference on the corrupt prompts.
    pub corrupt: f64,
    /// The senders, the largest absolute share first.
    pub senders: Vec<Told>,
}

/// What one node tells the receivers.
#[derive(Debug, Clone, Serialize)]
pub struct Told {
    /// The node, such as `L3.H5`.
    pub sender: String,
    /// Mean of `(clean − patched)/(clean − corrupt)`: 1 if the whole effect goes this way, 0 if nothing does; not clipped.
    pub share: f64,
    /// Lower end of its 95 % interval over the pairs' groups.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// The share of each pair, in the order of `pairs`.
    pub by_pair: Vec<f64>,
}

/// Pairs of one batch: logits of them all are held at once.
const ROWS: usize = 16;

/// Patches the path from every sender to the receivers on every pair: what the sender wrote on the corrupt prompt, on the clean one.
///
/// # Errors
/// Usage: too few groups of pairs for an interval, a node or receiver that the model lacks, or a sender that writes after a receiver
/// has read. Failed: no pair whose two runs differ enough, or a run fails.
pub fn patch_paths(
    pieces: &dyn Pieces,
    pairs: &[Pair],
    request: &PathRequest,
    progress: &dyn Progress,
) -> Result<PathFile> {
    let senders = senders(pieces, request)?;
    let groups: Vec<&str> = pairs.iter().map(|pair| pair.group.as_str()).collect();
    enough(&groups)?;
    progress.stage("the plain runs", 1);
    let ends = ends(pieces, pairs)?;
    let gap = |at: &usize| {
        ends.get(*at)
            .map_or(0.0, |(clean, corrupt)| clean - corrupt)
    };
    let (used, rest): (Vec<usize>, Vec<usize>) =
        (0..pairs.len()).partition(|at| gap(at).abs() >= MIN_DENOMINATOR);
    let name = |at: &usize| {
        pairs
            .get(*at)
            .map_or_else(String::new, |pair| pair.item.clone())
    };
    if used.is_empty() {
        return Err(Fault::failed(
            "patching paths",
            "no pair whose two runs differ in the logit difference",
        )
        .expected(format!(
            "at least {MIN_DENOMINATOR} between the clean and the corrupt run"
        ))
        .hint("choose an answer and a foil on which the two prompts disagree"));
    }
    progress.stage("paths", senders.len());
    let mut told = Vec::with_capacity(senders.len());
    for sender in &senders {
        let patched = by_length(pairs, &used, |clean, corrupt| {
            path_patch(
                pieces,
                clean.view(),
                corrupt.view(),
                sender,
                &request.receivers,
                request.through,
            )
        })?;
        let share = |at: &usize| {
            let after = patched.get(at).copied().unwrap_or(f64::NAN);
            ends.get(*at).map_or(f64::NAN, |(clean, corrupt)| {
                (clean - after) / (clean - corrupt)
            })
        };
        let by_pair: Vec<f64> = used.iter().map(share).collect();
        let grouped = used.iter().zip(&by_pair);
        let grouped = grouped.filter_map(|(&at, share)| Some((*groups.get(at)?, *share)));
        let estimate = clustered_bootstrap(
            &grouped.collect::<Vec<_>>(),
            request.resamples,
            request.seed,
        )?;
        told.push(Told {
            sender: sender.to_string(),
            share: estimate.point,
            low: estimate.low,
            high: estimate.high,
            by_pair,
        });
        progress.step(1);
    }
    told.sort_by(|a, b| b.share.abs().total_cmp(&a.share.abs()));
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| {
        #[allow(clippy::cast_precision_loss, reason = "a count of pairs")]
        let n = used.len() as f64;
        used.iter()
            .filter_map(|&at| ends.get(at))
            .map(of)
            .sum::<f64>()
            / n
    };
    Ok(PathFile {
        receivers: request.receivers.iter().map(ToString::to_string).collect(),
        through: match request.through {
            Through::Nothing => "nothing",
            Through::Mlps => "mlps",
        },
        pairs: used.iter().map(name).collect(),
        refused: rest
            .iter()
            .map(|at| {
                format!(
                    "{}: the clean and the corrupt run differ by {:.2e} logits",
                    name(at),
                    gap(at)
                )
            })
            .collect(),
        clean: mean(&|(clean, _)| *clean),
        corrupt: mean(&|(_, corrupt)| *corrupt),
        senders: told,
    })
}

/// The senders that are asked for, or all that every receiver can hear.
fn senders(pieces: &dyn Pieces, request: &PathRequest) -> Result<Vec<Node>> {
    if !request.senders.is_empty() {
        return Ok(request.senders.clone());
    }
    let graph = Graph::of(pieces.anatomy());
    let hear = |node: &&Node| {
        let mut receivers = request.receivers.iter();
        receivers.all(|receiver| graph.edge_between(node, receiver).is_ok())
    };
    let all: Vec<Node> = graph.nodes.iter().filter(hear).cloned().collect();
    if all.is_empty() {
        // The first that cannot be heard says why.
        for receiver in &request.receivers {
            graph.edge_between(&Node::Input, receiver)?;
        }
    }
    Ok(all)
}

/// The logit differences of the clean and of the corrupt run of every pair.
fn ends(pieces: &dyn Pieces, pairs: &[Pair]) -> Result<Vec<(f64, f64)>> {
    let all: Vec<usize> = (0..pairs.len()).collect();
    let clean = by_length(pairs, &all, |clean, _| plain(pieces, clean))?;
    let corrupt = by_length(pairs, &all, |_, corrupt| plain(pieces, corrupt))?;
    let of = |map: &BTreeMap<usize, f64>, at: &usize| map.get(at).copied().unwrap_or(f64::NAN);
    Ok(all
        .iter()
        .map(|at| (of(&clean, at), of(&corrupt, at)))
        .collect())
}

/// Runs some pairs in batches of one length; the logit difference of each at its last position.
fn by_length(
    pairs: &[Pair],
    some: &[usize],
    run: impl Fn(&Array2<i64>, &Array2<i64>) -> Result<Array3<f32>>,
) -> Result<BTreeMap<usize, f64>> {
    let mut lengths: BTreeMap<usize, Vec<(usize, &Pair)>> = BTreeMap::new();
    for &at in some {
        if let Some(pair) = pairs.get(at) {
            lengths
                .entry(pair.clean.ids.len())
                .or_default()
                .push((at, pair));
        }
    }
    let index = |id: i64| usize::try_from(id).unwrap_or(usize::MAX);
    let mut found = BTreeMap::new();
    for (seq, of_length) in lengths {
        for batch in of_length.chunks(ROWS) {
            crate::interrupt::check()?;
            let ids = |side: &dyn Fn(&Pair) -> &[i64]| {
                let flat = batch
                    .iter()
                    .flat_map(|(_, pair)| side(pair).iter().copied());
                Array2::from_shape_vec((batch.len(), seq), flat.collect())
                    .map_err(|error| Fault::failed("patching paths", error.to_string()))
            };
            let logits = run(
                &ids(&|pair| &pair.clean.ids)?,
                &ids(&|pair| &pair.corrupt.ids)?,
            )?;
            for (row, (at, pair)) in batch.iter().enumerate() {
                let last = logits.slice(s![row, -1, ..]);
                found.insert(
                    *at,
                    logit_difference(last, index(pair.answer), index(pair.foil)),
                );
            }
        }
    }
    Ok(found)
}

/// The logits `[rows, seq, vocab]` of plain runs.
fn plain(pieces: &dyn Pieces, ids: &Array2<i64>) -> Result<Array3<f32>> {
    let mut stream = pieces.embed(ids.view())?;
    for (layer, parts) in pieces.anatomy().layers.iter().enumerate() {
        let qkv = pieces.qkv(layer, ids.view(), stream.view())?;
        let z = pieces.attend(layer, ids.view(), qkv)?;
        let mid = &stream + &pieces.attn_out(layer, ids.view(), z.view())?;
        stream = match (parts.mlp, parts.parallel) {
            (false, _) => mid,
            (true, false) => &mid + &pieces.mlp_out(layer, ids.view(), mid.view())?,
            (true, true) => mid + pieces.mlp_out(layer, ids.view(), stream.view())?,
        };
    }
    pieces.logits(ids.view(), stream.view())
}
