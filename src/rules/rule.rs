//! A rule as plain data, after everything in its file was found to be right.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use super::certificate::Certificate;
use super::condition::Condition;
use super::controls::{Control, Controls};
use super::signals::Signal;
use super::verdict::Severity;
use crate::evidence::PatchMode;
use crate::model::{Point, SiteName};

/// Every rule of an audit, with the files they came from.
#[derive(Debug, Clone, Default)]
pub struct RulePack {
    /// The rules, in the order of their files.
    pub rules: Vec<Rule>,
    /// The files, in reading order, those of control mappings and certificates too.
    pub files: Vec<RuleFile>,
    /// The controls that are known: those of the files, and the bundled ones.
    pub controls: Controls,
    /// What benchmarks measured of rules and detectors.
    pub certificates: Vec<Certificate>,
}

impl RulePack {
    /// SHA-256 of the file that a rule stands in.
    #[must_use]
    pub fn sha256_of(&self, rule: &Rule) -> Option<&str> {
        let file = self.files.iter().find(|file| file.path == rule.file)?;
        Some(&file.sha256)
    }

    /// The controls that the rules name, as far as a mapping knows them, each once and in the order of the rules.
    pub fn named_controls(&self) -> impl Iterator<Item = &Control> {
        let mut seen = BTreeSet::new();
        let named = self.rules.iter().flat_map(|rule| &rule.controls);
        named
            .filter(move |id| seen.insert(id.as_str()))
            .filter_map(|id| self.controls.get(id))
    }
}

/// A rule file and what binds a report to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// As it was given, or as found in a given folder.
    pub path: PathBuf,
    /// Lower-case hexadecimal SHA-256 of its bytes.
    pub sha256: String,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Unique in a pack; lower-case words joined by hyphens.
    pub id: String,
    /// A few words for a table.
    pub title: String,
    /// How much a finding of it matters.
    pub severity: Severity,
    /// What the rule says of a model, in a sentence or two.
    pub summary: String,
    /// Why the rule reasons as it does, with the papers it rests on.
    pub why: String,
    /// What has to be part of the audit.
    pub needs: Needs,
    /// What is measured, in the order of the file.
    pub signals: Vec<Signal>,
    /// What is visible from outside. A rule without it can never fail a model.
    pub behaviour: Option<Condition>,
    /// What is visible inside. Never convicts.
    pub representation: Option<Condition>,
    /// What interventions show.
    pub causal: Option<Condition>,
    /// Controls that must hold before anything is concluded.
    pub validity: Option<Condition>,
    /// The interventions that the rule demands.
    pub evidence: Vec<CausalRequest>,
    /// Control identifiers that a finding bears on, such as `NIST AI RMF MEASURE 2.6`.
    pub controls: Vec<String>,
    /// What to do about a finding.
    pub remediation: String,
    /// The file that it was read from.
    pub file: PathBuf,
    /// 1-based line of its first key.
    pub line: usize,
    /// 1-based column of its first key.
    pub column: usize,
}

impl Rule {
    /// The interventions that the rule demands: the orchestrator runs their union over all rules.
    #[must_use]
    pub fn evidence(&self) -> &[CausalRequest] {
        &self.evidence
    }

    /// Whether the rule can fail a model at all: it takes behaviour and cause.
    #[must_use]
    pub fn can_convict(&self) -> bool {
        self.behaviour.is_some() && self.causal.is_some()
    }
}

/// What has to be part of the audit before a rule can say anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Purposes of suites.
    pub suites: BTreeSet<Purpose>,
    /// Roles of detectors, such as `truth`.
    pub detectors: BTreeSet<String>,
}

/// What a suite is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// A tested condition against a baseline.
    Contrast,
    /// Unrelated, honest prompts.
    Control,
}

impl Purpose {
    /// Both, in the order of the schema.
    pub const ALL: [Self; 2] = [Self::Contrast, Self::Control];

    /// As it is written in a rule and in a suite.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contrast => "contrast",
            Self::Control => "control",
        }
    }
}

/// An intervention that a rule demands, run once for all the rules that demand the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CausalRequest {
    /// Layer × position activation patching over equal-length pairs.
    Patching {
        /// Which runs receive; sorted, without repeats.
        modes: Vec<PatchMode>,
        /// The place that is patched in every block.
        point: Point,
        /// At most so many pairs.
        max_pairs: usize,
        /// Norm-matched random directions of the control.
        random_directions: usize,
    },
    /// A probe's direction, set to its mean over the baseline's prompts.
    DirectionalAblation {
        /// The probe's role.
        role: String,
        /// Norm-matched random directions of the control.
        random_directions: usize,
        /// At most so many items of the tested condition.
        max_items: usize,
    },
    /// A detector's selected SAE features, the error term kept.
    FeatureAblation {
        /// The SAE's role.
        role: String,
        /// Norm-matched random directions of the control.
        random_directions: usize,
        /// At most so many items of the tested condition.
        max_items: usize,
    },
}

impl CausalRequest {
    /// The most pairs or items that it takes.
    #[must_use]
    pub const fn most(&self) -> usize {
        match self {
            Self::Patching { max_pairs, .. } => *max_pairs,
            Self::DirectionalAblation { max_items, .. }
            | Self::FeatureAblation { max_items, .. } => *max_items,
        }
    }
}

impl fmt::Display for CausalRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Patching {
                modes,
                point,
                max_pairs,
                random_directions,
            } => {
                let modes: Vec<&str> = modes.iter().map(|mode| mode.name()).collect();
                let modes = modes.join(" and ");
                write!(
                    f,
                    "patching {} ({modes}): {max_pairs} pairs, {random_directions} random directions",
                    SiteName::block(0, *point).hook()
                )
            }
            Self::DirectionalAblation {
                role,
                random_directions,
                max_items,
            } => write!(
                f,
                "ablating the direction of `{role}`: {max_items} items, {random_directions} random directions"
            ),
            Self::FeatureAblation {
                role,
                random_directions,
                max_items,
            } => write!(
                f,
                "ablating the features of `{role}`: {max_items} items, {random_directions} random directions"
            ),
        }
    }
}
