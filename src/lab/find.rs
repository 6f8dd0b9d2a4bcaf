//! `candor detectors find`: which features of an SAE separate labelled items, and the card that says so.

use std::path::Path;

use ndarray::{Array1, Array2, Axis};

use super::labelled::Labelled;
use super::subject::Subject;
use crate::detect::card::{Declares, Interval, MadeOn, TrainedOn};
use crate::detect::{
    Aggregation, Card, Corpus, Detector, DetectorKind, Loaded, Sae, Selection, Span, calibrate,
    hold_out, select_features,
};
use crate::fault::{Fault, Result};
use crate::model::SiteName;
use crate::run::Runtime;
use crate::stats::auroc_interval;
use crate::tokens::Suite;

/// Share of the groups that report the quality of the best feature.
const HELD_OUT: f64 = 0.3;

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
    let sae = Sae::open(folder)?;
    let site: SiteName = sae
        .config()
        .hook_name
        .as_deref()
        .ok_or_else(|| {
            Fault::usage(
                format!("reading `{}`", folder.display()),
                "no hook name in cfg.json",
            )
            .expected("the site that the SAE was trained at")
        })?
        .parse()?;
    let data = Labelled::read(runtime, subject, search.suite, &[site], search.span)?;
    let (labels, groups) = (data.labels()?, data.groups());
    let split = hold_out(&data.split_items(), HELD_OUT, search.selection.seed)?;
    let aggregated = aggregate(&sae, &data.activations[0])?;
    let side = |wanted: bool| {
        let items: Vec<usize> = split
            .train
            .iter()
            .copied()
            .filter(|&item| labels[item] == wanted)
            .collect();
        let of: Vec<&str> = items.iter().map(|&item| groups[item]).collect();
        (aggregated.select(Axis(0), &items), of)
    };
    let ((positive, groups_positive), (negative, groups_negative)) = (side(true), side(false));
    let select = |selection: &Selection| {
        select_features(
            positive.view(),
            negative.view(),
            &groups_positive,
            &groups_negative,
            selection,
        )
    };
    let mut features = select(&search.selection)?;
    if features.is_empty() {
        features = select(&Selection {
            min_auroc: 0.0,
            max_p: 1.0,
            at_most: 1,
            ..search.selection
        })?;
    }
    let best = features.first().copied().ok_or_else(|| {
        Fault::failed(
            "selecting features",
            "no feature that is active on the suite",
        )
        .expected("an SAE that was trained on this model's activations")
    })?;

    let score = |item: usize| best.sign.factor() * f64::from(aggregated[[item, best.index]]);
    let held_scores: Vec<f64> = split.held_out.iter().map(|&item| score(item)).collect();
    let held_labels: Vec<bool> = split.held_out.iter().map(|&item| labels[item]).collect();
    let held_groups: Vec<&str> = split.held_out.iter().map(|&item| groups[item]).collect();
    let quality = auroc_interval(
        &held_scores,
        &held_labels,
        &held_groups,
        search.selection.resamples,
        search.selection.seed,
    )?;
    let honest_scores: Vec<f64> = split
        .held_out
        .iter()
        .filter(|&&item| !labels[item])
        .map(|&item| score(item))
        .collect();
    let control = Labelled::read(runtime, subject, search.control, &[site], search.span)?;
    let control_acts = aggregate(&sae, &control.activations[0])?;
    let control_scores: Vec<f64> = control_acts
        .column(best.index)
        .iter()
        .map(|&act| best.sign.factor() * f64::from(act))
        .collect();
    let calibration = calibrate(
        Corpus {
            digest: &search.control.digest,
            scores: &control_scores,
        },
        Some(Corpus {
            digest: &search.suite.digest,
            scores: &honest_scores,
        }),
        0.01,
    )?;
    let rows: Vec<_> = data.activations[0].iter().map(|rows| rows.view()).collect();
    let rows = ndarray::concatenate(Axis(0), &rows)
        .map_err(|error| Fault::failed("measuring an SAE", error.to_string()))?;
    let measured = sae.measure(rows.view())?;
    let card = Card {
        id: search.id.clone(),
        role: search.role.clone(),
        kind: DetectorKind::Sae,
        site,
        d_in: sae.d_in(),
        weights: "sae_weights.safetensors".to_owned(),
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
            n: labels.len(),
            groups: groups
                .iter()
                .collect::<std::collections::BTreeSet<_>>()
                .len(),
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
    };
    Ok(Detector {
        card,
        folder: folder.to_owned(),
        weights: Loaded::Sae(Box::new(sae)),
        digests: Vec::new(),
    })
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
