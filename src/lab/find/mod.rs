//! `candor detectors find`: which features of an SAE separate labelled items, beside probes at the same site, and the card that
//! says so.

mod compare;
mod ranking;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ndarray::{Array2, Axis};
use rayon::prelude::*;

pub use self::ranking::{
    Bounds, FeatureLine, FeatureRanking, Named, ReaderLine, SCHEMA, Side, Verdict,
};

use self::compare::{Comparison, Contest};
use super::labelled::{Labelled, item_means};
use super::subject::Subject;
use crate::detect::card::{Declares, Interval, MadeOn, TrainedOn};
use crate::detect::sae::{Measured, Measuring};
use crate::detect::{
    Aggregation, Calibration, Card, Corpus, Detector, DetectorKind, FeatureActs, HoldOut, Loaded,
    RankedFeature, Sae, SelectedFeature, Selection, Span, calibrate, hold_out, rank_features,
};
use crate::fault::{Fault, Result};
use crate::model::SiteName;
use crate::run::Runtime;
use crate::stats::{Adjustment, Estimate, Resamples};
use crate::tokens::Suite;

/// Share of the groups that report the quality of the best feature.
const HELD_OUT: f64 = 0.3;
/// False-positive rate that thresholds aim for.
const TARGET_FPR: f64 = 0.01;

/// What to look for.
pub struct FeatureSearch<'a> {
    /// Name of the detector.
    pub id: String,
    /// What rules refer to it by.
    pub role: String,
    /// Tokens that are read.
    pub span: Span,
    /// Labelled items.
    pub suite: &'a Suite,
    /// Unrelated text that the threshold is set on; the held-out items of label 0 if not given.
    pub control: Option<&'a Suite>,
    /// The bars of the selection.
    pub selection: Selection,
    /// Whether a card has to be made: it can only stand beside files of SAELens's format.
    pub needs_card: bool,
    /// The command that makes the card again.
    pub command: String,
}

/// The detector and the whole ranking behind it.
pub struct Found {
    /// The SAE with its card; without one where the files are of another format than SAELens's.
    pub detector: Option<Detector>,
    /// All live features.
    pub ranking: FeatureRanking,
}

/// Opens the SAE in `folder`, ranks its features and returns the detector with its card.
///
/// Where no feature reaches the bars the single best one is kept with its numbers, so that an audit can measure on its own
/// items that nothing is there.
///
/// # Errors
/// The SAE cannot be read or does not fit, or is of another format where a card is needed, the suite has no labels, or a run
/// fails.
pub fn find_features(
    runtime: &Runtime,
    subject: &Subject,
    folder: &Path,
    search: &FeatureSearch<'_>,
) -> Result<Found> {
    let (sae, carded) = match Sae::open_saelens(folder) {
        Err(fault) if search.needs_card => return Err(fault),
        Err(_) => (Sae::open(folder)?, false),
        Ok(sae) => (sae, true),
    };
    let site = site_of(&sae, folder)?;
    let data = Labelled::read(runtime, subject, search.suite, &[site], search.span)?;
    let split_items = data.split_items();
    let split = hold_out(&split_items, HELD_OUT, search.selection.seed)?;
    let items = Items {
        labels: data.labels()?,
        groups: data.groups(),
        acts: aggregate(&sae, &data.activations[0])?,
    };
    let ranked = items.rank(&split.train, &search.selection)?;
    let features = selected(&ranked, &search.selection);
    let best = features.first().copied().ok_or_else(|| {
        Fault::failed(
            "selecting features",
            "no feature that is active on the suite",
        )
        .expected("an SAE that was trained on this model's activations")
    })?;
    let held_out = items.held_out(&ranked, &split.held_out, &search.selection)?;
    let contest = Contest {
        items: &items,
        means: item_means(&data.activations[0])?,
        split: &split,
        split_items: &split_items,
        selection: &search.selection,
    };
    let of = Ranked {
        subject,
        search,
        sae: &sae,
        site,
        items: &items,
        split: &split,
    };
    let ranking = of.ranking(&ranked, &held_out, contest.run()?);
    let place = ranked
        .iter()
        .position(|feature| feature.index == best.index);
    let quality = place.and_then(|place| held_out.get(place).copied());
    let card = if carded {
        Some(of.card(runtime, features, best, quality)?)
    } else {
        None
    };
    let detector = card.map(|card| Detector {
        card,
        folder: folder.to_owned(),
        weights: Loaded::Sae(Box::new(sae)),
        digests: Vec::new(),
    });
    Ok(Found { detector, ranking })
}

pub(super) fn site_of(sae: &Sae, folder: &Path) -> Result<SiteName> {
    let hook = sae.config().hook_name.as_deref().ok_or_else(|| {
        Fault::usage(
            format!("reading `{}`", folder.display()),
            "no hook name in cfg.json",
        )
        .expected("the site that the SAE was trained at")
    })?;
    hook.parse()
}

/// Labelled items and their aggregated feature activations.
struct Items<'a> {
    labels: Vec<bool>,
    groups: Vec<&'a str>,
    acts: FeatureActs,
}

impl<'a> Items<'a> {
    fn labels_of(&self, items: &[usize]) -> Vec<bool> {
        items.iter().map(|&item| self.labels[item]).collect()
    }

    fn groups_of(&self, items: &[usize]) -> Vec<&'a str> {
        items.iter().map(|&item| self.groups[item]).collect()
    }

    fn rank(&self, items: &[usize], selection: &Selection) -> Result<Vec<RankedFeature>> {
        rank_features(
            &self.acts.of(items),
            &self.labels_of(items),
            &self.groups_of(items),
            selection.adjustment,
            selection.resamples,
            selection.seed,
        )
    }

    /// AUROC of every feature, in its own direction, on items that did not rank it.
    fn held_out(
        &self,
        ranked: &[RankedFeature],
        items: &[usize],
        selection: &Selection,
    ) -> Result<Vec<Estimate>> {
        let (labels, groups) = (self.labels_of(items), self.groups_of(items));
        let sample = Resamples::draw(&labels, &groups, selection.resamples, selection.seed)?;
        let acts = self.acts.of(items);
        ranked
            .par_iter()
            .map(|feature| {
                let mirrored = feature.sign.factor() < 0.0;
                sample.auroc(&acts.scores(feature.index), mirrored)
            })
            .collect()
    }

    /// One feature's activations, turned so that more means more of label 1.
    fn scores(&self, feature: SelectedFeature, items: impl Iterator<Item = usize>) -> Vec<f64> {
        let acts = self.acts.dense(feature.index);
        items
            .map(|item| feature.sign.factor() * f64::from(acts[item]))
            .collect()
    }
}

/// The features that reach the bars; the best one alone where none does.
fn selected(ranked: &[RankedFeature], selection: &Selection) -> Vec<SelectedFeature> {
    let features = selection.of(ranked);
    if features.is_empty() {
        return ranked
            .first()
            .map(SelectedFeature::from)
            .into_iter()
            .collect();
    }
    features
}

/// What a ranking is of.
struct Ranked<'a> {
    subject: &'a Subject,
    search: &'a FeatureSearch<'a>,
    sae: &'a Sae,
    site: SiteName,
    items: &'a Items<'a>,
    split: &'a HoldOut,
}

impl Ranked<'_> {
    /// The card of the selected features.
    fn card(
        &self,
        runtime: &Runtime,
        features: Vec<SelectedFeature>,
        best: SelectedFeature,
        quality: Option<Estimate>,
    ) -> Result<Card> {
        let search = self.search;
        let calibration = self.calibrate(runtime, best)?;
        let measured = self.measured(runtime)?;
        let train = self.side(&self.split.train);
        Ok(Card {
            id: search.id.clone(),
            role: search.role.clone(),
            kind: DetectorKind::Sae,
            site: self.site,
            module: None,
            d_in: self.sae.d_in(),
            weights: "sae_weights.safetensors".to_owned(),
            weights_sha256: BTreeMap::new(),
            span: search.span,
            aggregation: Aggregation::Max,
            positive: "the listed features are more active".to_owned(),
            model: MadeOn {
                name: self.subject.name.clone(),
                sha256: self.subject.sha256().to_owned(),
            },
            calibration: Some(calibration),
            trained_on: Some(TrainedOn {
                suite: search.suite.id.clone(),
                corpus_digest: search.suite.digest.clone(),
                n: train.items,
                groups: train.groups,
                seed: search.selection.seed,
                command: search.command.clone(),
            }),
            declares: Some(Declares {
                auroc: quality.map(|quality| quality.point),
                auroc_interval: quality.map(|quality| Interval {
                    low: quality.low,
                    high: quality.high,
                }),
                l0: measured.map(|measured| measured.l0),
                explained_variance: measured.map(|measured| measured.explained_variance),
            }),
            features,
            baselines: None,
            limits: Vec::new(),
            source: None,
        })
    }

    /// Threshold and false-positive rates of one feature: on the control suite where there is one, and on the held-out items of
    /// label 0.
    /// How the SAE fits every token of the suite, as audits measure it: at the tokens of a span alone other numbers of features
    /// are active. `None` for a transcoder, since what it reconstructs is not read here.
    fn measured(&self, runtime: &Runtime) -> Result<Option<Measured>> {
        if self.sae.transcodes() {
            return Ok(None);
        }
        let suite = self.search.suite;
        let all = Labelled::read(runtime, self.subject, suite, &[self.site], Span::All)?;
        let mut measuring = Measuring::new(self.sae);
        for rows in &all.activations[0] {
            measuring.add(rows.view(), rows.view())?;
        }
        measuring.finish().map(Some)
    }

    fn calibrate(&self, runtime: &Runtime, feature: SelectedFeature) -> Result<Calibration> {
        let search = self.search;
        let held_out = self.split.held_out.iter().copied();
        let honest = held_out.filter(|&item| !self.items.labels[item]);
        let honest_scores = self.items.scores(feature, honest);
        let honest = Corpus {
            digest: &search.suite.digest,
            scores: &honest_scores,
        };
        let Some(suite) = search.control else {
            return calibrate(honest, None, TARGET_FPR);
        };
        let control = Labelled::read(runtime, self.subject, suite, &[self.site], search.span)?;
        let control = Items {
            labels: Vec::new(),
            groups: Vec::new(),
            acts: aggregate(self.sae, &control.activations[0])?,
        };
        let scores = control.scores(feature, 0..control.acts.items());
        let control = Corpus {
            digest: &suite.digest,
            scores: &scores,
        };
        calibrate(control, Some(honest), TARGET_FPR)
    }

    fn ranking(
        &self,
        ranked: &[RankedFeature],
        held_out: &[Estimate],
        comparison: Comparison,
    ) -> FeatureRanking {
        let Selection {
            adjustment,
            resamples,
            seed,
            ..
        } = self.search.selection;
        let features = ranked.iter().zip(held_out);
        FeatureRanking {
            schema: SCHEMA,
            model: Named {
                name: self.subject.name.clone(),
                sha256: self.subject.sha256().to_owned(),
            },
            suite: Named {
                name: self.search.suite.id.clone(),
                sha256: self.search.suite.digest.clone(),
            },
            site: self.site.to_string(),
            d_sae: self.sae.d_sae(),
            d_in: self.sae.d_in(),
            span: self.search.span.to_string(),
            aggregation: Aggregation::Max.to_string(),
            adjustment: match adjustment {
                Adjustment::BenjaminiHochberg => "benjamini_hochberg",
                Adjustment::Bonferroni => "bonferroni",
            },
            resamples,
            seed,
            train: self.side(&self.split.train),
            held_out: self.side(&self.split.held_out),
            live: ranked.len(),
            features: features
                .map(|(feature, held_out)| self.line(feature, *held_out))
                .collect(),
            probes: comparison.probes,
            sparse: comparison.sparse,
            verdict: comparison.verdict,
        }
    }

    fn side(&self, items: &[usize]) -> Side {
        let groups: BTreeSet<&str> = self.items.groups_of(items).into_iter().collect();
        let labels = self.items.labels_of(items);
        Side {
            items: items.len(),
            positive: labels.iter().filter(|label| **label).count(),
            groups: groups.len(),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "item counts are far below 2^52")]
    fn line(&self, feature: &RankedFeature, held_out: Estimate) -> FeatureLine {
        let acts = self.items.acts.dense(feature.index);
        let active = |wanted: bool| {
            let train = self.split.train.iter();
            let of_label: Vec<usize> = train
                .copied()
                .filter(|&item| self.items.labels[item] == wanted)
                .collect();
            let active = of_label.iter().filter(|item| acts[**item] != 0.0).count();
            active as f64 / of_label.len().max(1) as f64
        };
        FeatureLine {
            index: feature.index,
            sign: if feature.sign.factor() < 0.0 { -1 } else { 1 },
            auroc: feature.auroc.into(),
            p: feature.p,
            p_adjusted: feature.p_adjusted,
            held_out: held_out.into(),
            active_positive: active(true),
            active_negative: active(false),
        }
    }
}

/// Largest activation over the span of each item. Items are encoded one by one, so that a wide dictionary never lies in
/// memory for all of them.
fn aggregate(sae: &Sae, activations: &[Array2<f32>]) -> Result<FeatureActs> {
    let active = activations
        .par_iter()
        .map(|of_item| {
            let acts = sae.encode(of_item.view())?;
            let largest = acts.fold_axis(Axis(0), f32::MIN, |best, &act| best.max(act));
            let active = (0..).zip(largest).filter(|(_, act)| *act != 0.0);
            Ok(active.collect())
        })
        .collect::<Result<Vec<Vec<(u32, f32)>>>>()?;
    let mut all = FeatureActs::new(sae.d_sae());
    for active in &active {
        all.push(active)?;
    }
    Ok(all)
}
