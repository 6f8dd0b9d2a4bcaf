//! `candor train probe`: fits every kind of probe at every candidate site, keeps the earliest that reads as well as the best, and
//! measures it on groups that neither training nor the choice has seen, beside what simpler means reach there.

mod crossed;
mod fitting;
mod measures;
mod page;
mod permuted;
mod report;
mod simpler;
mod sweep;
mod transfer;
mod verdict;

use std::path::PathBuf;

use self::crossed::crossed;
use self::fitting::Fitting;
use self::sweep::{Candidate, chosen, sweep};
use super::labelled::Labelled;
use super::progress::Progress;
use super::subject::Subject;
use crate::detect::card::{Declares, Interval, MadeOn, TrainedOn};
use crate::detect::train::{ProbeKind, TrainingOptions, TrainingSet};
use crate::detect::{Aggregation, Card, Detector, DetectorKind, Loaded, Span, SplitItem, hold_out};
use crate::digest::sha256_of;
use crate::fault::{Fault, Result};
use crate::model::{Point, SiteName};
use crate::run::Runtime;
use crate::tokens::Suite;

pub use self::page::probe_page;
pub use self::report::{
    BaselineLine, Bin, Cell, CountLine, DatasetLine, EstimateLine, LeftOut, PermutationLine,
    ProbeReport, ReliabilityLine, SplitLine, SweepLine, TransferTable, ValueLine,
};

/// Share of the groups that report the probe's quality, and share of the rest that chooses.
const HELD_OUT: f64 = 0.3;
/// Bootstrap resamples of every interval.
const RESAMPLES: usize = 1000;
/// False-positive rate that thresholds aim for.
const TARGET_FPR: f64 = 0.01;

/// What to train.
pub struct ProbeRequest<'a> {
    /// Name of the detector.
    pub id: String,
    /// What rules refer to it by.
    pub role: String,
    /// Kinds to try. A single one that the suites do not fit is refused; of several those are left out, and the report says so.
    pub kinds: Vec<&'static ProbeKind>,
    /// Candidate sites, in the order of the model.
    pub sites: Vec<SiteName>,
    /// Tokens that are read.
    pub span: Span,
    /// How token scores become one, for kinds that do not pool.
    pub aggregation: Aggregation,
    /// What a high score means.
    pub positive: String,
    /// Whether low scores are the flagged ones.
    pub flags_below: bool,
    /// Labelled items.
    pub suites: Vec<&'a Suite>,
    /// Unrelated text; the held-out items of the unflagged label if not given.
    pub control: Option<&'a Suite>,
    /// Share of flagged items where the probe is to serve, for its positive predictive value.
    pub prevalence: f64,
    /// Rounds of permuted labels.
    pub permutations: usize,
    /// Seeds splits, bootstraps, permutations and trainings.
    pub seed: u64,
    /// The command that makes the detector again.
    pub command: String,
}

/// What was trained, and how far to trust it.
pub struct TrainedProbe {
    /// The detector.
    pub detector: Detector,
    /// Its report.
    pub report: ProbeReport,
}

impl TrainedProbe {
    /// Writes the detector's folder with `report.json` and `report.html` beside its card.
    ///
    /// # Errors
    /// As for [`Detector::write`].
    pub fn write(&self, folder: &std::path::Path) -> Result<()> {
        let json = self.report.json()?;
        let page = probe_page(&self.report)?;
        self.detector.write_with(
            folder,
            vec![
                ("report.json".to_owned(), json.into_bytes()),
                ("report.html".to_owned(), page.into_bytes()),
            ],
        )
    }
}

/// Trains and measures.
///
/// # Errors
/// The suites have no labels, one class only or too few groups, or hold the same content on both sides of a split; a kind lacks
/// what it needs; or a run fails.
pub fn train_probe(
    runtime: &Runtime,
    subject: &Subject,
    request: &ProbeRequest<'_>,
    progress: &dyn Progress,
) -> Result<TrainedProbe> {
    if !(request.prevalence > 0.0 && request.prevalence < 1.0) {
        return Err(Fault::usage(
            "training a probe",
            format!("a prevalence of {}", request.prevalence),
        )
        .expected("a share between 0 and 1, such as 0.001"));
    }
    progress.stage("reading activations", request.sites.len());
    let mut sites = request.sites.clone();
    sites.push(SiteName::block(0, Point::ResidPre));
    let data = Labelled::read_all(runtime, subject, &request.suites, &sites, request.span)?;
    let work = Fitting {
        request,
        labels: &data.labels()?,
        groups: &data.groups(),
        about: &data.about(),
        options: TrainingOptions {
            seed: request.seed,
            ..TrainingOptions::default()
        },
    };
    both_labels(work.labels)?;
    let split = Split::of(&data.split_items(), request.seed)?;
    let (kinds, left_out) = work.kinds()?;
    let candidates = sweep(&work, &kinds, &data, &split, progress)?;
    let Candidate { site, kind, .. } = candidates[chosen(&candidates)?];
    let activations = &data.activations[site];
    let bottom = &data.activations[request.sites.len()];
    progress.stage("measuring the probe", 1);
    let probe = work.fit(kind, activations, &split.train, work.labels)?;
    let scores = work.scores(kind, &probe, activations, &split.held_out)?;
    let quality = work.quality(&scores, &split.held_out)?;
    let name = request.sites[site];
    let calibration = work.calibrate(
        runtime,
        subject,
        (kind, &probe),
        name,
        (&scores, &split.held_out),
    )?;
    let detector = Detector {
        card: Card {
            id: request.id.clone(),
            role: request.role.clone(),
            kind: DetectorKind::Probe(kind.name),
            site: name,
            module: None,
            d_in: probe.d_in(),
            weights: "probe.safetensors".to_owned(),
            weights_sha256: std::collections::BTreeMap::new(),
            span: request.span,
            aggregation: work.aggregation(kind),
            positive: request.positive.clone(),
            model: MadeOn {
                name: subject.name.clone(),
                sha256: subject.sha256().to_owned(),
            },
            calibration: Some(calibration),
            trained_on: Some(work.trained_on(&split)),
            declares: Some(Declares {
                auroc: Some(quality.point),
                auroc_interval: Some(Interval {
                    low: quality.low,
                    high: quality.high,
                }),
                ..Declares::default()
            }),
            features: Vec::new(),
            baselines: Some(crossed(&work, &data, kind, activations, bottom)?),
            limits: Vec::new(),
            source: None,
        },
        folder: PathBuf::new(),
        weights: Loaded::Probe(probe),
        digests: Vec::new(),
    };
    let measured = report::Measured {
        work: &work,
        data: &data,
        split: &split,
        candidates: &candidates,
        left_out,
        kind,
        site,
        scores: &scores,
        quality,
        bottom,
    };
    let report = measured.report(subject, progress)?;
    Ok(TrainedProbe { detector, report })
}

fn both_labels(labels: &[bool]) -> Result<()> {
    let found = match labels.first() {
        Some(first) if labels.iter().all(|label| label == first) => {
            format!("the label {} in every item", u8::from(*first))
        }
        Some(_) => return Ok(()),
        None => "no item".to_owned(),
    };
    Err(Fault::usage("training a probe", found)
        .expected("items with both labels")
        .hint("check the suite's `label` fields"))
}

/// Items by what they serve for; no group is in two parts.
struct Split {
    /// Fitted during the choice.
    fitting: Vec<usize>,
    /// Choose site and kind.
    choosing: Vec<usize>,
    /// Both of these; the final probe is fitted on them.
    train: Vec<usize>,
    /// Report.
    held_out: Vec<usize>,
}

impl Split {
    fn of(items: &[SplitItem<'_>], seed: u64) -> Result<Self> {
        let outer = hold_out(items, HELD_OUT, seed)?;
        let remaining: Vec<_> = outer.train.iter().map(|&item| items[item]).collect();
        let inner = hold_out(&remaining, HELD_OUT, seed)?;
        let at = |items: &[usize]| items.iter().map(|&item| outer.train[item]).collect();
        Ok(Self {
            fitting: at(&inner.train),
            choosing: at(&inner.held_out),
            train: outer.train,
            held_out: outer.held_out,
        })
    }
}

impl Fitting<'_> {
    /// The kinds that have what they need, and why the others have not.
    fn kinds(&self) -> Result<(Vec<&'static ProbeKind>, Vec<LeftOut>)> {
        let nothing = ndarray::Array2::zeros((self.labels.len(), 0));
        let set = TrainingSet {
            rows: nothing.view(),
            labels: self.labels,
            about: self.about,
        };
        let (mut kinds, mut left_out) = (Vec::new(), Vec::new());
        for &kind in &self.request.kinds {
            match kind.fits(&set) {
                Ok(()) => kinds.push(kind),
                Err(fault) if self.request.kinds.len() == 1 => return Err(fault),
                Err(fault) => left_out.push(LeftOut {
                    kind: kind.name,
                    why: fault.found,
                }),
            }
        }
        if kinds.is_empty() {
            let why: Vec<String> = left_out
                .iter()
                .map(|left| format!("{}: {}", left.kind, left.why))
                .collect();
            return Err(Fault::usage("choosing kinds of probe", why.join("; "))
                .expected("a kind that has what it needs"));
        }
        Ok((kinds, left_out))
    }

    fn trained_on(&self, split: &Split) -> TrainedOn {
        let suites = &self.request.suites;
        let names: Vec<&str> = suites.iter().map(|suite| suite.id.as_str()).collect();
        TrainedOn {
            suite: names.join(", "),
            corpus_digest: self.corpus_digest(),
            n: split.train.len(),
            groups: self.count_groups(&split.train),
            seed: self.request.seed,
            command: self.request.command.clone(),
        }
    }

    /// Of one suite its own digest, of several that of theirs.
    fn corpus_digest(&self) -> String {
        match self.request.suites.as_slice() {
            [suite] => suite.digest.clone(),
            suites => {
                let digests: Vec<&str> = suites.iter().map(|suite| suite.digest.as_str()).collect();
                sha256_of(digests.concat().as_bytes())
            }
        }
    }

    fn count_groups(&self, items: &[usize]) -> usize {
        let groups: std::collections::BTreeSet<&str> =
            items.iter().map(|&item| self.groups[item]).collect();
        groups.len()
    }
}
