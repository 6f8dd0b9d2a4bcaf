//! From evidence to a verdict: a pure function.

use std::collections::BTreeMap;

use crate::evidence::Evidence;

use super::condition::{Bar, Condition};
use super::context::Context;
use super::decide::{Blocks, decide};
use super::outcome::{RuleOutcome, SignalValue};
use super::reasons;
use super::rule::{CausalRequest, Purpose, Rule};
use super::signals::{Absent, Measured, Signal, View};
use super::truth::Truth;
use super::verdict::Verdict;

/// A block of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    Behaviour,
    Representation,
    Causal,
    Validity,
}

impl Block {
    pub const ALL: [Self; 4] = [
        Self::Behaviour,
        Self::Representation,
        Self::Causal,
        Self::Validity,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Behaviour => "behaviour",
            Self::Representation => "representation",
            Self::Causal => "causal",
            Self::Validity => "validity",
        }
    }

    pub fn of(self, rule: &Rule) -> Option<&Condition> {
        match self {
            Self::Behaviour => rule.behaviour.as_ref(),
            Self::Representation => rule.representation.as_ref(),
            Self::Causal => rule.causal.as_ref(),
            Self::Validity => rule.validity.as_ref(),
        }
    }
}

/// Judges one rule on one context.
#[must_use]
pub fn judge(rule: &Rule, evidence: &Evidence, context: &Context) -> RuleOutcome {
    let missing = missing(rule, context);
    if !missing.is_empty() {
        return not_measurable(rule, context, &missing);
    }
    let view = View {
        evidence,
        context,
        point: rule.evidence.iter().find_map(|request| match request {
            CausalRequest::Patching { point, .. } => Some(*point),
            _ => None,
        }),
    };
    let measured: BTreeMap<&str, (&Signal, Measured)> = rule
        .signals
        .iter()
        .map(|signal| (signal.name.as_str(), (signal, signal.measure(&view))))
        .collect();
    let mut blocks = Blocks::default();
    let mut named = Vec::new();
    let mut bars: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut comparisons = Vec::new();
    for block in Block::ALL {
        let Some(condition) = block.of(rule) else {
            continue;
        };
        let truth = condition.evaluate(&mut |name, bar| {
            measured.get(name).map_or(Truth::Unknown, |(_, measured)| {
                compare(block, measured, bar)
            })
        });
        blocks.set(block, truth);
        named.push((block.name(), truth));
        condition.leaves(&mut |name, bar| {
            if let Some((signal, measured)) = measured.get(name) {
                let truth = compare(block, measured, bar);
                bars.entry(name)
                    .or_default()
                    .push(reasons::bar(block, bar, truth));
                comparisons.push(reasons::comparison(block, signal, measured, bar, truth));
            }
        });
    }
    let verdict = decide(blocks);
    let mut reasons = vec![reasons::headline(verdict, blocks)];
    reasons.extend(comparisons);
    let signals = rule
        .signals
        .iter()
        .filter_map(|signal| measured.get(signal.name.as_str()))
        .map(|(signal, measured)| {
            value(
                signal,
                measured,
                bars.remove(signal.name.as_str()).unwrap_or_default(),
            )
        })
        .collect();
    RuleOutcome {
        rule: rule.id.clone(),
        suite: suite_of(context),
        verdict,
        severity: rule.severity,
        reasons,
        blocks: named,
        signals,
    }
}

/// Where nothing changed there is no cause to find, and no causal claim whose control could fail.
fn compare(block: Block, measured: &Measured, bar: Bar) -> Truth {
    match measured {
        Ok(measurement) => bar.compare(&measurement.estimate),
        Err(Absent::Unknown(_)) => Truth::Unknown,
        Err(Absent::NothingToExplain(_)) if block == Block::Validity => Truth::Yes,
        Err(Absent::NothingToExplain(_)) => Truth::No,
    }
}

fn value(signal: &Signal, measured: &Measured, bars: Vec<String>) -> SignalValue {
    let (estimate, note, why_not) = match measured {
        Ok(measurement) => (Some(measurement.estimate), measurement.note.clone(), None),
        Err(absent) => (None, None, Some(absent.why().to_owned())),
    };
    SignalValue {
        name: signal.name.clone(),
        kind: signal.kind.name,
        estimate,
        why_not,
        note,
        bars,
    }
}

fn suite_of(context: &Context) -> Option<String> {
    context
        .contrast
        .as_ref()
        .map(|contrast| contrast.suite.clone())
}

/// What the rule needs and the audit does not have.
fn missing(rule: &Rule, context: &Context) -> Vec<String> {
    let suites = rule
        .needs
        .suites
        .iter()
        .filter(|purpose| match purpose {
            Purpose::Contrast => context.contrast.is_none(),
            Purpose::Control => context.control_suites.is_empty(),
        })
        .map(|purpose| {
            format!(
                "The rule needs a {} suite; the audit has none.",
                purpose.name()
            )
        });
    let detectors = rule
        .needs
        .detectors
        .iter()
        .filter(|role| context.detectors.iter().all(|info| info.role != **role))
        .map(|role| {
            format!("The rule needs a detector of the role `{role}` that fits the model; the audit has none.")
        });
    suites.chain(detectors).collect()
}

fn not_measurable(rule: &Rule, context: &Context, missing: &[String]) -> RuleOutcome {
    let verdict = Verdict::NotMeasurable;
    let mut reasons = vec![reasons::headline(verdict, Blocks::default())];
    reasons.extend_from_slice(missing);
    RuleOutcome {
        rule: rule.id.clone(),
        suite: suite_of(context),
        verdict,
        severity: rule.severity,
        reasons,
        blocks: Vec::new(),
        signals: rule
            .signals
            .iter()
            .map(|signal| {
                let absent =
                    Absent::Unknown("what the rule needs is not part of the audit".to_owned());
                value(signal, &Err(absent), Vec::new())
            })
            .collect(),
    }
}
