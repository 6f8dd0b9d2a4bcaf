//! What judging one rule gives.

use super::condition::Bar;
use super::truth::Truth;
use super::verdict::{Severity, Verdict};
use crate::stats::Estimate;

/// One rule, judged on one context.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleOutcome {
    /// Rule id.
    pub rule: String,
    /// The contrast suite that it was judged on.
    pub suite: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// The rule's severity: it gates only when the verdict is [`Verdict::Fail`].
    pub severity: Severity,
    /// Why, in plain sentences: the verdict first, then each comparison.
    pub reasons: Vec<String>,
    /// The truth of each block that the rule has, in the order behaviour, representation, causal, validity.
    pub blocks: Vec<(&'static str, Truth)>,
    /// Every signal, in the order of the rule.
    pub signals: Vec<SignalValue>,
}

/// A bar of a rule and whether the signal clears it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgedBar {
    /// The rule's block that sets it, such as `behaviour`.
    pub block: &'static str,
    /// The bar.
    pub bar: Bar,
    /// Whether the whole interval clears it.
    pub holds: Truth,
}

/// An interval that holds together with those of every other possible conviction (Bonferroni): all of them do with 95 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Simultaneous {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Possible convictions.
    pub over: usize,
}

/// The value of one signal.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalValue {
    /// The signal's name in the rule.
    pub name: String,
    /// Its kind, such as `false_rate_gap`.
    pub kind: &'static str,
    /// The estimate, if it could be measured.
    pub estimate: Option<Estimate>,
    /// Why there is no estimate.
    pub why_not: Option<String>,
    /// What a reader of the estimate should know: the chosen cell, items that had no counterpart.
    pub note: Option<String>,
    /// What the number means, in a sentence.
    pub meaning: &'static str,
    /// The bars that the rule sets.
    pub bars: Vec<JudgedBar>,
    /// The interval that a bar of the behaviour block is held against before it accuses; `None` where the rule cannot convict or is
    /// judged alone.
    pub joint: Option<Simultaneous>,
}
