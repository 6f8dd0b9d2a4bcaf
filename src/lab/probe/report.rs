//! `report.json`, schema `candor/probe-report/v1`: everything that was measured about a probe.

use serde::Serialize;

use ndarray::Array2;

use super::super::labelled::Labelled;
use super::super::progress::Progress;
use super::super::subject::Subject;
use super::Split;
use super::fitting::Fitting;
use super::measures::{Scored, reliability};
use super::permuted::permuted;
use super::simpler::{Beside, simpler};
use super::sweep::Candidate;
use super::transfer::transfer;
use super::verdict::{best, verdict};
use crate::detect::train::ProbeKind;
use crate::fault::{Fault, Result};
use crate::interrupt;
use crate::model::{Point, SiteName};
use crate::stats::Estimate;

/// The report of a probe.
#[derive(Debug, Clone, Serialize)]
pub struct ProbeReport {
    /// `candor/probe-report/v1`.
    pub schema: &'static str,
    /// Version of Candor.
    pub candor: &'static str,
    /// The detector.
    pub id: String,
    /// What it is worth, in a sentence.
    pub verdict: String,
    /// Whether it reads more than chance, permuted labels and every baseline, each by the whole interval.
    pub reads: bool,
    /// Name of the model.
    pub model: String,
    /// SHA-256 of its file.
    pub sha256: String,
    /// Kind of probe.
    pub kind: &'static str,
    /// What that is.
    pub summary: &'static str,
    /// Where it reads.
    pub site: String,
    /// Which tokens.
    pub span: String,
    /// How token scores become one.
    pub aggregation: String,
    /// What a high score means.
    pub positive: String,
    /// `above` or `below`: the side of the threshold that is flagged.
    pub flags: &'static str,
    /// Where the items come from.
    pub suites: Vec<CountLine>,
    /// Items that site and kind were fitted on, that chose them, and that report. The final probe is fitted on the first two.
    pub splits: SplitLine,
    /// On the items that report, as everything that follows.
    pub auroc: EstimateLine,
    /// Recall and predictive value.
    pub value: ValueLine,
    /// Whether its probabilities are any.
    pub reliability: ReliabilityLine,
    /// What simpler means reach.
    pub baselines: Vec<BaselineLine>,
    /// The best of them.
    pub best_baseline: Option<&'static str>,
    /// The same training on permuted labels.
    pub permutation: Option<PermutationLine>,
    /// From data set to data set.
    pub transfer: Option<TransferTable>,
    /// Every site and kind, on the items that choose.
    pub sweep: Vec<SweepLine>,
    /// Kinds that could not be tried.
    pub left_out: Vec<LeftOut>,
    /// Seeds everything.
    pub seed: u64,
    /// The command that makes it again.
    pub command: String,
}

/// A number with its 95 % interval.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct EstimateLine {
    /// The number.
    pub point: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Items.
    pub n: usize,
    /// Groups that the interval is clustered by; items where it is not.
    pub clusters: usize,
}

impl EstimateLine {
    pub(super) fn of(estimate: &Estimate) -> Self {
        Self {
            point: estimate.point,
            low: estimate.low,
            high: estimate.high,
            n: estimate.n,
            clusters: estimate.clusters,
        }
    }
}

/// A suite.
#[derive(Debug, Clone, Serialize)]
pub struct CountLine {
    /// Its id.
    pub id: String,
    /// SHA-256 of it.
    pub digest: String,
    /// Items.
    pub items: usize,
}

/// Sizes of the parts.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SplitLine {
    /// Items, positives, groups that candidates are fitted on.
    pub fit: [usize; 3],
    /// That choose.
    pub choose: [usize; 3],
    /// That report.
    pub report: [usize; 3],
}

/// At a false-positive rate of at most `target`.
#[derive(Debug, Clone, Serialize)]
pub struct ValueLine {
    /// The rate that is aimed for.
    pub target: f64,
    /// Flagged is what lies strictly above, of scores whose flagged side is above.
    pub threshold: f64,
    /// Flagged items among those that should be.
    pub hits: usize,
    /// Items that should be.
    pub positives: usize,
    /// Their share, with its exact interval.
    pub recall: EstimateLine,
    /// With its interval over groups, the threshold set anew in each resample.
    pub recall_clustered: EstimateLine,
    /// Flagged items among those that should not be.
    pub alarms: usize,
    /// Items that should not be.
    pub negatives: usize,
    /// Their share, with its exact interval.
    pub false_positives: EstimateLine,
    /// What so few negatives do not bear out.
    pub unsupported: Option<String>,
    /// Share of items that should be flagged where the probe is to serve.
    pub prevalence: f64,
    /// Share of alarms that are right there, the false-positive rate taken for `target` where fewer were seen.
    pub predictive_value: f64,
    /// From the worse ends of both intervals, and from the better ones.
    pub predictive_interval: [f64; 2],
}

/// How far `1/(1 + exp(−score))` is the share of positives.
#[derive(Debug, Clone, Serialize)]
pub struct ReliabilityLine {
    /// Mean squared difference to the label.
    pub brier: EstimateLine,
    /// The same of the share of positives alone.
    pub brier_of_share: f64,
    /// Mean distance between what is told and what is found, over bins.
    pub expected_calibration_error: f64,
    /// The bins that hold an item.
    pub bins: Vec<Bin>,
}

/// Items of which a like probability is told.
#[derive(Debug, Clone, Serialize)]
pub struct Bin {
    /// From this probability on.
    pub from: f64,
    /// Below that one.
    pub to: f64,
    /// Items.
    pub n: usize,
    /// Mean probability.
    pub told: f64,
    /// Share of positives, with its exact interval.
    pub found: EstimateLine,
}

/// A baseline.
#[derive(Debug, Clone, Serialize)]
pub struct BaselineLine {
    /// Its name.
    pub name: &'static str,
    /// Its AUROC, interval clustered by group.
    pub auroc: Option<EstimateLine>,
    /// The probe's AUROC less its own, over the same resampled groups.
    pub difference: Option<EstimateLine>,
    /// Why it was not measured.
    pub why: Option<String>,
}

/// Trainings on labels that were dealt anew among groups of one size and within groups.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct PermutationLine {
    /// How many.
    pub rounds: usize,
    /// Their mean AUROC.
    pub mean: f64,
    /// The 95th percentile.
    pub high: f64,
    /// `(1 + as good)/(1 + rounds)`.
    pub p: f64,
}

/// AUROC by what was trained on (rows) and measured on (columns).
#[derive(Debug, Clone, Serialize)]
pub struct TransferTable {
    /// The columns.
    pub datasets: Vec<DatasetLine>,
    /// Trained on one data set: `[trained on][measured on]`.
    pub alone: Vec<Vec<Cell>>,
    /// Trained on all data sets but the one that is measured on.
    pub all_but_one: Vec<Cell>,
    /// Trained on all.
    pub all: Vec<Cell>,
}

/// A data set.
#[derive(Debug, Clone, Serialize)]
pub struct DatasetLine {
    /// Its name.
    pub name: String,
    /// Items to train on.
    pub train: usize,
    /// Items to measure on.
    pub held_out: usize,
}

/// One cell.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// Interval clustered by group.
    pub auroc: Option<EstimateLine>,
    /// Why there is none.
    pub why: Option<String>,
}

/// A candidate.
#[derive(Debug, Clone, Serialize)]
pub struct SweepLine {
    /// Where.
    pub site: String,
    /// Its block.
    pub layer: Option<usize>,
    /// Its place in the block, such as `hook_resid_post`.
    pub hook: String,
    /// What.
    pub kind: &'static str,
    /// AUROC on the items that choose.
    pub auroc: Option<EstimateLine>,
    /// Why there is none.
    pub why: Option<String>,
    /// Whether it was taken.
    pub chosen: bool,
}

/// A kind that was not tried.
#[derive(Debug, Clone, Serialize)]
pub struct LeftOut {
    /// Its name.
    pub kind: &'static str,
    /// What the suites lack.
    pub why: String,
}

/// What a report is made of.
pub(super) struct Measured<'a> {
    pub work: &'a Fitting<'a>,
    pub data: &'a Labelled<'a>,
    pub split: &'a Split,
    pub candidates: &'a [Candidate],
    pub left_out: Vec<LeftOut>,
    pub kind: &'static ProbeKind,
    /// The chosen site's place.
    pub site: usize,
    /// Of the held-out items.
    pub scores: &'a [f64],
    pub quality: Estimate,
    pub bottom: &'a [Array2<f32>],
}

impl Measured<'_> {
    /// Measures the rest and puts it together.
    pub fn report(self, subject: &Subject, progress: &dyn Progress) -> Result<ProbeReport> {
        let (work, split, kind) = (self.work, self.split, self.kind);
        let request = work.request;
        let activations = &self.data.activations[self.site];
        let site = request.sites[self.site];
        let labels = work.labels_of(&split.held_out);
        let groups = work.groups_of(&split.held_out);
        let sign = if request.flags_below { -1.0 } else { 1.0 };
        let flagged: Vec<bool> = labels.iter().map(|l| *l != request.flags_below).collect();
        let mirrored: Vec<f64> = self.scores.iter().map(|score| sign * score).collect();
        let scored = Scored {
            scores: &mirrored,
            flagged: &flagged,
            groups: &groups,
            seed: request.seed,
        };
        let reads_bottom = site == SiteName::block(0, Point::ResidPre);
        let beside = Beside {
            kind,
            scores: self.scores,
            bottom: (!reads_bottom).then_some(self.bottom),
        };
        let baselines = simpler(work, self.data, split, &beside)?;
        progress.stage("permuting labels", 1);
        let permutation = permuted(work, split, kind, activations, self.quality.point);
        // Rounds that an interruption has cut off are none.
        interrupt::check()?;
        progress.stage("transferring", 1);
        let transfer = transfer(work, self.data, split, kind, activations);
        let auroc = EstimateLine::of(&self.quality);
        let (sentence, reads) = verdict(&auroc, &baselines, permutation.as_ref());
        let count = |items: &[usize]| {
            let positives = items.iter().filter(|&&item| work.labels[item]).count();
            [items.len(), positives, work.count_groups(items)]
        };
        Ok(ProbeReport {
            schema: "candor/probe-report/v1",
            candor: env!("CARGO_PKG_VERSION"),
            id: request.id.clone(),
            verdict: sentence,
            reads,
            model: subject.name.clone(),
            sha256: subject.sha256().to_owned(),
            kind: kind.name,
            summary: kind.summary,
            site: site.to_string(),
            span: request.span.to_string(),
            aggregation: work.aggregation(kind).to_string(),
            positive: request.positive.clone(),
            flags: if request.flags_below {
                "below"
            } else {
                "above"
            },
            suites: request
                .suites
                .iter()
                .map(|suite| CountLine {
                    id: suite.id.clone(),
                    digest: suite.digest.clone(),
                    items: suite.items.len(),
                })
                .collect(),
            splits: SplitLine {
                fit: count(&split.fitting),
                choose: count(&split.choosing),
                report: count(&split.held_out),
            },
            auroc,
            value: scored.value(request.prevalence)?,
            reliability: reliability(self.scores, &labels, &groups, request.seed)?,
            best_baseline: best(&baselines).map(|(name, ..)| name),
            baselines,
            permutation,
            transfer,
            sweep: self.sweep(),
            left_out: self.left_out,
            seed: request.seed,
            command: request.command.clone(),
        })
    }

    fn sweep(&self) -> Vec<SweepLine> {
        self.candidates
            .iter()
            .map(|candidate| {
                let site = self.work.request.sites[candidate.site];
                SweepLine {
                    site: site.to_string(),
                    layer: site.layer,
                    hook: site.hook().to_owned(),
                    kind: candidate.kind.name,
                    auroc: candidate.quality.as_ref().ok().map(EstimateLine::of),
                    why: candidate
                        .quality
                        .as_ref()
                        .err()
                        .map(|fault| fault.found.clone()),
                    chosen: candidate.site == self.site && candidate.kind.name == self.kind.name,
                }
            })
            .collect()
    }
}

impl ProbeReport {
    /// As JSON, with a line end.
    ///
    /// # Errors
    /// Never for plain data; the type is that of the library underneath.
    pub fn json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|error| Fault::failed("writing the probe's report", error.to_string()))
    }
}
