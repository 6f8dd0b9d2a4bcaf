//! Pairs of prompts under one intervention at every cell of a map, as a file.

mod file;
mod found;

use ndarray::Array1;

use super::progress::Progress;
use crate::causal::intervention::{Directional, FeatureEdit, Features, Mean, Over, Resample};
use crate::causal::{self, By, Grid, Intervention, Load, Metric, Pair, Runs, Sweep, Swept, sweep};
use crate::detect::Sae;
use crate::evidence::{MIN_DENOMINATOR, PatchMode};
use crate::fault::{Fault, Result};
use crate::model::{Architecture, Model, SiteName};
use crate::run::Runtime;

pub use file::{InterventionNote, Measure, PatchFile, Windows};
pub use found::{Found, Intervals, Map, PairEntry, Random, Refused};

/// What is patched, and what is read.
pub struct PatchRequest<'a> {
    /// The pairs.
    pub pairs: &'a [Pair],
    /// The sites of the map.
    pub sites: &'a [SiteName],
    /// Its rows and columns.
    pub by: By,
    /// The only positions that are changed, if not all are.
    pub positions: Option<Vec<usize>>,
    /// Which run receives.
    pub mode: PatchMode,
    /// What is done.
    pub kind: Kind<'a>,
    /// What is read.
    pub metric: Metric<'a>,
    /// Positions that the metric reads, or the last one.
    pub at: Option<Vec<usize>>,
    /// Random edits for each cell.
    pub controls: usize,
    /// Seeds random edits, resampling and intervals.
    pub seed: u64,
    /// What the activations of one run may take, in bytes; what waits for a run takes a quarter of it again.
    pub budget: usize,
}

/// An intervention before the model has run.
pub enum Kind<'a> {
    /// The other run's activation.
    Patch,
    /// 0.
    Zero,
    /// The mean over control prompts.
    Mean(&'a [Vec<i64>], Over),
    /// Another prompt's activation.
    Resample(&'a [Vec<i64>]),
    /// A direction is set to its mean over control prompts, or removed where there are none.
    Directional(Array1<f32>, &'a [Vec<i64>]),
    /// A direction is added at each of these scales.
    Add(Array1<f32>, Vec<f32>),
    /// Features of an SAE that was trained at that site are edited, in each of these ways.
    Features(&'a Sae, SiteName, Vec<usize>, Vec<FeatureEdit>),
}

/// What was found.
pub struct Patched {
    /// The map's rows and columns.
    pub grid: Grid,
    /// For each scale, or once, what was found.
    pub doses: Vec<Dose>,
}

/// What was found at one scale.
pub struct Dose {
    /// The scale, for an intervention that has one.
    pub scale: Option<f32>,
    /// The intervention's name.
    pub name: &'static str,
    /// The maps.
    pub swept: Swept,
}

/// Patches pairs.
///
/// # Errors
/// A site that cannot be written, prompts of unequal length, no pair whose clean and corrupt run differ enough, an intervention
/// that does not fit the model, or a failed run.
pub fn patch(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    request: &PatchRequest<'_>,
    progress: &dyn Progress,
) -> Result<Patched> {
    let grid = Grid::of(arch, request.sites, request.by, request.positions.clone())?;
    for pair in request.pairs {
        grid.columns(pair.clean.ids.len())?;
    }
    let runs = open(runtime, model, arch, request, &grid)?;
    let runs = runs.as_ref();
    let interventions = interventions(runs, request)?;
    let cells = |pair: &Pair| Ok(grid.cells(pair.clean.ids.len())?.len());
    let cells: Vec<usize> = request.pairs.iter().map(cells).collect::<Result<_>>()?;
    // Beside the cells the whole sites, with what is their own and with what is the other run's.
    let whole = grid.rows().len() * (1 + usize::from(matches!(request.kind, Kind::Patch)));
    let cells = cells.iter().sum::<usize>();
    let cells = cells.saturating_mul(request.controls.saturating_add(1));
    let cells = cells.saturating_add(whole * request.pairs.len());
    progress.stage("patching", cells.saturating_mul(interventions.len()));
    let doses = interventions
        .into_iter()
        .map(|(scale, intervention)| {
            let plan = Sweep {
                grid: &grid,
                intervention: &intervention,
                mode: request.mode,
                metric: &request.metric,
                at: request.at.clone(),
                controls: request.controls,
                seed: request.seed,
                by_class: false,
                budget: request.budget / 4,
                done: &|rows| progress.step(rows),
            };
            let swept = sweep(runs, request.pairs, &plan)?;
            if swept.pairs.is_empty() {
                return Err(hardly_differ(&swept, &request.metric));
            }
            Ok(Dose {
                scale,
                name: intervention.name(),
                swept,
            })
        })
        .collect::<Result<_>>()?;
    Ok(Patched { grid, doses })
}

/// Whoever runs the rows, chosen by how much a map of them costs.
fn open(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    request: &PatchRequest<'_>,
    grid: &Grid,
) -> Result<Box<dyn Runs>> {
    let mut sites = grid.sites();
    if let Metric::Score { site, .. } = &request.metric
        && !sites.contains(site)
    {
        sites.push(*site);
    }
    let doses = match &request.kind {
        Kind::Add(_, scales) => scales.len(),
        Kind::Features(.., edits) => edits.len(),
        _ => 1,
    };
    let mut load = Load::default();
    for pair in request.pairs {
        let seq = pair.clean.ids.len();
        load.prompt(arch, seq);
        for cell in grid.cells(seq)? {
            let layer = cell.sites.iter().filter_map(|site| site.layer).min();
            let position = cell.positions.iter().min().copied();
            load.add(
                arch,
                doses * (1 + request.controls),
                seq,
                layer.unwrap_or(0),
                position.unwrap_or(0),
            );
        }
    }
    let (runs, _) = causal::open(runtime, model, arch, &sites, &load, request.budget)?;
    Ok(runs)
}

/// The interventions with the scale of each.
fn interventions<'a>(
    runs: &dyn Runs,
    request: &PatchRequest<'a>,
) -> Result<Vec<(Option<f32>, Intervention<'a>)>> {
    let sites = request.sites;
    let one = match &request.kind {
        Kind::Patch => Intervention::Patch,
        Kind::Zero => Intervention::Zero,
        Kind::Mean(control, over) => Intervention::Mean(Mean::over(runs, control, sites, *over)?),
        Kind::Resample(control) => Intervention::Resample(Resample {
            control,
            seed: request.seed,
        }),
        Kind::Directional(direction, []) => {
            Intervention::Directional(Directional::removing(direction)?)
        }
        Kind::Directional(direction, control) => {
            Intervention::Directional(Directional::to_mean(direction, runs, control, sites)?)
        }
        Kind::Add(direction, scales) => {
            let add = |&scale: &f32| (Some(scale), Intervention::Add(direction * scale));
            return Ok(scales.iter().map(add).collect());
        }
        Kind::Features(sae, site, features, edits) => {
            let edits = edits.iter().map(|&edit| {
                let scale = match edit {
                    FeatureEdit::Ablate => None,
                    FeatureEdit::Set(scale) | FeatureEdit::Scale(scale) => Some(scale),
                };
                let features = Features::new(sae, *site, features.clone(), edit)?;
                Ok((scale, Intervention::Features(features)))
            });
            return edits.collect();
        }
    };
    Ok(vec![(None, one)])
}

fn hardly_differ(swept: &Swept, metric: &Metric<'_>) -> Fault {
    let why = swept.refused.first().map_or("", |refused| &refused.why);
    let fault = match swept.refused.len() {
        0 | 1 => Fault::failed("patching", why),
        n => Fault::failed(
            "patching",
            format!("none of {n} pairs can be used; the first of them: {why}"),
        ),
    };
    let (read, hint) = match metric {
        Metric::LogitDifference => (
            "logit difference",
            "choose an answer and a foil on which the two prompts disagree",
        ),
        Metric::LogProbability => (
            "log-probability",
            "choose an answer on which the two prompts disagree",
        ),
        Metric::Divergence | Metric::Rank => (
            "next-token distribution",
            "choose prompts to which the model's answers differ",
        ),
        Metric::Score { .. } => (
            "score",
            "choose prompts on which the detector's scores differ",
        ),
    };
    fault
        .expected(format!(
            "a clean and a corrupt {read} at least {MIN_DENOMINATOR} apart"
        ))
        .hint(hint)
}
