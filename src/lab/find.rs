//! `candor detectors find`: which features of an SAE separate labelled items, and the card that says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ndarray::{Array1, Array2, Axis};

use super::labelled::Labelled;
use super::subject::Subject;
use crate::detect::card::{Declares, Interval, MadeOn, TrainedOn};
use crate::detect::{
    Aggregation, Card, Corpus, Detector, DetectorKind, Loaded, Sae, SelectedFeature, Selection,
    Span, calibrate, hold_out, select_features,
};
use crate::fault::{Fault, Result};
use crate::model::SiteName;
use crate::run::Runtime;
use crate::stats::{Estimate, auroc_interval};
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
    /// Unrelated text that the threshold is set on.
    pub control: &'a Suite,
    /// The bars of the selection.
    pub selection: Selection,
    /// The command that makes the card again.
    pub command: String,
}

/// Opens the SAE in `folder`, selects features and returns the detector with its card.
///
/// Where no feature reaches the bars the single best one is kept with its numbers, so that an audit can measure on its own
/// items that nothing is there.
///
/// # Errors
/// The SAE cannot be read or does not fit, the suite has no labels, or a run fails.
pub fn find_features(
    runtime: &Runtime,
    subject: &Subject,
    folder: &Path,
    search: &FeatureSearch<'_>,
) -> Result<Detector> {
    let sae = Sae::open_saelens(folder)?;
    let site = site_of(&sae, folder)?;
    let data = Labelled::read(runtime, subject, search.suite, &[site], search.span)?;
    let control = Labelled::read(runtime, subject, search.control, &[site], search.span)?;
    let split = hold_out(&data.split_items(), HELD_OUT, search.selection.seed)?;
    let items = Items {
        labels: data.labels()?,
        groups: data.groups(),
        acts: aggregate(&sae, &data.activations[0])?,
    };
    let features = items.select(&split.train, &search.selection)?;
    let best = features.first().copied().ok_or_else(|| {
        Fault::failed(
            "selecting features",
            "no feature that is active on the suite",
        )
        .expected("an SAE that was trained on this model's activations")
    })?;
    let quality = items.quality(&split.held_out, best, &search.selection)?;
    let control_acts = aggregate(&sae, &control.activations[0])?;
    let control_scores: Vec<f64> = (0..control_acts.nrows())
        .map(|item| score(&control_acts, best, item))
        .collect();
    let honest = split.held_out.iter().filter(|&&item| !items.labels[item]);
    let honest_scores: Vec<f64> = honest.map(|&item| score(&items.acts, best, item)).collect();
    let calibration = calibrate(
        Corpus {
            digest: &search.control.digest,
            scores: &control_scores,
        },
        Some(Corpus {
            digest: &search.suite.digest,
            scores: &honest_scores,
        }),
        TARGET_FPR,
    )?;
    let rows: Vec<_> = data.activations[0].iter().map(|rows| rows.view()).collect();
    let rows = ndarray::concatenate(Axis(0), &rows)
        .map_err(|error| Fault::failed("measuring an SAE", error.to_string()))?;
    let measured = sae.measure(rows.view())?;
    let groups: BTreeSet<&str> = split.train.iter().map(|&item| items.groups[item]).collect();
    let card = Card {
        id: search.id.clone(),
        role: search.role.clone(),
        kind: DetectorKind::Sae,
        site,
        module: None,
        d_in: sae.d_in(),
        weights: "sae_weights.safetensors".to_owned(),
        weights_sha256: BTreeMap::new(),
        span: search.span,
        aggregation: Aggregation::Max,
        positive: "the listed features are more active".to_owned(),
        model: MadeOn {
            name: subject.name.clone(),
            sha256: subject.sha256().to_owned(),
        },
        calibration: Some(calibration),
        trained_on: Some(TrainedOn {
            suite: search.suite.id.clone(),
            corpus_digest: search.suite.digest.clone(),
            n: split.train.len(),
            groups: groups.len(),
            seed: search.selection.seed,
            command: search.command.clone(),
        }),
        declares: Some(Declares {
            auroc: Some(quality.point),
            auroc_interval: Some(Interval {
                low: quality.low,
                high: quality.high,
            }),
            l0: Some(measured.l0),
            explained_variance: Some(measured.explained_variance),
        }),
        features,
        baselines: None,
        limits: Vec::new(),
        source: None,
    };
    Ok(Detector {
        card,
        folder: folder.to_owned(),
        weights: Loaded::Sae(Box::new(sae)),
        digests: Vec::new(),
    })
}

fn site_of(sae: &Sae, folder: &Path) -> Result<SiteName> {
    let hook = sae.config().hook_name.as_deref().ok_or_else(|| {
        Fault::usage(
            format!("reading `{}`", folder.display()),
            "no hook name in cfg.json",
        )
        .expected("the site that the SAE was trained at")
    })?;
    hook.parse()
}

/// Labelled items and their aggregated feature activations `[item, d_sae]`.
struct Items<'a> {
    labels: Vec<bool>,
    groups: Vec<&'a str>,
    acts: Array2<f32>,
}

impl Items<'_> {
    /// The features that reach the bars on `items`; the best one alone where none does.
    fn select(&self, items: &[usize], selection: &Selection) -> Result<Vec<SelectedFeature>> {
        let side = |wanted: bool| {
            let of_label = items
                .iter()
                .copied()
                .filter(|&item| self.labels[item] == wanted);
            let rows: Vec<usize> = of_label.collect();
            let groups: Vec<&str> = rows.iter().map(|&item| self.groups[item]).collect();
            (self.acts.select(Axis(0), &rows), groups)
        };
        let ((positive, with), (negative, without)) = (side(true), side(false));
        let select = |selection: &Selection| {
            select_features(positive.view(), negative.view(), &with, &without, selection)
        };
        let features = select(selection)?;
        if !features.is_empty() {
            return Ok(features);
        }
        select(&Selection {
            min_auroc: 0.0,
            max_p: 1.0,
            at_most: 1,
            ..*selection
        })
    }

    /// AUROC of one feature on items that did not choose it.
    fn quality(
        &self,
        items: &[usize],
        feature: SelectedFeature,
        selection: &Selection,
    ) -> Result<Estimate> {
        let scores: Vec<f64> = items
            .iter()
            .map(|&item| score(&self.acts, feature, item))
            .collect();
        let labels: Vec<bool> = items.iter().map(|&item| self.labels[item]).collect();
        let groups: Vec<&str> = items.iter().map(|&item| self.groups[item]).collect();
        auroc_interval(
            &scores,
            &labels,
            &groups,
            selection.resamples,
            selection.seed,
        )
    }
}

fn score(acts: &Array2<f32>, feature: SelectedFeature, item: usize) -> f64 {
    feature.sign.factor() * f64::from(acts[[item, feature.index]])
}

/// Largest activation over the span: `[item, d_sae]`.
fn aggregate(sae: &Sae, activations: &[Array2<f32>]) -> Result<Array2<f32>> {
    let mut rows = Array2::zeros((activations.len(), sae.d_sae()));
    for (mut row, of_item) in rows.outer_iter_mut().zip(activations) {
        let acts = sae.encode(of_item.view())?;
        let largest: Array1<f32> = acts.fold_axis(Axis(0), f32::MIN, |best, &act| best.max(act));
        row.assign(&largest);
    }
    Ok(rows)
}
