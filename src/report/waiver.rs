//! Waivers as a report carries them, and what they waive.

use super::{AuditReport, Finding};
use crate::rules::{Day, Verdict, Waiver};

/// One waiver of a waiver file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaiverRecord {
    /// The rule that it waives.
    pub rule: String,
    /// The model that it is limited to.
    pub model: Option<String>,
    /// The suite that it is limited to.
    pub suite: Option<String>,
    /// Why the finding is accepted.
    pub reason: String,
    /// Who accepts it.
    pub owner: String,
    /// The last day on which it holds (UTC, `YYYY-MM-DD`).
    pub expires: String,
    /// What became of it.
    pub state: WaiverState,
    /// The waiver's file.
    pub file: String,
    /// Its line in `file`, from 1.
    pub line: usize,
}

/// What became of a waiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaiverState {
    /// It waives a finding.
    Applied,
    /// No finding matches it: a warning.
    Unused,
    /// Its day is over: the finding is live.
    Expired,
}

impl From<&Waiver> for WaiverRecord {
    fn from(waiver: &Waiver) -> Self {
        Self {
            rule: waiver.rule.clone(),
            model: waiver.model.clone(),
            suite: waiver.suite.clone(),
            reason: waiver.reason.clone(),
            owner: waiver.owner.clone(),
            expires: waiver.expires.to_string(),
            state: WaiverState::Unused,
            file: waiver.file.display().to_string(),
            line: waiver.line,
        }
    }
}

impl WaiverRecord {
    /// Whether it is meant for a finding on this model. There must be something to waive.
    pub(super) fn fits(&self, model: &str, finding: &Finding) -> bool {
        self.rule == finding.rule
            && self.model.as_deref().is_none_or(|only| only == model)
            && (self.suite.is_none() || self.suite == finding.suite)
            && !matches!(finding.verdict, Verdict::Pass | Verdict::ConditionalBenign)
    }

    /// Whether its last day lies before `today`. One whose day cannot be read is over.
    fn is_over(&self, today: Option<Day>) -> bool {
        match (today, Day::parse(&self.expires)) {
            (Some(today), Ok(last)) => today > last,
            _ => true,
        }
    }
}

/// What became of the waivers of a report, and which one holds for each finding of each model.
#[derive(PartialEq, Eq)]
struct Waived {
    states: Vec<WaiverState>,
    findings: Vec<Vec<Option<usize>>>,
}

impl Waived {
    /// From the waivers that `report` lists, its findings and the day on which it began.
    fn of(report: &AuditReport) -> Self {
        let today = Day::of_time(&report.started);
        let states = report.waivers.iter().map(|waiver| {
            if waiver.is_over(today) {
                WaiverState::Expired
            } else {
                WaiverState::Unused
            }
        });
        let mut states: Vec<WaiverState> = states.collect();
        let mut findings = Vec::with_capacity(report.models.len());
        for model in &report.models {
            let of_model = model.findings.iter().map(|finding| {
                let mut holds = None;
                for (index, (waiver, state)) in report.waivers.iter().zip(&mut states).enumerate() {
                    if *state != WaiverState::Expired && waiver.fits(&model.name, finding) {
                        *state = WaiverState::Applied;
                        holds = holds.or(Some(index));
                    }
                }
                holds
            });
            findings.push(of_model.collect());
        }
        Self { states, findings }
    }
}

impl AuditReport {
    /// Says of each waiver what became of it and of each finding which waiver holds for it, from the waivers that the report lists and
    /// the day (UTC) on which the audit began. What waivers said before is forgotten, so that a report can be waived again after its
    /// findings have changed.
    pub fn apply_waivers(&mut self) {
        let waived = Waived::of(self);
        for (waiver, state) in self.waivers.iter_mut().zip(waived.states) {
            waiver.state = state;
        }
        for (model, waivers) in self.models.iter_mut().zip(waived.findings) {
            for (finding, waiver) in model.findings.iter_mut().zip(waivers) {
                finding.waiver = waiver;
            }
        }
    }

    /// Whether the report says of its waivers what [`AuditReport::apply_waivers`] would say.
    pub(super) fn is_waived_rightly(&self) -> bool {
        let said = Waived {
            states: self.waivers.iter().map(|waiver| waiver.state).collect(),
            findings: self
                .models
                .iter()
                .map(|model| model.findings.iter().map(|f| f.waiver).collect())
                .collect(),
        };
        said == Waived::of(self)
    }
}
