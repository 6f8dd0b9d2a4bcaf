//! Reads the model with its detectors: linear probes inside the graph, SAE features on the tapped activations.

use std::collections::BTreeSet;

use ndarray::{Array2, Axis};

use super::preflight::Bench;
use crate::causal::Engine;
use crate::detect::{Detector, Loaded, Sae};
use crate::evidence::{Evidence, Score, Unmeasured};
use crate::fault::Result;
use crate::instrument::{Activation, Head};
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
    let patched = rules.rules.iter().flat_map(|rule| rule.evidence()).filter_map(|request| match request {
        CausalRequest::Patching { point, .. } => Some(*point),
        _ => None,
    });
    let mut sites: BTreeSet<SiteName> = patched
        .flat_map(|point| (0..arch.n_layers).map(move |layer| SiteName::block(layer, point)))
        .filter(|&site| arch.site(site).is_some())
        .collect();
    sites.extend(bench.detectors.iter().map(|detector| detector.card.site));
    let taps: Vec<SiteName> = sites.iter().copied().collect();
    let writes: Vec<SiteName> = sites.iter().copied().filter(|site| site.point != Point::LnFinal).collect();
    let heads = bench
        .detectors
        .iter()
        .filter_map(|detector| match &detector.weights {
            Loaded::Probe(probe) => Some(Head {
                id: detector.card.id.clone(),
                site: detector.card.site,
                weight: probe.weight.clone().insert_axis(Axis(1)),
                bias: ndarray::arr1(&[probe.bias]),
                activation: Activation::Linear,
            }),
            Loaded::Sae(_) => None,
        })
        .collect();
    Engine::open(runtime, &bench.subject.model, arch, &taps, &writes, heads)
}

/// Scores every item of every suite with every detector, and measures how the SAEs fit.
///
/// # Errors
/// A run fails, or a score is not finite.
pub fn score(bench: &Bench, suites: &[Suite], engine: &Engine, evidence: &mut Evidence, progress: &dyn Progress) -> Result<Vec<Fit>> {
    let mut rows_of_saes: Vec<(&Detector, &Sae, Vec<Array2<f32>>)> = bench
        .detectors
        .iter()
        .filter_map(|detector| match &detector.weights {
            Loaded::Sae(sae) => Some((detector, sae, Vec::new())),
            Loaded::Probe(_) => None,
        })
        .collect();
    for suite in suites {
        let _span = tracing::info_span!("score", suite = suite.id).entered();
        let responses: Vec<_> = evidence.responses.iter().filter(|response| response.suite == suite.id).cloned().collect();
        let readings = encode_items(&bench.subject.tokenizer, suite, &responses)?;
        let prompts: Vec<&[i64]> = readings.iter().map(|reading| reading.encoded.ids.as_slice()).collect();
        let heads = engine.head_scores(&prompts)?;
        let probes = bench.detectors.iter().filter(|detector| matches!(detector.weights, Loaded::Probe(_)));
        for (column, detector) in probes.enumerate() {
            let of_items = heads.iter().map(|of_prompt| of_prompt[column].column(0).to_vec()).collect::<Vec<_>>();
            add(evidence, suite, detector, None, &readings, &of_items)?;
        }
        if !rows_of_saes.is_empty() {
            let activations = engine.activations(&prompts)?;
            for (detector, sae, seen) in &mut rows_of_saes {
                let Some(tap) = engine.taps().position(|site| site == detector.card.site) else { continue };
                let encoded = activations.iter().map(|of_prompt| sae.encode(of_prompt[tap].view())).collect::<Result<Vec<_>>>()?;
                for feature in &detector.card.features {
                    let of_items: Vec<Vec<f32>> = encoded.iter().map(|acts| acts.column(feature.index).to_vec()).collect();
                    add(evidence, suite, detector, Some(feature.index), &readings, &of_items)?;
                }
                seen.extend(readings.iter().zip(&activations).map(|(reading, of_prompt)| plain_rows(reading, &of_prompt[tap])));
            }
        }
        progress.step(1);
    }
    rows_of_saes.into_iter().map(|(detector, sae, seen)| fit(detector, sae, &seen)).collect()
}

fn add(evidence: &mut Evidence, suite: &Suite, detector: &Detector, feature: Option<usize>, readings: &[Reading<'_>], of_items: &[Vec<f32>]) -> Result<()> {
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
            what: format!("the detector `{}` on {without_span} of {} items of `{}`", detector.card.id, readings.len(), suite.id),
            why: format!("they have no token of the span `{}`: the model said nothing", detector.card.span),
        });
    }
    Ok(())
}

/// Rows of an activation `[seq, d_model]` without special tokens.
fn plain_rows(reading: &Reading<'_>, activation: &Array2<f32>) -> Array2<f32> {
    let rows: Vec<usize> = (0..activation.nrows()).filter(|&row| !reading.encoded.special.get(row).copied().unwrap_or(false)).collect();
    activation.select(Axis(0), &rows)
}

fn fit(detector: &Detector, sae: &Sae, seen: &[Array2<f32>]) -> Result<Fit> {
    let views: Vec<_> = seen.iter().map(Array2::view).collect();
    let rows = ndarray::concatenate(Axis(0), &views).map_err(|error| crate::fault::Fault::failed("measuring an SAE", error.to_string()))?;
    Ok(Fit {
        detector: detector.card.id.clone(),
        l0: sae.l0(rows.view())?,
        explained_variance: sae.explained_variance(rows.view())?,
    })
}
