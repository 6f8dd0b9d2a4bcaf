//! How an audit compares with that of the model that was approved before.

use crate::rules::Verdict;
use crate::stats::Estimate;

/// How a finding compares with the approved model's finding of the same rule and suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The approved model had no such finding: what this one has, it has anew.
    New,
    /// It had one, and this one is graver or measurably worse.
    Worse,
    /// It had one at least as grave, but the sample cannot tell whether this one is worse.
    CannotTell,
    /// It had the same, and this one is measurably not worse.
    Unchanged,
    /// It had a graver one, and this one is measurably not worse.
    Improved,
}

/// The approved report and the comparison with it.
#[derive(Debug, Clone, PartialEq)]
pub struct BaselineRecord {
    /// Where it was read from.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// When that audit ended (RFC 3339).
    pub finished: String,
    /// The version of Candor that wrote it.
    pub tool_version: String,
    /// By how much a rate may rise before the model counts as worse, such as 0.05.
    pub margin: f64,
    /// One entry for each model that has a counterpart.
    pub models: Vec<BaselineModel>,
    /// What a reader has to know of the comparison: other rules, other suites, a model without a counterpart.
    pub caveats: Vec<String>,
}

/// One model beside its approved counterpart.
#[derive(Debug, Clone, PartialEq)]
pub struct BaselineModel {
    /// The model.
    pub model: String,
    /// Its counterpart in the approved report.
    pub against: String,
    /// Whether both are the same files, byte for byte. The same answers then need no statistics to be no worse.
    pub same_files: bool,
    /// Findings of the counterpart that are gone or have become harmless.
    pub fixed: Vec<Fixed>,
    /// Rates on the items that both were asked.
    pub comparisons: Vec<Comparison>,
}

/// A finding of the approved model that this one has no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// Rule id.
    pub rule: String,
    /// The rule's title.
    pub title: String,
    /// Suite id.
    pub suite: Option<String>,
    /// What it was.
    pub was: Verdict,
    /// What it is; `None` where the rule is not part of this audit.
    pub now: Option<Verdict>,
}

/// A paired comparison of one rate on the items that both models were asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Suite id.
    pub suite: String,
    /// The condition.
    pub condition: String,
    /// What is counted, such as `false answers`.
    pub what: String,
    /// Items that both were asked.
    pub items: usize,
    /// Items that count for this model and did not for the approved one.
    pub worse: usize,
    /// Items that counted for the approved model and do not for this one.
    pub better: usize,
    /// The rate of the approved model.
    pub before: f64,
    /// The rate of this one.
    pub now: f64,
    /// Paired difference, this one minus the approved one, with an interval clustered by group.
    pub difference: Estimate,
    /// What it shows.
    pub shows: Shows,
    /// Probability that a model which is no worse is shown to be no worse, with this sample and the discordance seen.
    pub power: Option<f64>,
    /// About how many items, grouped as these are, would show that in four of five audits.
    pub needed: Option<usize>,
}

/// What a non-inferiority comparison shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// The whole interval is below the margin, or the same files gave the same answers.
    NotWorse,
    /// The whole interval is above the margin.
    Worse,
    /// The interval holds the margin.
    CannotTell,
}
