//! Fits a probe on some of the labelled items, scores others, and calibrates the threshold.

use ndarray::{Array2, Axis};

use super::labelled::Labelled;
use super::subject::Subject;
use super::train::{ProbeRequest, RESAMPLES};
use crate::detect::train::{TrainingOptions, TrainingSet};
use crate::detect::{Calibration, Corpus, Probe, calibrate};
use crate::fault::{Fault, Result};
use crate::model::SiteName;
use crate::run::Runtime;
use crate::stats::{Estimate, auroc_interval};

/// False-positive rate that thresholds aim for.
const TARGET_FPR: f64 = 0.01;

/// The labelled items of a request, and what is done with a choice of them.
pub(super) struct Fitting<'a> {
    pub request: &'a ProbeRequest<'a>,
    pub labels: &'a [bool],
    pub groups: &'a [&'a str],
}

impl Fitting<'_> {
    /// One training row for each token of each item's span.
    pub fn fit(
        &self,
        activations: &[Array2<f32>],
        items: &[usize],
        labels: &[bool],
    ) -> Result<Probe> {
        let views: Vec<_> = items.iter().map(|&item| activations[item].view()).collect();
        let rows = ndarray::concatenate(Axis(0), &views)
            .map_err(|error| Fault::failed("training a probe", error.to_string()))?;
        let labels: Vec<bool> = items
            .iter()
            .flat_map(|&item| std::iter::repeat_n(labels[item], activations[item].nrows()))
            .collect();
        let set = TrainingSet::of_rows(rows.view(), &labels);
        self.request.kind.train(&set, TrainingOptions::default())
    }

    fn scores(
        &self,
        probe: &Probe,
        activations: &[Array2<f32>],
        items: &[usize],
    ) -> Result<Vec<f64>> {
        items
            .iter()
            .map(|&item| self.score(probe, &activations[item]))
            .collect()
    }

    fn score(&self, probe: &Probe, activation: &Array2<f32>) -> Result<f64> {
        let scores = probe.token_scores(activation.view())?;
        let span: Vec<usize> = (0..scores.nrows()).collect();
        self.request.aggregation.of_columns(scores.view(), &span)
    }

    /// AUROC of the items with its interval clustered by group.
    pub fn quality(
        &self,
        probe: &Probe,
        activations: &[Array2<f32>],
        items: &[usize],
    ) -> Result<Estimate> {
        let scores = self.scores(probe, activations, items)?;
        let labels: Vec<bool> = items.iter().map(|&item| self.labels[item]).collect();
        let groups: Vec<&str> = items.iter().map(|&item| self.groups[item]).collect();
        auroc_interval(&scores, &labels, &groups, RESAMPLES, self.request.seed)
    }

    /// Threshold and false-positive rates: on the control suite where there is one, and on the held-out honest items.
    #[allow(clippy::too_many_arguments, reason = "the parts of one calibration")]
    pub fn calibrate(
        &self,
        runtime: &Runtime,
        subject: &Subject,
        probe: &Probe,
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
        if self.request.flags_below {
            calibration = calibration.mirrored();
        }
        Ok(calibration)
    }
}
