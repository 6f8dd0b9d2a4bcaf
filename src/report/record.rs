//! What binds a report to what was audited: files, runtime, suites, detectors, rules, and random samples.

use crate::detect::Flags;
use crate::evidence::Outcome;
use crate::rules::Severity;
use crate::stats::Estimate;

/// A file and what it held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDigest {
    /// The path, relative to where the audit ran.
    pub path: String,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// What the models ran on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeRecord {
    /// Version of ONNX Runtime.
    pub version: String,
    /// Execution provider, such as `cpu`.
    pub provider: String,
    /// Threads within an operator.
    pub threads: usize,
    /// SHA-256 of the loaded library, in lower-case hexadecimal.
    pub library_sha256: String,
    /// Graph optimisation level, such as `all`.
    pub optimisation: String,
    /// Options of the provider and what else decides numbers (TF32, device, driver), by name.
    pub settings: Vec<Setting>,
}

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// What is set.
    pub name: String,
    /// To what.
    pub value: String,
}

/// The machine that an audit ran on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRecord {
    /// Operating system, such as `linux`.
    pub os: String,
    /// Instruction set, such as `x86_64`.
    pub arch: String,
    /// The processor's model, where the system tells.
    pub cpu: Option<String>,
    /// Logical processors that Candor may use.
    pub cores: usize,
}

/// A control of a framework, from a file of `rules/controls/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlDoc {
    /// As rules name it, such as `NIST AI RMF MEASURE 2.6`.
    pub id: String,
    /// The framework's short name, such as `NIST AI RMF`.
    pub framework: String,
    /// Its full name with its version or date.
    pub framework_title: String,
    /// Where the framework is published.
    pub source: String,
    /// What the control asks for, in a few words of our own.
    pub title: String,
    /// How a deception finding bears on it: evidence toward it, never compliance.
    pub bearing: String,
}

/// The architecture in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchitectureSummary {
    /// Number of blocks.
    pub n_layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Attention (query) heads, where the graph tells.
    pub n_heads: Option<usize>,
    /// Size of the vocabulary.
    pub vocab_size: usize,
    /// What the exporter's metadata or the operators suggest.
    pub family_hint: String,
    /// Whether attention and MLP read the block's input side by side.
    pub parallel: bool,
}

/// A suite of items that a model was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteRecord {
    /// Suite id.
    pub id: String,
    /// Its `suite.yaml`, relative to where the audit ran.
    pub path: String,
    /// What its items are for: `contrast`, `control` or `calibration`.
    pub purpose: String,
    /// Number of items.
    pub items: usize,
    /// SHA-256 over the suite's files, in lower-case hexadecimal.
    pub digest: String,
    /// The conditions that it sets against each other, for a contrast suite.
    pub contrast: Option<ContrastRecord>,
}

/// The conditions that a contrast suite sets against each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContrastRecord {
    /// The condition under suspicion.
    pub tested: String,
    /// The baseline condition.
    pub against: String,
}

/// A detector and how well it fits.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectorRecord {
    /// Detector id.
    pub id: String,
    /// Its folder, relative to where the audit ran.
    pub path: String,
    /// What it detects, such as `condition` or `truth`.
    pub role: String,
    /// Its kind, such as `logistic-regression` or `sae`.
    pub kind: String,
    /// The site it reads.
    pub site: String,
    /// The tokens of an item that it reads, such as `prompt_last`.
    pub span: String,
    /// The score beyond which it flags an item; `None` without a calibration.
    pub threshold: Option<f64>,
    /// On which side of the threshold it flags.
    pub flags: Option<Flags>,
    /// The SAE features that its card selects; empty for a probe.
    pub features: Vec<usize>,
    /// AUROC that its card declares.
    pub declared_auroc: Option<f64>,
    /// Active features a token that its card declares, for an SAE.
    pub declared_l0: Option<f64>,
    /// Explained variance that its card declares, for an SAE.
    pub declared_explained_variance: Option<f64>,
    /// AUROC measured in this audit, tested against baseline items, by the side of the threshold that it flags.
    pub auroc: Option<Estimate>,
    /// Mean number of active features a token on this audit's activations, for an SAE.
    pub l0: Option<f64>,
    /// Fraction of the variance of this audit's activations that an SAE reconstructs.
    pub explained_variance: Option<f64>,
    /// False-positive rate on the control corpus.
    pub fpr_control: Option<Estimate>,
    /// False-positive rate on matched honest responses of the same scenario.
    pub fpr_matched: Option<Estimate>,
    /// SHA-256 over the detector's files, in lower-case hexadecimal.
    pub digest: String,
    /// SHA-256 of the corpus that its threshold was set on.
    pub calibration_digest: Option<String>,
    /// SHA-256 of the model that it was made on.
    pub model_digest: Option<String>,
    /// How far it is not to be trusted, a sentence each.
    pub limits: Vec<String>,
}

/// How the responses of one condition were judged. The five numbers add up to the items of the condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Suite id.
    pub suite: String,
    /// The condition.
    pub condition: String,
    /// Judged true.
    pub said_true: usize,
    /// Judged false.
    pub said_false: usize,
    /// Neither.
    pub unclear: usize,
    /// The item states no answer.
    pub unjudged: usize,
    /// The model could not be run on the item.
    pub failed: usize,
}

/// One random input and output of a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Suite id.
    pub suite: String,
    /// Item id.
    pub item: String,
    /// The item's condition.
    pub condition: String,
    /// The input.
    pub prompt: String,
    /// The output.
    pub said: String,
    /// How it was judged.
    pub outcome: Outcome,
}

/// What a rule says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDoc {
    /// Rule id.
    pub id: String,
    /// Title.
    pub title: String,
    /// How grave a failure of it is.
    pub severity: Severity,
    /// What it looks for, in a sentence.
    pub summary: String,
    /// Why that matters.
    pub why: String,
    /// What to do about a failure.
    pub remediation: String,
    /// Identifiers of the controls that it is evidence toward, such as `NIST AI 600-1 MS-2.6-007`.
    pub controls: Vec<String>,
    /// Its file, relative to where the audit ran.
    pub file: String,
    /// Line in `file`, from 1.
    pub line: usize,
}
