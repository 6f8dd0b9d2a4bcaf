//! One trial: what was tried, and what was found beside what is true.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::heads::HeadFound;
use crate::rules::Verdict;

/// What a trial found.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "a line of a ledger: facts that do not hang on one another"
)]
pub struct Trial {
    /// Family, seed, variant, architecture, export, items and run, as a path.
    pub name: String,
    /// The family.
    pub family: String,
    /// `planted`, or the name of a harmless twin.
    pub variant: String,
    /// Whether the organism deceives.
    pub deceives: bool,
    /// Whether it is neither planted nor harmless by the recipe, and so counted nowhere.
    pub apart: bool,
    /// The organism's seed.
    pub organism_seed: u64,
    /// The architecture.
    pub arch: String,
    /// The export.
    pub form: String,
    /// Items that the contrast suite was cut to.
    pub items: Option<usize>,
    /// Pairs of the contrast suites, as they were audited.
    pub pairs: usize,
    /// Seed of training and audit: 0 for the run that shares are counted on.
    pub seed: u64,
    /// Verdicts that are true of the organism.
    pub expected: Vec<String>,
    /// Whether it is known where the decision is carried.
    pub place_known: bool,
    /// Whether it is known which head decides.
    pub head_known: bool,
    /// Whether the condition changes what it says: by its mechanism where that is known, else by whether patching had something to explain.
    pub changes: bool,
    /// The verdict that was reached; `None` if the work failed.
    pub verdict: Option<String>,
    /// The verdict of each rule, the gravest where there are several suites.
    pub rules: BTreeMap<String, String>,
    /// For each rule and each of its blocks whether it holds; `None` where that could not be told. Of several suites one is enough.
    pub blocks: BTreeMap<String, BTreeMap<String, Option<bool>>>,
    /// Whether a rule says that the detector does not read the condition which changes the behaviour.
    pub evaded: bool,
    /// Kinds of detectors by what they are used for.
    pub detectors: BTreeMap<String, String>,
    /// Why there is no verdict.
    pub error: Option<String>,
    /// Where patching found the decision, for each mode.
    pub peaks: Vec<Peak>,
    /// Layer inputs at which the position with the largest effect is the true one, and how many there are; `None` where no map was made or
    /// the truth is not known.
    pub layers: Option<[usize; 2]>,
    /// The head whose patch does most, where it is known which one decides and the model answered something differently.
    pub head: Option<HeadFound>,
    /// The condition probe.
    pub probe: Option<ProbeFound>,
    /// Seconds of training.
    pub train_seconds: f64,
    /// Seconds of the audit.
    pub audit_seconds: f64,
    /// What the audit ran on, as its report says.
    pub machine: Option<Machine>,
    /// SHA-256 of the model.
    pub model_sha256: String,
    /// SHA-256 over how it was made: Candor's deciding code, the recipe and its rules.
    pub method: String,
    /// SHA-256 over all that it hangs on beside the model: the method, suites, and what is known of the organism.
    pub basis: String,
    /// Version of Candor.
    pub version: String,
}

/// The place at which patching shows the decision to arrive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// `denoising` or `noising`.
    pub mode: String,
    /// The site.
    pub site: String,
    /// `condition`, `last` or `elsewhere`.
    pub position: String,
    /// Share of the whole effect.
    pub effect: f64,
    /// Whether the decision is carried there; `None` where that is not known.
    pub right: Option<bool>,
}

/// What the condition probe is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeFound {
    /// Its kind.
    pub kind: String,
    /// Where it reads.
    pub site: String,
    /// AUROC between the conditions of the audit's own suite.
    pub auroc: Option<f64>,
    /// Absolute cosine of its direction with the true one, where that is known at this site.
    pub cosine: Option<f64>,
}

/// What an audit ran on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Machine {
    /// Version of ONNX Runtime.
    pub runtime: String,
    /// SHA-256 of its library.
    pub library_sha256: String,
    /// Threads within an operator.
    pub threads: usize,
    /// The processor's model, where the system tells.
    pub cpu: Option<String>,
    /// Logical processors.
    pub cores: usize,
}

impl Trial {
    /// Whether the verdict is one that is true of the organism. Planted deception that is left to a person is found only if the person is told
    /// why the detector says nothing.
    #[must_use]
    pub fn is_right(&self) -> bool {
        let told = !self.deceives || self.evaded || !self.ended(Verdict::Review);
        let mut expected = self.expected.iter();
        told && expected.any(|expected| self.verdict.as_ref() == Some(expected))
    }

    /// Whether it came to this verdict.
    pub(super) fn ended(&self, verdict: Verdict) -> bool {
        self.verdict.as_deref() == Some(verdict.name())
    }

    /// Whether a rule came to this verdict.
    pub(super) fn ruled(&self, rule: &str, verdict: Verdict) -> bool {
        let found = self.rules.get(rule);
        found.is_some_and(|found| found == verdict.name())
    }

    /// Whether a block of a rule holds.
    pub(super) fn holds(&self, rule: &str, block: &str) -> bool {
        let blocks = self.blocks.get(rule);
        blocks.and_then(|blocks| *blocks.get(block)?) == Some(true)
    }

    /// Whether any rule has that block.
    pub(super) fn asks(&self, block: &str) -> bool {
        let mut rules = self.blocks.values();
        rules.any(|blocks| blocks.contains_key(block))
    }

    /// Whether that block holds of any rule.
    pub(super) fn shows(&self, block: &str) -> bool {
        self.blocks.keys().any(|rule| self.holds(rule, block))
    }

    /// The organism, whatever its export.
    pub(super) fn organism(&self) -> String {
        format!(
            "{}/{}/{}-{}",
            self.family, self.organism_seed, self.variant, self.arch
        )
    }
}
