//! From the rules' own words to findings.

use super::{Bar, BlockLine, Finding, RuleDoc, Side, SignalLine};
use crate::rules::{Bar as RuleBar, Comparison, Of, Rule, RuleOutcome, Signal, SignalValue, Truth};

impl From<&Rule> for RuleDoc {
    fn from(rule: &Rule) -> Self {
        Self {
            id: rule.id.clone(),
            title: rule.title.clone(),
            severity: rule.severity,
            summary: rule.summary.clone(),
            why: rule.why.clone(),
            remediation: rule.remediation.clone(),
            controls: rule.controls.clone(),
            file: rule.file.display().to_string(),
            line: rule.line,
        }
    }
}

impl Finding {
    /// What `rule` concluded on the model named `model`.
    #[must_use]
    pub fn judged(rule: &Rule, outcome: &RuleOutcome, model: &str) -> Self {
        let doc = RuleDoc::from(rule);
        let mut reasons = outcome.reasons.iter();
        let first = reasons
            .next()
            .map_or_else(|| outcome.verdict.name().to_owned(), Clone::clone);
        let finding = Self::of(&doc, model, outcome.suite.as_deref())
            .concludes(outcome.verdict, first)
            .blocks(outcome.blocks.iter().map(block).collect())
            .signals(outcome.signals.iter().map(|s| line(rule, s)).collect());
        reasons.fold(finding, Self::reason)
    }
}

fn block((name, truth): &(&'static str, Truth)) -> BlockLine {
    BlockLine {
        name: (*name).to_owned(),
        holds: known(*truth),
    }
}

fn line(rule: &Rule, value: &SignalValue) -> SignalLine {
    let signal = rule.signals.iter().find(|s| s.name == value.name);
    SignalLine {
        name: value.name.clone(),
        kind: value.kind.to_owned(),
        label: signal.map_or_else(|| value.name.clone(), label),
        estimate: value.estimate,
        bars: bars(rule, value),
        why_not: value.why_not.clone(),
        meaning: signal.map_or_else(String::new, |s| s.kind.doc.to_owned()),
        note: value.note.clone(),
    }
}

fn label(signal: &Signal) -> String {
    let qualifier = match (signal.params.mode, signal.params.of) {
        (Some(mode), _) => mode.name(),
        (_, Some(Of::Tested)) => "tested",
        (_, Some(Of::Against)) => "baseline",
        (_, Some(Of::Control)) => "control",
        (None, None) => return signal.kind.label.to_owned(),
    };
    format!("{} ({qualifier})", signal.kind.label)
}

/// Every bar that a block of the rule sets for the signal.
fn bars(rule: &Rule, value: &SignalValue) -> Vec<Bar> {
    let blocks = [
        ("behaviour", &rule.behaviour),
        ("representation", &rule.representation),
        ("causal", &rule.causal),
        ("validity", &rule.validity),
    ];
    let mut bars = Vec::new();
    for (name, condition) in blocks {
        let Some(condition) = condition else { continue };
        condition.leaves(&mut |signal, bar: RuleBar| {
            if signal == value.name {
                bars.push(Bar {
                    block: name.to_owned(),
                    side: side(bar.comparison),
                    value: bar.value,
                    met: value.estimate.and_then(|e| known(bar.compare(&e))),
                });
            }
        });
    }
    bars
}

fn side(comparison: Comparison) -> Side {
    match comparison {
        Comparison::AtLeast => Side::AtLeast,
        Comparison::Above => Side::Above,
        Comparison::AtMost => Side::AtMost,
        Comparison::Below => Side::Below,
    }
}

fn known(truth: Truth) -> Option<bool> {
    match truth {
        Truth::Yes => Some(true),
        Truth::No => Some(false),
        Truth::Unknown => None,
    }
}
