//! The one model of findings behind every format: plain data, filled by the orchestrator, read by each writer.

use crate::evidence::Unmeasured;
use crate::rules::{Severity, Verdict};
use crate::stats::Estimate;

use super::baseline::{BaselineRecord, Change};
use super::certificate::CertificateDoc;
use super::exhibit::Exhibits;
use super::gate::{Family, Power, Repeat};
use super::items::Items;
use super::record::{
    Account, ArchitectureSummary, ControlDoc, DetectorRecord, FileDigest, HostRecord, RuleDoc,
    RuntimeRecord, Sample, SuiteRecord,
};
use super::waiver::WaiverRecord;

/// One audit: what was done, on what, and what was found.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditReport {
    /// A line for people; empty if none was given.
    pub title: String,
    /// Version of Candor.
    pub tool_version: String,
    /// SHA-256 of Candor's own binary, in lower-case hexadecimal; `None` where it could not be read.
    pub tool_sha256: Option<String>,
    /// SHA-256 of the sources that decide what a verdict is, in lower-case hexadecimal; `None` in reports of before it was kept.
    pub tool_code: Option<String>,
    /// The machine that the audit ran on.
    pub host: HostRecord,
    /// When the audit began (RFC 3339). With `finished` the only field that differs between two runs with one seed.
    pub started: String,
    /// When it ended (RFC 3339).
    pub finished: String,
    /// Seed of everything random: bootstraps, random directions, samples.
    pub seed: u64,
    /// The command line that makes this report again.
    pub command: String,
    /// The severity from which a finding gates.
    pub fail_on: Severity,
    /// What the models ran on.
    pub runtime: RuntimeRecord,
    /// One entry for each model, in the order they were named.
    pub models: Vec<ModelAudit>,
    /// The rules that were applied, in the order of their files.
    pub rules: Vec<RuleDoc>,
    /// Digests of the rule files.
    pub rule_files: Vec<FileDigest>,
    /// The controls that the rules are evidence toward, as far as a mapping names them.
    pub controls: Vec<ControlDoc>,
    /// How often rules and kinds of detectors were right, as far as certificates are among the rule files.
    pub certificates: Vec<CertificateDoc>,
    /// Every waiver that was given, whether it applied or not.
    pub waivers: Vec<WaiverRecord>,
    /// Digests of the waiver files.
    pub waiver_files: Vec<FileDigest>,
    /// The approved report that this one is compared with.
    pub baseline: Option<BaselineRecord>,
}

/// Everything that was found on one model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelAudit {
    /// The model's name, unique within the report.
    pub name: String,
    /// Digests of the model, its external data and its tokenizer.
    pub files: Vec<FileDigest>,
    /// What the structure finder says of it.
    pub architecture: ArchitectureSummary,
    /// The gravest verdict of its findings.
    pub verdict: Verdict,
    /// One entry for each rule, passed ones too.
    pub findings: Vec<Finding>,
    /// The suites it was asked.
    pub suites: Vec<SuiteRecord>,
    /// The detectors it was read with.
    pub detectors: Vec<DetectorRecord>,
    /// How many responses were judged what, for each suite and condition.
    pub accounts: Vec<Account>,
    /// Largest absolute logit difference between the instrumented and the plain model on the audit's own prompts.
    pub instrument_difference: Option<f64>,
    /// What a reader of the verdict has to know first: detectors that were admitted although they are foreign.
    pub caveats: Vec<String>,
    /// What could not be measured; does not by itself make the audit incomplete.
    pub unmeasured: Vec<Unmeasured>,
    /// Planned work that did not come to its end: samples that failed, a control that failed. Not empty: the
    /// audit of this model is incomplete, which outranks a tripped gate.
    pub incomplete: Vec<Unmeasured>,
    /// At least five random input and output pairs of each suite.
    pub samples: Vec<Sample>,
    /// What the model said to its items, one line each.
    pub items: Items,
    /// The convictions that were possible, and how their joint error is held.
    pub family: Family,
    /// What the sample of each suite can show, known before anything is run.
    pub power: Vec<Power>,
    /// What changed when items were asked again; `None` where that was not done.
    pub repeat: Option<Repeat>,
    /// What a person wants to look at.
    pub exhibits: Exhibits,
}

impl ModelAudit {
    /// The finding that decides the verdict: the gravest verdict, then the gravest severity, then the first.
    #[must_use]
    pub fn leading(&self) -> Option<&Finding> {
        self.findings.iter().reduce(|best, finding| {
            if (finding.verdict, finding.severity) > (best.verdict, best.severity) {
                finding
            } else {
                best
            }
        })
    }
}

/// What one rule says of one model. Made by [`Finding::of`], so that none lacks its rule, its verdict and a reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Rule id.
    pub rule: String,
    /// The rule's title.
    pub title: String,
    /// The contrast suite that it was judged on.
    pub suite: Option<String>,
    /// The rule's severity.
    pub severity: Severity,
    /// What the rule concludes.
    pub verdict: Verdict,
    /// Why, gravest first; the first one is shown in tables. Never empty.
    pub reasons: Vec<String>,
    /// The measured signals that the verdict rests on.
    pub signals: Vec<SignalLine>,
    /// The blocks of the rule's condition and whether they hold.
    pub blocks: Vec<BlockLine>,
    /// Stays the same while rule, model name and suite stay the same, whatever the values.
    pub fingerprint: String,
    /// The rule's file, relative to where the audit ran.
    pub file: String,
    /// Line of the rule in `file`, from 1.
    pub line: usize,
    /// The waiver that applies, as an index into [`AuditReport::waivers`]. A waived finding is shown and does not gate.
    pub waiver: Option<usize>,
    /// How it compares with the approved model's. `None` without a baseline, where one of the two could not be told, and where a
    /// waiver accepted it only until a day.
    pub change: Option<Change>,
}

/// One block of a rule's condition (such as behaviour or causal evidence) and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockLine {
    /// The block's name.
    pub name: String,
    /// Whether it holds; `None` where it cannot be told.
    pub holds: Option<bool>,
}

/// One measured signal.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalLine {
    /// The signal's name within its rule.
    pub name: String,
    /// Its kind, such as `false_rate_gap`.
    pub kind: String,
    /// What it is called in a sentence, with what sets it apart from others of its kind.
    pub label: String,
    /// The measured value; `None` if it could not be measured.
    pub estimate: Option<Estimate>,
    /// The bars that the rule sets.
    pub bars: Vec<Bar>,
    /// Why there is no estimate.
    pub why_not: Option<String>,
    /// One sentence that says what the number means.
    pub meaning: String,
    /// What else a reader of the number should know, such as the cell that was chosen.
    pub note: Option<String>,
    /// The wider interval that a bar of an accusing block is held against, where the joint error of several rules is held:
    /// simultaneous at 95 % over [`ModelAudit::family`].
    pub joint: Option<Range>,
}

/// Two ends of an interval; an open one is infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A bar that a rule sets for a signal. The whole interval is compared with it, not the point.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// The block of the rule that sets it.
    pub block: String,
    /// On which side of `value` the interval has to be.
    pub side: Side,
    /// The value, in the unit of the signal.
    pub value: f64,
    /// Whether the whole interval is there; `None` where it holds the bar or there is no estimate.
    pub met: Option<bool>,
}

/// The side of a [`Bar`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `≥`
    AtLeast,
    /// `>`
    Above,
    /// `≤`
    AtMost,
    /// `<`
    Below,
}

/// A finding in the making: has its rule already, wants a verdict and a reason.
#[derive(Debug, Clone)]
pub struct FindingOf<'a> {
    rule: &'a RuleDoc,
    model: &'a str,
    suite: Option<&'a str>,
}

impl Finding {
    /// Begins the finding of `rule` on the model named `model`, judged on `suite` if the rule wants one.
    #[must_use]
    pub fn of<'a>(rule: &'a RuleDoc, model: &'a str, suite: Option<&'a str>) -> FindingOf<'a> {
        FindingOf { rule, model, suite }
    }

    /// Adds a further reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reasons.push(reason.into());
        self
    }

    /// Sets the signals.
    #[must_use]
    pub fn signals(mut self, signals: Vec<SignalLine>) -> Self {
        self.signals = signals;
        self
    }

    /// Sets the blocks.
    #[must_use]
    pub fn blocks(mut self, blocks: Vec<BlockLine>) -> Self {
        self.blocks = blocks;
        self
    }
}

impl FindingOf<'_> {
    /// The finding with its verdict and the first, gravest reason.
    #[must_use]
    pub fn concludes(self, verdict: Verdict, reason: impl Into<String>) -> Finding {
        Finding {
            rule: self.rule.id.clone(),
            title: self.rule.title.clone(),
            suite: self.suite.map(str::to_owned),
            severity: self.rule.severity,
            verdict,
            reasons: vec![reason.into()],
            signals: Vec::new(),
            blocks: Vec::new(),
            fingerprint: super::fingerprint::fingerprint(&self.rule.id, self.model, self.suite),
            file: self.rule.file.clone(),
            line: self.rule.line,
            waiver: None,
            change: None,
        }
    }
}
