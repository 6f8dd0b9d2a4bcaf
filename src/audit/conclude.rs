//! What stored evidence means: a pure function of the plan, the evidence and the rules, with which an audit ends, which stored evidence is judged
//! again by, and which a stranger checks a report with.

use std::collections::BTreeSet;

use super::findings::contexts;
use super::plan::Plan;
use super::power::power;
use crate::archive::Archive;
use crate::detect::card::Declares;
use crate::detect::{Flags, sae_agreements};
use crate::evidence::{Evidence, Fit, Outcome, Said, Unmeasured};
use crate::fault::Result;
use crate::report::{
    DetectorRecord, ExhibitContext, Family, Finding, ModelAudit, SuiteRecord, accounts, drawn,
    exhibits, failed, items, listed, refused, repeat, samples, shown,
};
use crate::rules::{RESAMPLES, RulePack, SEED, Verdict, judge, worst};
use crate::stats::{Estimate, auroc_interval};

/// Random input and output pairs of each suite.
const SAMPLES: usize = 5;

/// Judges everything that is stored, model by model.
///
/// # Errors
/// A part of the evidence cannot be read or was changed, or an interval cannot be computed.
pub fn conclude(archive: &Archive, plan: &Plan, rules: &RulePack) -> Result<Vec<ModelAudit>> {
    let seed = plan.begun.seed;
    let models = plan.begun.models.iter().zip(1..);
    models
        .map(|(begun, number)| {
            let mut evidence = archive.load(number)?;
            let shown = shown(&evidence, seed);
            let mut wanted: BTreeSet<(String, String)> = shown.clone();
            let drawn = drawn(&evidence, SAMPLES, seed);
            let listed = listed(&evidence).into_iter().chain(drawn);
            wanted.extend(listed.map(|one| (one.suite().to_owned(), one.item().to_owned())));
            archive.fill(number, &mut evidence, &wanted, &shown)?;
            model(begun, &evidence, rules, seed)
        })
        .collect()
}

fn model(
    begun: &ModelAudit,
    evidence: &Evidence,
    rules: &RulePack,
    seed: u64,
) -> Result<ModelAudit> {
    let mut detectors = begun.detectors.clone();
    for detector in &mut detectors {
        let mut fits = evidence.fits.iter();
        let fit = fits.find(|fit| fit.detector == detector.id);
        detector.l0 = fit.map(|fit| fit.measured.l0);
        detector.explained_variance = fit.map(|fit| fit.measured.explained_variance);
        detector.auroc = measured_auroc(evidence, &begun.suites, detector);
    }
    let context = ExhibitContext {
        detectors: &detectors,
        seed,
    };
    let exhibits = exhibits(evidence, &context)?;
    let contexts = contexts(&rules.rules, &begun.suites, &detectors);
    let pairs = rules
        .rules
        .iter()
        .flat_map(|rule| contexts.iter().map(move |context| (rule, context)));
    let findings: Vec<Finding> = pairs
        .map(|(rule, context)| Finding::judged(rule, &judge(rule, evidence, context), &begun.name))
        .collect();
    let verdicts: Vec<Verdict> = findings.iter().map(|finding| finding.verdict).collect();
    let mut unmeasured = without_threshold(&detectors);
    unmeasured.extend(unread(evidence, &begun.suites, &detectors));
    unmeasured.extend(evidence.unmeasured.iter().cloned());
    unmeasured.extend(refused(evidence));
    let accounts = accounts(evidence);
    let mut incomplete = failed(&accounts);
    incomplete.extend(misfits(&evidence.fits, &detectors));
    let repeat = repeat(evidence, &detectors);
    Ok(ModelAudit {
        verdict: worst(&verdicts).unwrap_or(Verdict::Inconclusive),
        findings,
        accounts,
        instrument_difference: evidence.instrument_difference,
        unmeasured,
        incomplete,
        samples: samples(evidence, SAMPLES, seed),
        items: items(evidence, &detectors, repeat.as_ref()),
        family: Family {
            size: contexts.first().map_or(0, |context| context.family),
            ..Family::default()
        },
        power: power(rules, &contexts, &evidence.responses),
        repeat,
        exhibits,
        detectors,
        ..begun.clone()
    })
}

/// AUROC of a probe between the conditions of the first contrast suite: how well what it flags tells them apart.
fn measured_auroc(
    evidence: &Evidence,
    suites: &[SuiteRecord],
    detector: &DetectorRecord,
) -> Option<Estimate> {
    let mut suites = suites.iter();
    let (suite, contrast) = suites.find_map(|suite| Some((&suite.id, suite.contrast.as_ref()?)))?;
    let sign = match detector.flags {
        Some(Flags::Below) => -1.0,
        Some(Flags::Above) | None => 1.0,
    };
    let (mut values, mut labels, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    let scores = evidence.scores.of(&detector.id, None);
    for score in scores.filter(|score| score.suite == suite) {
        let tested = score.condition == contrast.tested;
        if tested || score.condition == contrast.against {
            values.push(sign * score.value);
            labels.push(tested);
            groups.push(score.group);
        }
    }
    auroc_interval(&values, &labels, &groups, RESAMPLES, SEED).ok()
}

fn without_threshold(detectors: &[DetectorRecord]) -> Vec<Unmeasured> {
    let silent = detectors.iter().filter(|one| one.threshold.is_none());
    silent
        .map(|detector| Unmeasured {
            what: format!("what the detector `{}` says", detector.id),
            why: "its card has no calibration, and a score without a threshold decides nothing"
                .to_owned(),
        })
        .collect()
}

/// Items on which a detector has no token to read.
fn unread(
    evidence: &Evidence,
    suites: &[SuiteRecord],
    detectors: &[DetectorRecord],
) -> Vec<Unmeasured> {
    let mut all = Vec::new();
    for suite in suites {
        // Failed items are told of as such.
        let answered = |response: &Said<'_>| {
            response.suite() == suite.id && response.outcome() != Outcome::Failed
        };
        let items = evidence.responses.iter().filter(answered).count();
        for detector in detectors {
            let Some(&feature) = evidence.scores.features(&detector.id).first() else {
                continue;
            };
            let scores = evidence.scores.of(&detector.id, feature);
            let read = scores.filter(|score| score.suite == suite.id).count();
            if read < items {
                all.push(Unmeasured {
                    what: format!(
                        "the detector `{}` on {} of {items} items of `{}`",
                        detector.id,
                        items - read,
                        suite.id
                    ),
                    why: format!(
                        "they have no token of the span `{}`: the model said nothing, or nothing that has a token of its own",
                        detector.span
                    ),
                });
            }
        }
    }
    all
}

/// An SAE that does not fit the model's activations cannot clear it.
fn misfits(fits: &[Fit], detectors: &[DetectorRecord]) -> Vec<Unmeasured> {
    let misfit = |fit: &Fit| {
        let mut detectors = detectors.iter();
        let detector = detectors.find(|detector| detector.id == fit.detector)?;
        let declares = Declares {
            l0: detector.declared_l0,
            explained_variance: detector.declared_explained_variance,
            ..Declares::default()
        };
        let off: Vec<String> = sae_agreements(&declares, &fit.measured)
            .into_iter()
            .filter(|agreement| !agreement.fits)
            .map(|agreement| {
                format!(
                    "{} is {:.3} on this audit's activations and {:.3} on the card, where {} was asked",
                    agreement.what, agreement.measured, agreement.declared, agreement.criterion
                )
            })
            .collect();
        (!off.is_empty()).then(|| Unmeasured {
            what: format!("the features of `{}`", fit.detector),
            why: format!(
                "{}: the dictionary does not fit this model",
                off.join(", and ")
            ),
        })
    };
    fits.iter().filter_map(misfit).collect()
}
