//! Reads the model with its detectors: linear probes inside the graph, SAE features on the tapped activations.

use std::collections::BTreeSet;

use ndarray::{Array2, Axis};

use super::preflight::Bench;
use crate::causal::Engine;
use crate::detect::{Detector, Loaded, Sae};
use crate::evidence::{Evidence, Score, Unmeasured};
use crate::fault::{Fault, Result};
use crate::instrument::Head;
use crate::lab::{Progress, Reading, encode_items, span_positions};
use crate::model::{Point, SiteName};
use crate::rules::{CausalRequest, RulePack};
use crate::run::Runtime;
use crate::tokens::Suite;

/// How an SAE fits the audit's own activations.
#[derive(Debug, Clone)]
pub struct Fit {
    /// Detector id.
    pub detector: String,
    /// Mean number of active features a token.
    pub l0: f64,
    /// Fraction of the activations' variance that the SAE reconstructs.
    pub explained_variance: f64,
}

/// One graph for the whole audit: taps and writes wherever a rule patches or a detector reads, a head for each probe.
///
/// # Errors
/// A site is missing or cannot be written, or the runtime refuses the graph.
pub fn instrument(runtime: &Runtime, bench: &Bench, rules: &RulePack) -> Result<Engine> {
    let arch = &bench.subject.arch;
    let patched = rules
        .rules
        .iter()
        .flat_map(|rule| rule.evidence())
        .filter_map(|request| match request {
            CausalRequest::Patching { point, .. } => Some(*point),
            _ => None,
        });
    let mut sites: BTreeSet<SiteName> = patched
        .flat_map(|point| (0..arch.n_layers).map(move |layer| SiteName::block(layer, point)))
        .filter(|&site| arch.site(site).is_some())
        .collect();
    sites.extend(bench.detectors.iter().map(|detector| detector.card.site));
    let taps: Vec<SiteName> = sites.iter().copied().collect();
    let writes: Vec<SiteName> = sites
        .iter()
        .copied()
        .filter(|site| site.point != Point::LnFinal)
        .collect();
    let heads = bench
        .detectors
        .iter()
        .filter_map(|detector| detector.head().transpose())
        .collect::<Result<Vec<Head>>>()?;
    Engine::open(runtime, &bench.subject.model, arch, &taps, &writes, heads)
}

/// Scores every item of every suite with every detector, and measures how the SAEs fit.
///
/// # Errors
/// A run fails, or a score is not finite.
pub fn score(
    bench: &Bench,
    suites: &[Suite],
    engine: &Engine,
    evidence: &mut Evidence,
    progress: &dyn Progress,
) -> Result<Vec<Fit>> {
    let in_graph = bench
        .detectors
        .iter()
        .map(|detector| Ok(detector.head()?.is_some()))
        .collect::<Result<Vec<bool>>>()?;
    let mut seen: Vec<Vec<Array2<f32>>> = vec![Vec::new(); bench.detectors.len()];
    for suite in suites {
        let _span = tracing::info_span!("score", suite = suite.id).entered();
        let responses: Vec<_> = evidence
            .responses
            .iter()
            .filter(|response| response.suite == suite.id)
            .cloned()
            .collect();
        let readings = encode_items(&bench.subject.tokenizer, suite, &responses)?;
        let prompts: Vec<&[i64]> = readings
            .iter()
            .map(|reading| reading.encoded.ids.as_slice())
            .collect();
        let heads = engine.head_scores(&prompts)?;
        let activations = engine.activations(&prompts)?;
        let mut head = 0;
        for (index, detector) in bench.detectors.iter().enumerate() {
            let tap = tap_of(engine, detector)?;
            // Token scores of every item: [seq, features], or [seq, 1] for a probe.
            let scores: Vec<Array2<f32>> = if in_graph[index] {
                head += 1;
                heads
                    .iter()
                    .map(|of_prompt| of_prompt[head - 1].clone())
                    .collect()
            } else {
                activations
                    .iter()
                    .map(|of_prompt| detector.token_scores(of_prompt[tap].view()))
                    .collect::<Result<_>>()?
            };
            for (column, feature) in columns(detector).into_iter().enumerate() {
                let of_items: Vec<Vec<f32>> = scores
                    .iter()
                    .map(|scores| scores.column(column).to_vec())
                    .collect();
                add(evidence, suite, detector, feature, &readings, &of_items)?;
            }
            if matches!(detector.weights, Loaded::Sae(_)) {
                seen[index].extend(
                    readings
                        .iter()
                        .zip(&activations)
                        .map(|(reading, of_prompt)| plain_rows(reading, &of_prompt[tap])),
                );
            }
        }
        progress.step(1);
    }
    let fits = bench
        .detectors
        .iter()
        .zip(&seen)
        .filter_map(|(detector, seen)| match &detector.weights {
            Loaded::Sae(sae) => Some(fit(detector, sae, seen)),
            Loaded::Probe(_) => None,
        });
    fits.collect()
}

/// The columns of a detector's token scores: one for a probe, one for each feature of an SAE.
fn columns(detector: &Detector) -> Vec<Option<usize>> {
    match &detector.weights {
        Loaded::Probe(_) => vec![None],
        Loaded::Sae(_) => detector.features().into_iter().map(Some).collect(),
    }
}

fn tap_of(engine: &Engine, detector: &Detector) -> Result<usize> {
    let site = detector.card.site;
    engine
        .taps()
        .position(|tap| tap == site)
        .ok_or_else(|| Fault::failed("reading detectors", format!("no tap at `{site}`")))
}

fn add(
    evidence: &mut Evidence,
    suite: &Suite,
    detector: &Detector,
    feature: Option<usize>,
    readings: &[Reading<'_>],
    of_items: &[Vec<f32>],
) -> Result<()> {
    let mut without_span = 0;
    for (reading, token_scores) in readings.iter().zip(of_items) {
        let span = span_positions(&reading.encoded, detector.card.span);
        if span.is_empty() {
            without_span += 1;
            continue;
        }
        evidence.scores.push(Score {
            suite: suite.id.clone(),
            item: reading.item.id.clone(),
            group: reading.item.group.clone(),
            condition: reading.item.condition.clone(),
            detector: detector.card.id.clone(),
            feature,
            value: detector.card.aggregation.of(token_scores, &span)?,
            tokens: reading.encoded.tokens.clone(),
            token_scores: token_scores.clone(),
            span,
        });
    }
    if without_span > 0 {
        evidence.unmeasured.push(Unmeasured {
            what: format!(
                "the detector `{}` on {without_span} of {} items of `{}`",
                detector.card.id,
                readings.len(),
                suite.id
            ),
            why: format!(
                "they have no token of the span `{}`: the model said nothing",
                detector.card.span
            ),
        });
    }
    Ok(())
}

/// Rows of an activation `[seq, d_model]` without special tokens.
fn plain_rows(reading: &Reading<'_>, activation: &Array2<f32>) -> Array2<f32> {
    let rows: Vec<usize> = (0..activation.nrows())
        .filter(|&row| !reading.encoded.special.get(row).copied().unwrap_or(false))
        .collect();
    activation.select(Axis(0), &rows)
}

fn fit(detector: &Detector, sae: &Sae, seen: &[Array2<f32>]) -> Result<Fit> {
    let views: Vec<_> = seen.iter().map(|rows| rows.view()).collect();
    let rows = ndarray::concatenate(Axis(0), &views)
        .map_err(|error| Fault::failed("measuring an SAE", error.to_string()))?;
    let measured = sae.measure(rows.view())?;
    Ok(Fit {
        detector: detector.card.id.clone(),
        l0: measured.l0,
        explained_variance: measured.explained_variance,
    })
}
