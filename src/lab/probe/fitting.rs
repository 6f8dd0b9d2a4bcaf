//! Fits a probe on some of the labelled items, scores others, and calibrates the threshold.

use ndarray::{Array2, Axis};

use super::super::labelled::Labelled;
use super::super::subject::Subject;
use super::{ProbeRequest, RESAMPLES, TARGET_FPR};
use crate::detect::train::{About, ProbeKind, TrainingOptions, TrainingSet};
use crate::detect::{Aggregation, Calibration, Corpus, Probe, calibrate};
use crate::fault::{Fault, Result};
use crate::model::SiteName;
use crate::run::Runtime;
use crate::stats::{Estimate, auroc_interval};

/// The labelled items of a request, and what is done with a choice of them.
pub(super) struct Fitting<'a> {
    pub request: &'a ProbeRequest<'a>,
    pub labels: &'a [bool],
    pub groups: &'a [&'a str],
    pub about: &'a [About],
    pub options: TrainingOptions,
}

/// One row for each token of each item's span.
pub(super) struct Rows {
    activations: Array2<f32>,
    labels: Vec<bool>,
    about: Vec<About>,
}

impl Rows {
    pub fn set(&self) -> TrainingSet<'_> {
        TrainingSet {
            rows: self.activations.view(),
            labels: &self.labels,
            about: &self.about,
        }
    }
}

impl Fitting<'_> {
    /// How a kind makes one score of an item's tokens.
    pub fn aggregation(&self, kind: &ProbeKind) -> Aggregation {
        kind.pooling.unwrap_or(self.request.aggregation)
    }

    /// The rows of some items.
    pub fn rows(
        &self,
        activations: &[Array2<f32>],
        items: &[usize],
        labels: &[bool],
    ) -> Result<Rows> {
        let views: Vec<_> = items.iter().map(|&item| activations[item].view()).collect();
        let rows = ndarray::concatenate(Axis(0), &views)
            .map_err(|error| Fault::failed("training a probe", error.to_string()))?;
        let tokens = |item: &usize| activations[*item].nrows();
        Ok(Rows {
            activations: rows,
            labels: items
                .iter()
                .flat_map(|item| std::iter::repeat_n(labels[*item], tokens(item)))
                .collect(),
            about: items
                .iter()
                .flat_map(|item| std::iter::repeat_n(self.about[*item], tokens(item)))
                .collect(),
        })
    }

    pub fn fit(
        &self,
        kind: &ProbeKind,
        activations: &[Array2<f32>],
        items: &[usize],
        labels: &[bool],
    ) -> Result<Probe> {
        let rows = self.rows(activations, items, labels)?;
        kind.train(&rows.set(), self.options)
    }

    pub fn scores(
        &self,
        kind: &ProbeKind,
        probe: &Probe,
        activations: &[Array2<f32>],
        items: &[usize],
    ) -> Result<Vec<f64>> {
        items
            .iter()
            .map(|&item| self.score(kind, probe, &activations[item]))
            .collect()
    }

    fn score(&self, kind: &ProbeKind, probe: &Probe, activation: &Array2<f32>) -> Result<f64> {
        let scores = probe.token_scores(activation.view())?;
        let span: Vec<usize> = (0..scores.nrows()).collect();
        self.aggregation(kind).of_columns(scores.view(), &span)
    }

    /// Labels of some items.
    pub fn labels_of(&self, items: &[usize]) -> Vec<bool> {
        items.iter().map(|&item| self.labels[item]).collect()
    }

    /// Groups of some items.
    pub fn groups_of(&self, items: &[usize]) -> Vec<&str> {
        items.iter().map(|&item| self.groups[item]).collect()
    }

    /// AUROC of the items' scores with its interval clustered by group.
    pub fn quality(&self, scores: &[f64], items: &[usize]) -> Result<Estimate> {
        auroc_interval(
            scores,
            &self.labels_of(items),
            &self.groups_of(items),
            RESAMPLES,
            self.request.seed,
        )
    }

    /// Threshold and false-positive rates: on the control suite where there is one, and on the held-out honest items.
    pub fn calibrate(
        &self,
        runtime: &Runtime,
        subject: &Subject,
        (kind, probe): (&ProbeKind, &Probe),
        site: SiteName,
        (scores, items): (&[f64], &[usize]),
    ) -> Result<Calibration> {
        let unflagged = self.request.flags_below;
        // A detector that flags low scores is calibrated on its mirror image.
        let sign = if self.request.flags_below { -1.0 } else { 1.0 };
        let honest_scores: Vec<f64> = scores
            .iter()
            .zip(items)
            .filter(|(_, item)| self.labels[**item] == unflagged)
            .map(|(score, _)| sign * score)
            .collect();
        let digest = self.corpus_digest();
        let honest = Corpus {
            digest: &digest,
            scores: &honest_scores,
        };
        let mut calibration = match self.request.control {
            Some(suite) => {
                let control = Labelled::read(runtime, subject, suite, &[site], self.request.span)?;
                let scores = control.activations[0]
                    .iter()
                    .map(|activation| Ok(sign * self.score(kind, probe, activation)?))
                    .collect::<Result<Vec<f64>>>()?;
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
        if self.request.flags_below {
            calibration = calibration.mirrored();
        }
        Ok(calibration)
    }
}
