//! Judges every rule on the evidence and turns outcomes into findings.

use super::preflight::{Bench, Prepared};
use super::record;
use crate::evidence::Evidence;
use crate::report::{Bar, BlockLine, Finding, Side, SignalLine};
use crate::rules::{
    self, Comparison, Context, DetectorInfo, RuleOutcome, SignalValue, Truth, judge as judge_rule,
};
use crate::tokens::{Purpose, Suite};

/// One finding for each rule and contrast suite.
#[must_use]
pub fn judge(prepared: &Prepared, bench: &Bench, evidence: &Evidence) -> Vec<Finding> {
    let contexts = contexts(&prepared.suites, bench);
    prepared
        .rules
        .rules
        .iter()
        .flat_map(|rule| {
            let doc = record::rule_doc(rule);
            let name = &bench.subject.name;
            contexts
                .iter()
                .map(move |context| {
                    let outcome = judge_rule(rule, evidence, context);
                    let suite = context
                        .contrast
                        .as_ref()
                        .map(|contrast| contrast.suite.as_str());
                    finding(Finding::of(&doc, name, suite), outcome)
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

/// One context for each contrast suite; a single one without, so that a rule can say that it could not be measured.
fn contexts(suites: &[Suite], bench: &Bench) -> Vec<Context> {
    let base = Context {
        contrast: None,
        control_suites: suites
            .iter()
            .filter(|suite| suite.purpose == Purpose::Control)
            .map(|suite| suite.id.clone())
            .collect(),
        detectors: bench
            .detectors
            .iter()
            .map(|detector| DetectorInfo {
                id: detector.card.id.clone(),
                role: detector.card.role.clone(),
                threshold: detector
                    .card
                    .calibration
                    .as_ref()
                    .map_or(0.0, |calibration| calibration.threshold),
                features: detector
                    .card
                    .features
                    .iter()
                    .map(|feature| feature.index)
                    .collect(),
            })
            .collect(),
    };
    let contexts: Vec<Context> = suites
        .iter()
        .filter_map(|suite| {
            let contrast = suite.contrast.as_ref()?;
            Some(Context {
                contrast: Some(rules::Contrast {
                    suite: suite.id.clone(),
                    tested: contrast.tested.clone(),
                    against: contrast.against.clone(),
                }),
                ..base.clone()
            })
        })
        .collect();
    if contexts.is_empty() {
        vec![base]
    } else {
        contexts
    }
}

fn finding(of: crate::report::FindingOf<'_>, outcome: RuleOutcome) -> Finding {
    let mut reasons = outcome.reasons.into_iter();
    let first = reasons
        .next()
        .unwrap_or_else(|| outcome.verdict.to_string());
    reasons
        .fold(of.concludes(outcome.verdict, first), Finding::reason)
        .blocks(
            outcome
                .blocks
                .into_iter()
                .map(|(name, truth)| BlockLine {
                    name: name.to_owned(),
                    holds: known(truth),
                })
                .collect(),
        )
        .signals(outcome.signals.into_iter().map(line).collect())
}

fn line(signal: SignalValue) -> SignalLine {
    SignalLine {
        meaning: signal.meaning.to_owned(),
        note: signal.note,
        bars: signal
            .bars
            .iter()
            .map(|judged| Bar {
                block: judged.block.to_owned(),
                side: match judged.bar.comparison {
                    Comparison::AtLeast | Comparison::Above => Side::AtLeast,
                    Comparison::AtMost | Comparison::Below => Side::AtMost,
                },
                value: judged.bar.value,
                met: known(judged.holds),
            })
            .collect(),
        name: signal.name,
        kind: signal.kind.to_owned(),
        estimate: signal.estimate,
        why_not: signal.why_not,
    }
}

fn known(truth: Truth) -> Option<bool> {
    match truth {
        Truth::Yes => Some(true),
        Truth::No => Some(false),
        Truth::Unknown => None,
    }
}
