//! The schema of what binds a report to what was audited.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::estimate::EstimateV1;
use super::finding::SeverityV1;
use super::wire::{Number, Wire, name, object};
use crate::detect::Flags;
use crate::evidence::Outcome;
use crate::report::{
    Account, ArchitectureSummary, ContrastRecord, ControlDoc, DetectorRecord, FileDigest,
    HostRecord, RuleDoc, RuntimeRecord, Sample, Setting, SuiteRecord,
};

name! {
    /// How a response compares with the facts.
    OutcomeV1 for Outcome { True, False, Unclear, Unjudged, Failed, }
}
name! {
    /// The side of a threshold that is flagged.
    FlagsV1 for Flags { Above, Below, }
}
object! {
    /// What the models ran on.
    RuntimeV1 for RuntimeRecord {
        /// Version of ONNX Runtime.
        version: String,
        /// Execution provider.
        provider: String,
        /// Threads within an operator.
        threads: usize,
        /// SHA-256 of the loaded library.
        library_sha256: String,
        /// Graph optimisation level.
        optimisation: String,
        /// What else decides numbers, by name.
        settings: Vec<SettingV1>,
    }
}
object! {
    /// A name and its value.
    SettingV1 for Setting {
        /// What is set.
        name: String,
        /// To what.
        value: String,
    }
}
object! {
    /// The machine that an audit ran on.
    HostV1 for HostRecord {
        /// Operating system.
        os: String,
        /// Instruction set.
        arch: String,
        /// The processor's model.
        cpu: Option<String>,
        /// Logical processors in use.
        cores: usize,
    }
}
object! {
    /// A control of a framework, toward which a rule is evidence.
    ControlV1 for ControlDoc {
        /// As rules name it.
        id: String,
        /// The framework's short name.
        framework: String,
        /// Its full name.
        framework_title: String,
        /// Where it is published.
        source: String,
        /// What the control asks for.
        title: String,
        /// How a deception finding bears on it.
        bearing: String,
    }
}
object! {
    /// A file and what it held.
    FileV1 for FileDigest {
        /// The path.
        path: String,
        /// SHA-256 in lower-case hexadecimal.
        sha256: String,
        /// Size in bytes.
        bytes: u64,
    }
}
object! {
    /// The architecture in a line.
    ArchitectureV1 for ArchitectureSummary {
        /// Number of blocks.
        n_layers: usize,
        /// Width of the residual stream.
        d_model: usize,
        /// Attention (query) heads.
        n_heads: Option<usize>,
        /// Size of the vocabulary.
        vocab_size: usize,
        /// What the exporter or the operators suggest.
        family_hint: String,
        /// Whether attention and MLP read the block's input side by side.
        parallel: bool,
    }
}
object! {
    /// A suite of items.
    SuiteV1 for SuiteRecord {
        /// Suite id.
        id: String,
        /// Its `suite.yaml`, relative to where the audit ran.
        path: String,
        /// What its items are for.
        purpose: String,
        /// Number of items.
        items: usize,
        /// SHA-256 over the suite's files.
        digest: String,
        /// The conditions that it sets against each other.
        contrast: Option<ContrastRecordV1>,
    }
}
object! {
    /// The conditions that a contrast suite sets against each other.
    ContrastRecordV1 for ContrastRecord {
        /// The condition under suspicion.
        tested: String,
        /// The baseline condition.
        against: String,
    }
}
object! {
    /// A detector and how well it fits.
    DetectorV1 for DetectorRecord {
        /// Detector id.
        id: String,
        /// Its folder, relative to where the audit ran.
        path: String,
        /// What it detects.
        role: String,
        /// Its kind.
        kind: String,
        /// The site it reads.
        site: String,
        /// The tokens of an item that it reads.
        span: String,
        /// The score beyond which it flags an item; null without a calibration.
        threshold: Option<Number>,
        /// The side of the threshold that it flags.
        flags: Option<FlagsV1>,
        /// The SAE features that its card selects.
        features: Vec<usize>,
        /// AUROC that its card declares.
        declared_auroc: Option<Number>,
        /// Active features a token that its card declares.
        declared_l0: Option<Number>,
        /// Explained variance that its card declares.
        declared_explained_variance: Option<Number>,
        /// AUROC measured in this audit.
        auroc: Option<EstimateV1>,
        /// Mean number of active features a token, for an SAE.
        l0: Option<Number>,
        /// Fraction of the activations' variance that an SAE reconstructs.
        explained_variance: Option<Number>,
        /// False-positive rate on the control corpus.
        fpr_control: Option<EstimateV1>,
        /// False-positive rate on matched honest responses.
        fpr_matched: Option<EstimateV1>,
        /// SHA-256 over the detector's files.
        digest: String,
        /// SHA-256 of the corpus that its threshold was set on.
        calibration_digest: Option<String>,
        /// SHA-256 of the model that it was made on.
        model_digest: Option<String>,
        /// How far it is not to be trusted.
        #[serde(default)]
        limits: Vec<String>,
    }
}
object! {
    /// How the responses of one condition were judged.
    AccountV1 for Account {
        /// Suite id.
        suite: String,
        /// The condition.
        condition: String,
        /// Judged true.
        said_true: usize,
        /// Judged false.
        said_false: usize,
        /// Neither.
        unclear: usize,
        /// The item states no answer.
        unjudged: usize,
        /// The model could not be run on the item.
        failed: usize,
    }
}
object! {
    /// One random input and output.
    SampleV1 for Sample {
        /// Suite id.
        suite: String,
        /// Item id.
        item: String,
        /// The item's condition.
        condition: String,
        /// The input.
        prompt: String,
        /// The output.
        said: String,
        /// How it was judged.
        outcome: OutcomeV1,
    }
}
object! {
    /// What a rule says of itself.
    RuleV1 for RuleDoc {
        /// Rule id.
        id: String,
        /// Title.
        title: String,
        /// How grave a failure of it is.
        severity: SeverityV1,
        /// What it looks for.
        summary: String,
        /// Why that matters.
        why: String,
        /// What to do about a failure.
        remediation: String,
        /// Identifiers of the controls that it is evidence toward.
        controls: Vec<String>,
        /// Its file.
        file: String,
        /// Line in `file`, from 1.
        line: usize,
    }
}
