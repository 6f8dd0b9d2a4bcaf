//! Reads the model with its detectors: linear probes inside the graph, SAE features on the tapped activations.

use std::collections::BTreeSet;

use ndarray::{Array2, Axis};

use super::preflight::Bench;
use super::study::Study;
use crate::causal::{Engine, Runs as _};
use crate::detect::sae::{Measured, Measuring};
use crate::detect::{Detector, Loaded};
use crate::evidence::{Evidence, Response, Score, Unmeasured};
use crate::fault::Result;
use crate::instrument::Head;
use crate::lab::{Reading, encode_items, span_positions};
use crate::model::SiteName;
use crate::rules::{CausalRequest, Rule, RulePack};
use crate::run::Runtime;
use crate::tokens::Suite;

/// How an SAE fits the audit's own activations.
#[derive(Debug, Clone)]
pub struct Fit {
    /// Detector id.
    pub detector: String,
    /// What it does there.
    pub measured: Measured,
}

/// One graph for the whole audit: taps and writes wherever a rule patches or a detector reads, a head for each probe.
///
/// # Errors
/// A site is missing or cannot be written, or the runtime refuses the graph.
pub fn instrument(runtime: &Runtime, bench: &Bench, rules: &RulePack) -> Result<Engine> {
    let subject = &bench.subject;
    let (sites, heads) = additions(bench, rules)?;
    Engine::open(
        runtime,
        &subject.model,
        &subject.arch,
        &sites,
        &sites,
        heads,
    )
}

/// Whether that graph can be made, before anything is run.
///
/// # Errors
/// A site is missing or cannot be written.
pub fn check(bench: &Bench, rules: &RulePack) -> Result<()> {
    let subject = &bench.subject;
    let (sites, heads) = additions(bench, rules)?;
    Engine::check(&subject.model, &subject.arch, &sites, &sites, heads)
}

fn additions(bench: &Bench, rules: &RulePack) -> Result<(Vec<SiteName>, Vec<Head>)> {
    let arch = &bench.subject.arch;
    let patched = rules
        .rules
        .iter()
        .flat_map(Rule::evidence)
        .filter_map(|request| match request {
            CausalRequest::Patching { point, .. } => Some(*point),
            _ => None,
        });
    let mut sites: BTreeSet<SiteName> = patched
        .flat_map(|point| (0..arch.n_layers).map(move |layer| SiteName::block(layer, point)))
        .filter(|&site| arch.site(site).is_some())
        .collect();
    for detector in &bench.detectors {
        sites.extend([detector.card.site, detector.site_out()?]);
    }
    let heads = bench
        .detectors
        .iter()
        .filter(|detector| rides(detector))
        .filter_map(|detector| detector.head().transpose())
        .collect::<Result<Vec<Head>>>()?;
    Ok((sites.into_iter().collect(), heads))
}

impl Study<'_> {
    /// Scores every item of every suite with every detector, and measures how the SAEs fit.
    ///
    /// # Errors
    /// A run fails, or a score is not finite.
    pub(super) fn read_detectors(&mut self, engine: &Engine) -> Result<()> {
        self.stage("reading detectors", self.prepared.suites.len());
        let detectors = &self.bench.detectors;
        for detector in detectors {
            if detector.card.calibration.is_none() {
                self.evidence.unmeasured.push(Unmeasured {
                    what: format!("what the detector `{}` says", detector.card.id),
                    why: "its card has no calibration, and a score without a threshold decides nothing"
                        .to_owned(),
                });
            }
        }
        let mut fits: Vec<Option<Measuring<'_>>> = detectors
            .iter()
            .map(|one| Some(Measuring::new(one.sae()?)))
            .collect();
        for suite in &self.prepared.suites {
            let _span = tracing::info_span!("score", suite = suite.id).entered();
            let of_suite = |response: &&Response| response.suite == suite.id;
            let responses: Vec<Response> = self
                .evidence
                .responses
                .iter()
                .filter(of_suite)
                .cloned()
                .collect();
            let readings = encode_items(&self.bench.subject.tokenizer, suite, &responses)?;
            let prompts: Vec<&[i64]> = readings
                .iter()
                .map(|reading| reading.encoded.ids.as_slice())
                .collect();
            let mut heads = columns_of(engine.head_scores(&prompts)?);
            // Of each detector what it reads, and what its SAE reconstructs.
            let mut sites: Vec<SiteName> = Vec::with_capacity(2 * detectors.len());
            for detector in detectors {
                sites.extend([detector.card.site, detector.site_out()?]);
            }
            let activations = engine.plain_activations(&prompts, &sites)?;
            for (tap, (detector, fit)) in detectors.iter().zip(&mut fits).enumerate() {
                // Token scores of every item: [seq, features], or [seq, 1] for a probe.
                let scores = if rides(detector) {
                    heads.next().unwrap_or_default()
                } else {
                    let of_prompts = activations.iter();
                    of_prompts
                        .map(|of_prompt| detector.token_scores(of_prompt[2 * tap].view()))
                        .collect::<Result<_>>()?
                };
                let items = Scored {
                    suite,
                    detector,
                    readings: &readings,
                    scores: &scores,
                };
                items.note(&mut self.evidence)?;
                if let Some(fit) = fit {
                    for (reading, of_prompt) in readings.iter().zip(&activations) {
                        let [x, y] = [2 * tap, 2 * tap + 1]
                            .map(|site| plain_rows(reading, &of_prompt[site]));
                        fit.add(x.view(), y.view())?;
                    }
                }
            }
            self.progress.step(1);
        }
        let fits = detectors.iter().zip(&fits).filter_map(|(detector, fit)| {
            let measured = fit.as_ref()?.finish();
            Some(measured.map(|measured| Fit {
                detector: detector.card.id.clone(),
                measured,
            }))
        });
        self.fits = fits.collect::<Result<_>>()?;
        Ok(())
    }
}

/// Whether a detector is a head of the graph. An encoder whose features compete would run as a whole in every pass of a
/// patching map; the fit of an SAE encodes the tapped activations anyway.
pub(super) fn rides(detector: &Detector) -> bool {
    match &detector.weights {
        Loaded::Probe(_) => true,
        Loaded::Sae(sae) => !detector.card.features.is_empty() && !sae.features_compete(),
    }
}

/// `[prompt][head]` turned into one list of prompts for each head.
fn columns_of(heads: Vec<Vec<Array2<f32>>>) -> impl Iterator<Item = Vec<Array2<f32>>> {
    let n = heads.first().map_or(0, Vec::len);
    let mut columns: Vec<Vec<Array2<f32>>> = vec![Vec::with_capacity(heads.len()); n];
    for of_prompt in heads {
        for (column, scores) in columns.iter_mut().zip(of_prompt) {
            column.push(scores);
        }
    }
    columns.into_iter()
}

/// The token scores `[seq, features]` of one detector on one suite.
struct Scored<'a> {
    suite: &'a Suite,
    detector: &'a Detector,
    readings: &'a [Reading<'a>],
    scores: &'a [Array2<f32>],
}

impl Scored<'_> {
    /// Adds one score for each item (and feature) to the evidence; items without a token to read are counted.
    fn note(&self, evidence: &mut Evidence) -> Result<()> {
        let card = &self.detector.card;
        let mut unread = 0;
        for (reading, scores) in self.readings.iter().zip(self.scores) {
            let span = span_positions(&reading.encoded, card.span);
            if span.is_empty() {
                unread += 1;
                continue;
            }
            for score in self.detector.item_scores(scores.view(), &span)? {
                evidence.scores.push(Score {
                    suite: self.suite.id.clone(),
                    item: reading.item.id.clone(),
                    group: reading.item.group.clone(),
                    condition: reading.item.condition.clone(),
                    detector: card.id.clone(),
                    feature: score.feature,
                    value: score.value,
                    tokens: reading.encoded.tokens.clone(),
                    token_scores: score.tokens,
                    span: span.clone(),
                });
            }
        }
        if unread > 0 {
            evidence.unmeasured.push(Unmeasured {
                what: format!(
                    "the detector `{}` on {unread} of {} items of `{}`",
                    card.id,
                    self.readings.len(),
                    self.suite.id
                ),
                why: format!(
                    "they have no token of the span `{}`: the model said nothing",
                    card.span
                ),
            });
        }
        Ok(())
    }
}

/// Rows of an activation `[seq, d_model]` without special tokens.
fn plain_rows(reading: &Reading<'_>, activation: &Array2<f32>) -> Array2<f32> {
    let rows: Vec<usize> = (0..activation.nrows())
        .filter(|&row| !reading.encoded.special.get(row).copied().unwrap_or(false))
        .collect();
    activation.select(Axis(0), &rows)
}
