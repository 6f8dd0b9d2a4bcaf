//! `candor train probe`: fits a probe at every candidate site, keeps the earliest that reads as well as the best, and
//! measures it on groups that neither training nor the choice of the site has seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::baselines::baselines;
use super::fitting::Fitting;
use super::labelled::Labelled;
use super::progress::Progress;
use super::subject::Subject;
use crate::detect::card::{Declares, Interval, MadeOn, TrainedOn};
use crate::detect::train::ProbeKind;
use crate::detect::{Aggregation, Card, Detector, DetectorKind, Loaded, Span, hold_out};
use crate::fault::{Fault, Result};
use crate::model::{Point, SiteName};
use crate::run::Runtime;
use crate::stats::Estimate;
use crate::tokens::Suite;

/// Share of the groups that report the probe's quality, and share of the rest that chooses the site.
const HELD_OUT: f64 = 0.3;
/// Bootstrap resamples of every interval on a card.
pub(super) const RESAMPLES: usize = 1000;

/// What to train.
pub struct ProbeRequest<'a> {
    /// Name of the detector.
    pub id: String,
    /// What rules refer to it by.
    pub role: String,
    /// How it is trained.
    pub kind: &'static ProbeKind,
    /// Candidate sites, in the order of the model.
    pub sites: Vec<SiteName>,
    /// Tokens that are read.
    pub span: Span,
    /// How token scores become one.
    pub aggregation: Aggregation,
    /// What a high score means.
    pub positive: String,
    /// Whether low scores are the flagged ones.
    pub flags_below: bool,
    /// Labelled items.
    pub suite: &'a Suite,
    /// Unrelated text; the held-out items of the unflagged label if not given.
    pub control: Option<&'a Suite>,
    /// Seeds splits and bootstraps.
    pub seed: u64,
    /// The command that makes the detector again.
    pub command: String,
}

/// Trains and measures.
///
/// # Errors
/// The suite has no labels, one class only or too few groups, or a run fails.
pub fn train_probe(
    runtime: &Runtime,
    subject: &Subject,
    request: &ProbeRequest<'_>,
    progress: &dyn Progress,
) -> Result<Detector> {
    let suite = request.suite;
    progress.stage("reading activations", request.sites.len());
    let first_layer = SiteName::block(0, Point::ResidPre);
    let mut sites = request.sites.clone();
    sites.push(first_layer);
    let data = Labelled::read(runtime, subject, suite, &sites, request.span)?;
    let labels = data.labels()?;
    let split_items = data.split_items();
    let outer = hold_out(&split_items, HELD_OUT, request.seed)?;
    let remaining: Vec<_> = outer.train.iter().map(|&item| split_items[item]).collect();
    let inner = hold_out(&remaining, HELD_OUT, request.seed)?;
    let at = |items: &[usize]| {
        items
            .iter()
            .map(|&item| outer.train[item])
            .collect::<Vec<_>>()
    };
    let (fitting, choosing) = (at(&inner.train), at(&inner.held_out));

    let work = Fitting {
        request,
        labels: &labels,
        groups: &data.groups(),
    };
    let chosen = work.choose_site(&data, &fitting, &choosing, progress)?;
    let activations = &data.activations[chosen];
    let probe = work.fit(activations, &outer.train, &labels)?;
    let quality = work.quality(&probe, activations, &outer.held_out)?;

    let embedding = &data.activations[request.sites.len()];
    let baselines = baselines(&data, request.kind, activations, embedding, request.seed)?;
    let site = request.sites[chosen];
    let calibration =
        work.calibrate(runtime, subject, &probe, site, activations, &outer.held_out)?;
    let groups: BTreeSet<&str> = remaining.iter().map(|item| item.group).collect();
    let card = Card {
        id: request.id.clone(),
        role: request.role.clone(),
        kind: DetectorKind::Probe(request.kind.name),
        site,
        module: None,
        d_in: probe.d_in(),
        weights: "probe.safetensors".to_owned(),
        weights_sha256: BTreeMap::new(),
        span: request.span,
        aggregation: request.aggregation,
        positive: request.positive.clone(),
        model: MadeOn {
            name: subject.name.clone(),
            sha256: subject.sha256().to_owned(),
        },
        calibration: Some(calibration),
        trained_on: Some(TrainedOn {
            suite: suite.id.clone(),
            corpus_digest: suite.digest.clone(),
            n: outer.train.len(),
            groups: groups.len(),
            seed: request.seed,
            command: request.command.clone(),
        }),
        declares: Some(Declares {
            auroc: Some(quality.point),
            auroc_interval: Some(Interval {
                low: quality.low,
                high: quality.high,
            }),
            ..Declares::default()
        }),
        features: Vec::new(),
        baselines: Some(baselines),
        limits: Vec::new(),
        source: None,
    };
    Ok(Detector {
        card,
        folder: PathBuf::new(),
        weights: Loaded::Probe(probe),
        digests: Vec::new(),
    })
}

impl Fitting<'_> {
    /// The earliest site that reads as well as the best: a direction is best removed where it first appears.
    fn choose_site(
        &self,
        data: &Labelled<'_>,
        fitting: &[usize],
        choosing: &[usize],
        progress: &dyn Progress,
    ) -> Result<usize> {
        let mut candidates: Vec<Option<Estimate>> = Vec::new();
        let mut fault = None;
        for (site, activations) in self.request.sites.iter().zip(&data.activations) {
            let candidate = self
                .fit(activations, fitting, self.labels)
                .and_then(|probe| self.quality(&probe, activations, choosing));
            // A site at which the labels are the same (the embedding of one and the same last token) is no candidate.
            candidates.push(match candidate {
                Ok(quality) => Some(quality),
                Err(found) => {
                    tracing::info!(%site, "no probe: {}", found.found);
                    fault = Some(found);
                    None
                }
            });
            progress.step(1);
        }
        earliest_as_good(&candidates).ok_or_else(|| {
            fault.unwrap_or_else(|| {
                Fault::usage("training a probe", "no candidate site").expected("at least one site")
            })
        })
    }
}

/// The first candidate whose interval reaches the best AUROC.
fn earliest_as_good(candidates: &[Option<Estimate>]) -> Option<usize> {
    let aurocs = candidates.iter().flatten().map(|candidate| candidate.point);
    let best = aurocs.max_by(f64::total_cmp)?;
    candidates
        .iter()
        .position(|candidate| candidate.is_some_and(|candidate| candidate.high >= best))
}
