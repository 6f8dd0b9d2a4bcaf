//! What gates, and the exit code: said in this one place.
//!
//! Of a report, in this order:
//!
//! 1. The audit of some model is incomplete (planned work failed): 4. It outranks a gate, because what was not
//!    done could have been graver than what was found. No waiver and no baseline takes that away.
//! 2. Some finding is at or above `fail_on`: 11 to 14, the gravest of all models. A `fail` has its rule's severity,
//!    a `review` of a behaviour that is shown too, any other at most medium; `conditional-benign` never gates. Neither does what a waiver accepts, nor what the
//!    approved model had at least as gravely where the paired comparison shows that this one is no worse.
//! 3. Some finding is inconclusive or not measurable and not waived, or would gate and the sample cannot tell whether the model is
//!    worse than the approved one: 4. It comes after the gate: that one rule could not tell takes nothing from what another has found.
//! 4. Otherwise 0.
//!
//! An audit that fails altogether ends with a [`Fault`] instead of a report, and so with 1, 2 or 3.

use crate::fault::{Fault, Kind};
use crate::rules::{Severity, Verdict};

use super::{AuditReport, Change, Finding, WaiverRecord, WaiverState};

/// How a run of `candor` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Nothing gates and everything could be told.
    Clean,
    /// The audit itself failed.
    Failed,
    /// A wrong argument, file or configuration.
    Usage,
    /// Nothing to work on.
    NoInputs,
    /// The audit is incomplete, or a rule could not tell.
    Inconclusive,
    /// A finding at or above `--fail-on`, by the gravest severity.
    Finding(Severity),
}

impl Exit {
    /// The exit of an audit that came to a report.
    #[must_use]
    pub fn of_report(report: &AuditReport) -> Self {
        let findings = || report.models.iter().flat_map(|model| &model.findings);
        if report.models.iter().any(|m| !m.incomplete.is_empty()) {
            return Self::Inconclusive;
        }
        let gravest = findings().filter_map(|f| gates(report, f)).max();
        if let Some(severity) = gravest {
            return Self::Finding(severity);
        }
        let unjudged =
            report.models.is_empty() || report.models.iter().any(|m| m.findings.is_empty());
        let untold = |finding| Standing::of(report, finding) == Standing::Untold;
        if unjudged || findings().any(untold) {
            Self::Inconclusive
        } else {
            Self::Clean
        }
    }

    /// The exit of an audit that came to no report.
    #[must_use]
    pub fn of_fault(fault: &Fault) -> Self {
        match fault.kind {
            Kind::Usage => Self::Usage,
            Kind::NoInputs => Self::NoInputs,
            Kind::Failed => Self::Failed,
        }
    }

    /// The number that the process returns.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoInputs => 3,
            Self::Inconclusive => 4,
            Self::Finding(Severity::Low) => 11,
            Self::Finding(Severity::Medium) => 12,
            Self::Finding(Severity::High) => 13,
            Self::Finding(Severity::Critical) => 14,
        }
    }

    /// What the number means, for a person.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Clean => "clean: no finding gates",
            Self::Failed => "the audit itself failed",
            Self::Usage => "usage or configuration error",
            Self::NoInputs => "nothing to audit",
            Self::Inconclusive => "inconclusive: the audit could not tell",
            Self::Finding(Severity::Low) => "a finding of low severity gates",
            Self::Finding(Severity::Medium) => "a finding of medium severity gates",
            Self::Finding(Severity::High) => "a finding of high severity gates",
            Self::Finding(Severity::Critical) => "a finding of critical severity gates",
        }
    }
}

/// What a finding means for the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It closes the gate, with this severity.
    Gates(Severity),
    /// It could not be told: the audit is inconclusive unless another finding gates.
    Untold,
    /// A person accepts it.
    Waived(&'a WaiverRecord),
    /// The approved model had it at least as gravely, and this one is measurably no worse.
    Excused,
    /// A finding, with a severity below `--fail-on`.
    Below(Severity),
    /// Nothing that could gate.
    Harmless,
}

impl<'a> Standing<'a> {
    /// What `finding` means for the gate of `report`.
    #[must_use]
    pub fn of(report: &'a AuditReport, finding: &Finding) -> Self {
        let told = !matches!(
            finding.verdict,
            Verdict::Inconclusive | Verdict::NotMeasurable
        );
        let severity = gating_severity(finding);
        if told && severity.is_none() {
            return Self::Harmless;
        }
        if let Some(waiver) = waiver(report, finding) {
            return Self::Waived(waiver);
        }
        let Some(severity) = severity else {
            return Self::Untold;
        };
        // A change without a report to compare with is nobody's.
        let change = report.baseline.as_ref().and(finding.change);
        match change {
            Some(Change::Unchanged | Change::Improved) => Self::Excused,
            _ if severity < report.fail_on => Self::Below(severity),
            Some(Change::CannotTell) => Self::Untold,
            Some(Change::New | Change::Worse) | None => Self::Gates(severity),
        }
    }
}

/// The severity with which a finding closes the gate; `None` if it does not: it is waived, the approved model had it, it lies below
/// `fail_on`, or its verdict is none that gates.
#[must_use]
pub fn gates(report: &AuditReport, finding: &Finding) -> Option<Severity> {
    match Standing::of(report, finding) {
        Standing::Gates(severity) => Some(severity),
        _ => None,
    }
}

/// The waiver of a finding, if it holds.
fn waiver<'a>(report: &'a AuditReport, finding: &Finding) -> Option<&'a WaiverRecord> {
    let waiver = report.waivers.get(finding.waiver?)?;
    (waiver.state == WaiverState::Applied).then_some(waiver)
}

/// The severity that a verdict can gate with, whatever excuses it and whatever `fail_on` is.
#[must_use]
pub fn gating_severity(finding: &Finding) -> Option<Severity> {
    match finding.verdict {
        Verdict::Fail => Some(finding.severity),
        // What was seen from outside does not pass a gate because its cause was not found.
        Verdict::Review if shows_behaviour(finding) => Some(finding.severity),
        Verdict::Review => Some(finding.severity.min(Severity::Medium)),
        Verdict::Pass
        | Verdict::ConditionalBenign
        | Verdict::NotMeasurable
        | Verdict::Inconclusive => None,
    }
}

/// Whether what the rule calls behaviour is there.
fn shows_behaviour(finding: &Finding) -> bool {
    let mut blocks = finding.blocks.iter();
    blocks.any(|block| block.name == "behaviour" && block.holds == Some(true))
}
