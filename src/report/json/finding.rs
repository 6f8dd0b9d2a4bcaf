//! The schema of audits, models and findings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::baseline::{BaselineV1, ChangeV1};
use super::certificate::CertificateV1;
use super::estimate::EstimateV1;
use super::exhibit::ExhibitsV1;
use super::gate::{FamilyV1, PowerV1, RepeatV1, WaiverV1};
use super::items::ItemsV1;
use super::record::{
    AccountV1, ArchitectureV1, ControlV1, DetectorV1, FileV1, HostV1, RuleV1, RuntimeV1, SampleV1,
    SuiteV1,
};
use super::wire::{High, Low, Number, Wire, name, object};
use crate::evidence::Unmeasured;
use crate::report::{AuditReport, Bar, BlockLine, Finding, ModelAudit, Range, Side, SignalLine};
use crate::rules::{Severity, Verdict};

name! {
    /// The verdict of a rule, from harmless to grave.
    VerdictV1 for Verdict { Pass, ConditionalBenign, Review, NotMeasurable, Inconclusive, Fail, }
}
name! {
    /// How much a finding matters.
    SeverityV1 for Severity { Low, Medium, High, Critical, }
}
name! {
    /// The side of a bar that an interval has to be on.
    SideV1 for Side { AtLeast, Above, AtMost, Below, }
}
object! {
    /// The audit.
    ReportV1 for AuditReport {
        /// A line for people.
        title: String,
        /// Version of Candor.
        tool_version: String,
        /// SHA-256 of Candor's own binary.
        tool_sha256: Option<String>,
        /// SHA-256 of the sources that decide what a verdict is.
        #[serde(default)]
        tool_code: Option<String>,
        /// The machine that the audit ran on.
        host: HostV1,
        /// When the audit began (RFC 3339).
        started: String,
        /// When it ended (RFC 3339).
        finished: String,
        /// Seed of everything random.
        seed: u64,
        /// The command line that makes this report again.
        command: String,
        /// The severity from which a finding gates.
        fail_on: SeverityV1,
        /// What the models ran on.
        runtime: RuntimeV1,
        /// One entry for each model.
        models: Vec<ModelV1>,
        /// The rules that were applied.
        rules: Vec<RuleV1>,
        /// Digests of the rule files.
        rule_files: Vec<FileV1>,
        /// The controls that the rules are evidence toward.
        controls: Vec<ControlV1>,
        /// How often rules and kinds of detectors were right on models whose answer is known.
        #[serde(default)]
        certificates: Vec<CertificateV1>,
        /// Every waiver that was given.
        waivers: Vec<WaiverV1>,
        /// Digests of the waiver files.
        waiver_files: Vec<FileV1>,
        /// The approved report that this one is compared with.
        baseline: Option<BaselineV1>,
    }
}
object! {
    /// Everything that was found on one model.
    ModelV1 for ModelAudit {
        /// The model's name.
        name: String,
        /// The gravest verdict of its findings.
        verdict: VerdictV1,
        /// One entry for each rule, passed ones too.
        findings: Vec<FindingV1>,
        /// Planned work that did not come to its end; not empty means that the audit is incomplete.
        incomplete: Vec<UnmeasuredV1>,
        /// What a reader of the verdict has to know first.
        #[serde(default)]
        caveats: Vec<String>,
        /// What could not be measured.
        unmeasured: Vec<UnmeasuredV1>,
        /// Digests of the model, its external data and its tokenizer.
        files: Vec<FileV1>,
        /// What the structure finder says of it.
        architecture: ArchitectureV1,
        /// Largest absolute logit difference between the instrumented and the plain model.
        instrument_difference: Option<Number>,
        /// The suites it was asked.
        suites: Vec<SuiteV1>,
        /// The detectors it was read with.
        detectors: Vec<DetectorV1>,
        /// How many responses were judged what.
        accounts: Vec<AccountV1>,
        /// Random input and output pairs.
        samples: Vec<SampleV1>,
        /// What the model said to its items.
        items: ItemsV1,
        /// The convictions that were possible.
        family: FamilyV1,
        /// What the samples can show.
        power: Vec<PowerV1>,
        /// What changed when items were asked again.
        repeat: Option<RepeatV1>,
        /// What a person wants to look at.
        exhibits: ExhibitsV1,
    }
}
object! {
    /// What one rule says of one model.
    FindingV1 for Finding {
        /// Rule id.
        rule: String,
        /// The rule's title.
        title: String,
        /// The contrast suite that it was judged on.
        suite: Option<String>,
        /// What the rule concludes.
        verdict: VerdictV1,
        /// The rule's severity.
        severity: SeverityV1,
        /// Why, gravest first.
        #[schemars(length(min = 1))]
        reasons: Vec<String>,
        /// The blocks of the rule's condition.
        blocks: Vec<BlockV1>,
        /// The measured signals.
        signals: Vec<SignalV1>,
        /// Stays the same while rule, model name and suite stay the same.
        fingerprint: String,
        /// The rule's file.
        file: String,
        /// Line of the rule in `file`, from 1.
        line: usize,
        /// The waiver that applies, as an index into the report's.
        waiver: Option<usize>,
        /// How it compares with the approved model's.
        change: Option<ChangeV1>,
    }
}
object! {
    /// One block of a rule's condition.
    BlockV1 for BlockLine {
        /// Its name.
        name: String,
        /// Whether it holds; null where that cannot be told.
        holds: Option<bool>,
    }
}
object! {
    /// One measured signal.
    SignalV1 for SignalLine {
        /// Its name within the rule.
        name: String,
        /// Its kind.
        kind: String,
        /// What it is called in a sentence.
        label: String,
        /// What the number means.
        meaning: String,
        /// The measured value.
        estimate: Option<EstimateV1>,
        /// The bars that the rule sets.
        bars: Vec<BarV1>,
        /// Why there is no estimate.
        why_not: Option<String>,
        /// What else a reader should know.
        note: Option<String>,
        /// The simultaneous interval that accusing bars are held against.
        joint: Option<RangeV1>,
    }
}
object! {
    /// Two ends of an interval; null where one is open.
    RangeV1 for Range {
        /// Lower end.
        low: Low,
        /// Upper end.
        high: High,
    }
}
object! {
    /// A bar that the whole interval has to clear.
    BarV1 for Bar {
        /// The block of the rule that sets it.
        block: String,
        /// The side that is asked for.
        side: SideV1,
        /// The value.
        value: Number,
        /// Whether the interval is there; null where it holds the bar.
        met: Option<bool>,
    }
}
object! {
    /// Something that could not be measured.
    UnmeasuredV1 for Unmeasured {
        /// What was wanted.
        what: String,
        /// Why it was not to be had.
        why: String,
    }
}
