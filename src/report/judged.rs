//! From the rules' own words to findings.

use super::{Bar, BlockLine, ControlDoc, Finding, Range, RuleDoc, Side, SignalLine};
use crate::evidence::PatchMode;
use crate::rules::{
    Comparison, Control, JudgedBar, Of, Rule, RuleOutcome, Signal, SignalValue, Truth,
};

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

impl From<&Control> for ControlDoc {
    fn from(control: &Control) -> Self {
        Self {
            id: control.id.clone(),
            framework: control.framework.name.clone(),
            framework_title: control.framework.title.clone(),
            source: control.framework.source.clone(),
            title: control.title.clone(),
            bearing: control.bearing.clone(),
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
    let signal = rule.signals.iter().find(|signal| signal.name == value.name);
    SignalLine {
        name: value.name.clone(),
        kind: value.kind.to_owned(),
        label: signal.map_or_else(|| value.name.clone(), label),
        estimate: value.estimate,
        bars: value.bars.iter().map(bar).collect(),
        why_not: value.why_not.clone(),
        meaning: value.meaning.to_owned(),
        note: value.note.clone(),
        joint: value.joint.map(|joint| Range {
            low: joint.low,
            high: joint.high,
        }),
    }
}

/// What a kind is called, with the parameters that tell it from others of its kind.
#[must_use]
pub fn label(signal: &Signal) -> String {
    let of = signal.params.of.map(|of| match of {
        Of::Tested => "tested",
        Of::Against => "baseline",
        Of::Control => "control",
    });
    let mode = signal.params.mode.map(PatchMode::name);
    let parts: Vec<&str> = [signal.params.role.as_deref(), of, mode]
        .into_iter()
        .flatten()
        .collect();
    if parts.is_empty() {
        return signal.kind.label.to_owned();
    }
    format!("{} ({})", signal.kind.label, parts.join(", "))
}

fn bar(judged: &JudgedBar) -> Bar {
    Bar {
        block: judged.block.to_owned(),
        side: side(judged.bar.comparison),
        value: judged.bar.value,
        met: known(judged.holds),
    }
}

/// The same side in the words of reports.
#[must_use]
pub fn side(comparison: Comparison) -> Side {
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
