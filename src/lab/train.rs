//! `candor train probe`: fits a probe at every candidate site, keeps the earliest that reads as well as the best, and
//! measures it on groups that neither training nor the choice of the site has seen.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ndarray::{Array2, Axis};

use super::labelled::Labelled;
use super::progress::Progress;
use super::subject::Subject;
use crate::detect::card::{Baselines, Declares, Interval, MadeOn, TrainedOn};
use crate::detect::train::{ProbeKind, TrainingOptions, TrainingSet};
use crate::detect::{
    Aggregation, Calibration, Card, Corpus, Detector, DetectorKind, LinearProbe, Loaded, Span,
    bag_of_words_auroc, calibrate, folds, hold_out, length_auroc, permutation_auroc,
};
use crate::fault::{Fault, Result};
use crate::model::{Point, SiteName};
use crate::run::Runtime;
use crate::stats::{Estimate, auroc, auroc_interval};
use crate::tokens::Suite;

/// Share of the groups that report the probe's quality, and share of the rest that chooses the site.
const HELD_OUT: f64 = 0.3;
/// False-positive rate that thresholds aim for.
const TARGET_FPR: f64 = 0.01;
/// Folds of the baselines' cross-validation, and rounds of permuted labels.
const FOLDS: usize = 5;
const PERMUTATIONS: usize = 3;
/// Bootstrap resamples of every interval on a card.
const RESAMPLES: usize = 1000;

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
    let (labels, groups) = (data.labels()?, data.groups());
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

    let work = Work {
        request,
        labels: &labels,
        groups: &groups,
    };
    let mut candidates = Vec::with_capacity(request.sites.len());
    for (site, activations) in request.sites.iter().zip(&data.activations) {
        let candidate = work
            .fit(activations, &fitting, &labels)
            .and_then(|probe| work.quality(&probe, activations, &choosing));
        // A site at which the labels are the same (the embedding of one and the same last token) is no candidate.
        if let Err(fault) = &candidate {
            tracing::info!(%site, "no probe: {}", fault.found);
        }
        candidates.push(candidate);
        progress.step(1);
    }
    let chosen = match earliest_as_good(&candidates) {
        Some(chosen) => chosen,
        None => {
            return Err(candidates
                .into_iter()
                .find_map(Result::err)
                .unwrap_or_else(|| {
                    Fault::usage("training a probe", "no candidate site")
                        .expected("at least one site")
                }));
        }
    };
    let activations = &data.activations[chosen];
    let probe = work.fit(activations, &outer.train, &labels)?;
    let quality = work.quality(&probe, activations, &outer.held_out)?;

    let baselines = work.baselines(
        &data,
        &data.activations[chosen],
        &data.activations[request.sites.len()],
    )?;
    let site = request.sites[chosen];
    let calibration =
        work.calibrate(runtime, subject, &probe, site, activations, &outer.held_out)?;
    let card = Card {
        id: request.id.clone(),
        role: request.role.clone(),
        kind: DetectorKind::Probe(request.kind.name),
        site,
        d_in: subject.arch.d_model,
        weights: "probe.safetensors".to_owned(),
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
            groups: remaining
                .iter()
                .map(|item| item.group)
                .collect::<BTreeSet<_>>()
                .len(),
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
    };
    Ok(Detector {
        card,
        folder: PathBuf::new(),
        weights: Loaded::Probe(probe),
        digests: Vec::new(),
    })
}

/// The first candidate whose AUROC lies within the best one's interval: a direction is best removed where it first appears.
fn earliest_as_good(candidates: &[Result<Estimate>]) -> Option<usize> {
    let best = candidates
        .iter()
        .flatten()
        .max_by(|a, b| a.point.total_cmp(&b.point))?;
    candidates.iter().position(|candidate| {
        candidate
            .as_ref()
            .is_ok_and(|candidate| candidate.point >= best.low)
    })
}

struct Work<'a> {
    request: &'a ProbeRequest<'a>,
    labels: &'a [bool],
    groups: &'a [&'a str],
}

impl Work<'_> {
    /// One training row for each token of each item's span.
    fn fit(
        &self,
        activations: &[Array2<f32>],
        items: &[usize],
        labels: &[bool],
    ) -> Result<LinearProbe> {
        let views: Vec<_> = items.iter().map(|&item| activations[item].view()).collect();
        let rows = ndarray::concatenate(Axis(0), &views)
            .map_err(|error| Fault::failed("training a probe", error.to_string()))?;
        let labels: Vec<bool> = items
            .iter()
            .flat_map(|&item| std::iter::repeat_n(labels[item], activations[item].nrows()))
            .collect();
        let set = TrainingSet {
            rows: rows.view(),
            labels: &labels,
        };
        self.request.kind.train(&set, TrainingOptions::default())
    }

    fn scores(
        &self,
        probe: &LinearProbe,
        activations: &[Array2<f32>],
        items: &[usize],
    ) -> Result<Vec<f64>> {
        items
            .iter()
            .map(|&item| self.score(probe, &activations[item]))
            .collect()
    }

    fn score(&self, probe: &LinearProbe, activation: &Array2<f32>) -> Result<f64> {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "token scores are float32 in the graph as well"
        )]
        let tokens: Vec<f32> = probe
            .score(activation.view())?
            .iter()
            .map(|&score| score as f32)
            .collect();
        self.request
            .aggregation
            .of(&tokens, &(0..tokens.len()).collect::<Vec<_>>())
    }

    fn quality(
        &self,
        probe: &LinearProbe,
        activations: &[Array2<f32>],
        items: &[usize],
    ) -> Result<Estimate> {
        let scores = self.scores(probe, activations, items)?;
        let labels: Vec<bool> = items.iter().map(|&item| self.labels[item]).collect();
        let groups: Vec<&str> = items.iter().map(|&item| self.groups[item]).collect();
        auroc_interval(&scores, &labels, &groups, RESAMPLES, self.request.seed)
    }

    /// What simpler means reach, cross-validated by group, one row for each item.
    fn baselines(
        &self,
        data: &Labelled<'_>,
        activations: &[Array2<f32>],
        embedding: &[Array2<f32>],
    ) -> Result<Baselines> {
        let fold_of = folds(&data.split_items(), FOLDS, self.request.seed)?;
        let options = TrainingOptions::default();
        let (rows, bottom) = (item_means(activations)?, item_means(embedding)?);
        let set = |rows: &Array2<f32>| -> Result<f64> {
            let set = TrainingSet {
                rows: rows.view(),
                labels: self.labels,
            };
            let scores = self.request.kind.out_of_fold(&set, &fold_of, options)?;
            let side = |wanted: bool| {
                scores
                    .iter()
                    .zip(self.labels)
                    .filter(|(_, label)| **label == wanted)
                    .map(|(score, _)| *score)
                    .collect::<Vec<_>>()
            };
            auroc(&side(true), &side(false)).ok_or_else(|| {
                Fault::usage("measuring baselines", "one label only")
                    .expected("items of both labels")
            })
        };
        let lengths: Vec<usize> = data
            .readings
            .iter()
            .map(|reading| reading.encoded.ids.len())
            .collect();
        let permuted = TrainingSet {
            rows: rows.view(),
            labels: self.labels,
        };
        Ok(Baselines {
            bag_of_words_auroc: bag_of_words_auroc(
                &data.contents(),
                self.labels,
                &fold_of,
                options,
            )
            .ok(),
            length_auroc: length_auroc(&lengths, self.labels)?,
            layer0_auroc: set(&bottom).ok(),
            permutation_auroc: permutation_auroc(
                self.request.kind,
                &permuted,
                &fold_of,
                options,
                PERMUTATIONS,
                self.request.seed,
            )?,
        })
    }

    fn calibrate(
        &self,
        runtime: &Runtime,
        subject: &Subject,
        probe: &LinearProbe,
        site: SiteName,
        activations: &[Array2<f32>],
        held_out: &[usize],
    ) -> Result<Calibration> {
        let unflagged = self.request.flags_below;
        let honest: Vec<usize> = held_out
            .iter()
            .copied()
            .filter(|&item| self.labels[item] == unflagged)
            .collect();
        // A detector that flags low scores is calibrated on its mirror image.
        let sign = if self.request.flags_below { -1.0 } else { 1.0 };
        let mirrored = |scores: Vec<f64>| {
            scores
                .into_iter()
                .map(|score| sign * score)
                .collect::<Vec<_>>()
        };
        let honest_scores = mirrored(self.scores(probe, activations, &honest)?);
        let honest = Corpus {
            digest: &self.request.suite.digest,
            scores: &honest_scores,
        };
        let mut calibration = match self.request.control {
            Some(suite) => {
                let control = Labelled::read(runtime, subject, suite, &[site], self.request.span)?;
                let scores = mirrored(
                    control.activations[0]
                        .iter()
                        .map(|activation| self.score(probe, activation))
                        .collect::<Result<_>>()?,
                );
                calibrate(
                    Corpus {
                        digest: &suite.digest,
                        scores: &scores,
                    },
                    Some(honest),
                    TARGET_FPR,
                )?
            }
            None => calibrate(honest, None, TARGET_FPR)?,
        };
        calibration.threshold *= sign;
        Ok(calibration)
    }
}

/// One row for each item: the mean over its span, `[n, d_model]`.
fn item_means(activations: &[Array2<f32>]) -> Result<Array2<f32>> {
    let rows: Vec<_> = activations
        .iter()
        .filter_map(|rows| rows.mean_axis(Axis(0)))
        .collect();
    let views: Vec<_> = rows.iter().map(|row| row.view()).collect();
    ndarray::stack(Axis(0), &views)
        .map_err(|error| Fault::failed("averaging activations", error.to_string()))
}
