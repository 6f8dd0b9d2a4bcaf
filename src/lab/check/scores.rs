//! What a detector scores the items of a suite, and how often it flags harmless ones.

use ndarray::{ArrayView2, Axis};

use super::candidate::Candidate;
use super::found::{Harmless, SuiteFound};
use super::texts::Corpus;
use crate::detect::{Calibration, Detector, Flags};
use crate::fault::Result;
use crate::lab::span_positions;
use crate::stats::{auroc_interval, proportion};
use crate::tokens::{Encoded, Purpose};

/// Bootstrap resamples of an AUROC's interval, as on cards.
const RESAMPLES: usize = 1000;
const SEED: u64 = 0;

/// The scores of one corpus so far.
pub(super) struct Tally<'a> {
    detector: &'a Detector,
    corpus: &'a Corpus<'a>,
    /// Whether the labels of the corpus are about what the detector reads.
    labels: bool,
    /// What a score is multiplied by.
    factor: f64,
    /// In the order of the texts; `None` without a token of the span.
    scores: Vec<Option<f64>>,
}

impl<'a> Tally<'a> {
    /// `None` for what has no score: an SAE without a feature on its card.
    pub fn begin(
        candidate: &'a Candidate,
        corpus: &'a Corpus<'a>,
        all: &[Candidate],
    ) -> Option<Self> {
        let detector = candidate.detector()?;
        let first = detector.card.features.first();
        if candidate.sae().is_some() && first.is_none() {
            return None;
        }
        Some(Self {
            detector,
            corpus,
            labels: labels_speak_of(candidate, corpus, all),
            factor: first.map_or(1.0, |feature| feature.sign.factor()),
            scores: Vec::with_capacity(corpus.texts.len()),
        })
    }

    /// Scores a text by its activations `[seq, d_in]`.
    pub fn add(&mut self, text: &Encoded, x: ArrayView2<f32>) -> Result<()> {
        let span = span_positions(text, self.detector.card.span);
        if span.is_empty() {
            self.scores.push(None);
            return Ok(());
        }
        let rows = x.select(Axis(0), &span);
        let scores = self.detector.token_scores(rows.view())?;
        let all: Vec<usize> = (0..rows.nrows()).collect();
        let scores = self.detector.item_scores(scores.view(), &all)?;
        let first = scores.first().map(|score| self.factor * score.value);
        self.scores.push(first);
        Ok(())
    }

    /// What the scores say.
    pub fn finish(self) -> Result<SuiteFound> {
        let calibration = self.detector.card.calibration.as_ref();
        let scored: Vec<(usize, f64)> = (0..)
            .zip(&self.scores)
            .filter_map(|(item, score)| Some((item, (*score)?)))
            .collect();
        let flagged = |of: &dyn Fn(usize) -> bool, calibration: &Calibration| {
            let scores = scored.iter().filter(|(item, _)| of(*item));
            let flags: Vec<bool> = scores.map(|(_, score)| calibration.flag(*score)).collect();
            proportion(flags.iter().filter(|flag| **flag).count(), flags.len())
        };
        let flags = calibration.map_or(Flags::Above, |calibration| calibration.flags);
        let harmless = self.harmless(flags);
        let suite = self.corpus.suite;
        Ok(SuiteFound {
            suite: suite.map(|suite| suite.id.clone()),
            digest: suite.map(|suite| suite.digest.clone()),
            texts: self.scores.len(),
            unread: self.scores.len() - scored.len(),
            flagged: calibration.and_then(|calibration| flagged(&|_| true, calibration)),
            false_alarms: harmless.as_ref().and_then(|(harmless, of)| {
                Some((
                    *harmless,
                    flagged(&|item| of.contains(&item), calibration?)?,
                ))
            }),
            auroc: self.auroc(&scored)?,
        })
    }

    /// Which items are harmless, as far as the suite says.
    fn harmless(&self, flags: Flags) -> Option<(Harmless, Vec<usize>)> {
        let suite = self.corpus.suite?;
        let which = |of: &dyn Fn(usize) -> bool| {
            let items: Vec<usize> = (0..self.corpus.items().len())
                .filter(|&item| of(item))
                .collect();
            (!items.is_empty()).then_some(items)
        };
        let items = self.corpus.items();
        match suite.purpose {
            Purpose::Control => Some((Harmless::Control, which(&|_| true)?)),
            Purpose::Calibration if !self.labels => None,
            Purpose::Calibration => {
                let unflagged = u8::from(flags == Flags::Below);
                let honest = which(&|item| items[item].label == Some(unflagged))?;
                Some((Harmless::Labelled, honest))
            }
            Purpose::Contrast => {
                let against = &suite.contrast.as_ref()?.against;
                let baseline = which(&|item| items[item].condition == *against)?;
                Some((Harmless::Baseline, baseline))
            }
        }
    }

    /// Between the labels, where all scored items have one and both are there.
    fn auroc(&self, scored: &[(usize, f64)]) -> Result<Option<crate::stats::Estimate>> {
        if !self.labels {
            return Ok(None);
        }
        let items = self.corpus.items();
        let labelled: Option<Vec<(f64, bool, &str)>> = scored
            .iter()
            .map(|(item, score)| {
                let item = items.get(*item)?;
                Some((*score, item.label? == 1, item.group.as_str()))
            })
            .collect();
        let Some(labelled) = labelled.filter(|all| {
            let (mut labels, mut others) = (all.iter(), all.iter());
            labels.any(|(_, label, _)| *label) && others.any(|(_, label, _)| !*label)
        }) else {
            return Ok(None);
        };
        let scores: Vec<f64> = labelled.iter().map(|(score, ..)| *score).collect();
        let labels: Vec<bool> = labelled.iter().map(|(_, label, _)| *label).collect();
        let groups: Vec<&str> = labelled.iter().map(|(.., group)| *group).collect();
        auroc_interval(&scores, &labels, &groups, RESAMPLES, SEED).map(Some)
    }
}

/// Whether a suite's labels are about what a detector reads: not where another of the detectors was trained on that suite and this one
/// was not.
fn labels_speak_of(candidate: &Candidate, corpus: &Corpus<'_>, all: &[Candidate]) -> bool {
    let Some(suite) = corpus.suite else {
        return false;
    };
    let trained = |candidate: &Candidate| {
        let card = candidate.card().and_then(|card| card.trained_on.as_ref());
        card.is_some_and(|trained| trained.suite == suite.id)
    };
    trained(candidate) || !all.iter().any(trained)
}
