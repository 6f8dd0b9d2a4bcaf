//! One pair, patched at every position of the chosen sites, as a file.

use serde::Serialize;

use crate::causal::{Engine, MIN_DENOMINATOR, Pair, equal_length, patch_map};
use crate::evidence::{PairMap, PatchMode};
use crate::fault::{Fault, Result};
use crate::model::{Architecture, Model, SiteName};
use crate::run::Runtime;

/// Patches one pair.
///
/// # Errors
/// The prompts differ in length, the clean and the corrupt run hardly differ, a site cannot be written, or a run fails.
pub fn patch(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    pair: &Pair,
    sites: &[SiteName],
    mode: PatchMode,
) -> Result<PairMap> {
    equal_length(("clean", &pair.clean), ("corrupt", &pair.corrupt))?;
    let engine = Engine::open(runtime, model, arch, sites, sites, Vec::new())?;
    let map = patch_map(&engine, "", std::slice::from_ref(pair), sites, mode)?;
    map.pairs.into_iter().next().ok_or_else(|| {
        let why = map
            .refused
            .into_iter()
            .next()
            .map_or_else(String::new, |refused| refused.why);
        Fault::failed("patching", why)
            .expected(format!(
                "a clean and a corrupt logit difference at least {MIN_DENOMINATOR} apart"
            ))
            .hint("choose an answer and a foil on which the two prompts disagree")
    })
}

/// The file that `candor patch` writes.
#[derive(Debug, Serialize)]
pub struct PatchFile<'a> {
    /// `denoising` or `noising`.
    pub mode: &'a str,
    /// The rows.
    pub sites: Vec<String>,
    /// The columns.
    pub positions: Vec<usize>,
    /// Tokens of the clean prompt.
    pub clean_tokens: &'a [String],
    /// Tokens of the corrupt prompt.
    pub corrupt_tokens: &'a [String],
    /// First side of the logit difference.
    pub answer: &'a str,
    /// Second side of the logit difference.
    pub foil: &'a str,
    /// Logit difference of the clean run.
    pub clean: f64,
    /// Logit difference of the corrupt run.
    pub corrupt: f64,
    /// Logit difference after each patch.
    pub metric: Vec<Vec<f64>>,
    /// `(metric − corrupt)/(clean − corrupt)`, unclipped.
    pub recovery: Vec<Vec<f64>>,
    /// Largest absolute change when a run's own activations are written back.
    pub self_patch: f64,
    /// Recovery when every position of a site is written at once; null off the stream, where it need not be all.
    pub whole: &'a [Option<f64>],
}

impl<'a> PatchFile<'a> {
    /// Lays a pair's map out for the file.
    #[must_use]
    pub fn of(map: &'a PairMap, sites: &[SiteName], mode: PatchMode) -> Self {
        let rows =
            |grid: &ndarray::Array2<f64>| grid.outer_iter().map(|row| row.to_vec()).collect();
        Self {
            mode: mode.name(),
            sites: sites.iter().map(ToString::to_string).collect(),
            positions: (0..map.metric.ncols()).collect(),
            clean_tokens: &map.clean_tokens,
            corrupt_tokens: &map.corrupt_tokens,
            answer: &map.answer,
            foil: &map.foil,
            clean: map.clean,
            corrupt: map.corrupt,
            metric: rows(&map.metric),
            recovery: rows(&map.recovery),
            self_patch: map.self_patch,
            whole: &map.whole,
        }
    }
}
