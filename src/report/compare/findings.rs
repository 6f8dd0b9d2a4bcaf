//! What is new, worse, the same, better or gone among findings of the same rule and suite.

use crate::report::baseline::{Change, Comparison, Fixed, Shows};
use crate::report::{Finding, ModelAudit, gating_severity};
use crate::rules::{Severity, Verdict};

/// How grave a finding is: its verdict, and the severity that it gates with. `None` if it could not gate.
fn grade(finding: &Finding) -> Option<(Verdict, Severity)> {
    gating_severity(finding).map(|severity| (finding.verdict, severity))
}

fn untold(finding: &Finding) -> bool {
    matches!(
        finding.verdict,
        Verdict::Inconclusive | Verdict::NotMeasurable
    )
}

fn counterpart<'a>(finding: &Finding, model: &'a ModelAudit) -> Option<&'a Finding> {
    let mut findings = model.findings.iter();
    findings.find(|other| other.rule == finding.rule && other.suite == finding.suite)
}

/// Marks the findings of a model without a counterpart.
pub(super) fn all_new(model: &mut ModelAudit) {
    for finding in &mut model.findings {
        finding.change = grade(finding).map(|_| Change::New);
    }
}

/// Says of each finding how it compares with the approved model's, but for those that only a waiver accepted, here (it has `lapsed`) or
/// there: a waiver accepts until its day, and the baseline does not extend it.
pub(super) fn mark(
    model: &mut ModelAudit,
    old: &ModelAudit,
    comparisons: &[Comparison],
    lapsed: impl Fn(&Finding) -> bool,
) {
    for finding in &mut model.findings {
        let shown = shown(finding.suite.as_deref(), comparisons);
        let before = counterpart(finding, old);
        let change = change(finding, before, shown);
        let on_terms = lapsed(finding) || before.is_some_and(|before| before.waiver.is_some());
        let accepted = grade(finding).is_some() && change != Some(Change::New);
        finding.change = change.filter(|_| !(on_terms && accepted));
    }
}

/// What all rates of a suite show together. A suite without a comparison shows nothing.
fn shown(suite: Option<&str>, comparisons: &[Comparison]) -> Shows {
    let of_suite = || {
        comparisons
            .iter()
            .filter(|one| Some(one.suite.as_str()) == suite)
    };
    let any = |shows: Shows| of_suite().any(|one| one.shows == shows);
    if any(Shows::Worse) {
        Shows::Worse
    } else if any(Shows::CannotTell) || of_suite().next().is_none() {
        Shows::CannotTell
    } else {
        Shows::NotWorse
    }
}

fn change(finding: &Finding, old: Option<&Finding>, shown: Shows) -> Option<Change> {
    // What could not be told has no change to tell.
    if untold(finding) {
        return None;
    }
    let before = old.and_then(grade);
    let Some(now) = grade(finding) else {
        let old = old.filter(|old| !untold(old))?;
        return Some(if grade(old).is_some() {
            Change::Improved
        } else {
            Change::Unchanged
        });
    };
    let Some(before) = before else {
        return Some(Change::New);
    };
    if before.0 < now.0 || before.1 < now.1 {
        return Some(Change::Worse);
    }
    Some(match shown {
        Shows::Worse => Change::Worse,
        Shows::CannotTell => Change::CannotTell,
        Shows::NotWorse if before == now => Change::Unchanged,
        Shows::NotWorse => Change::Improved,
    })
}

/// Findings of the approved model that this one has no more.
pub(super) fn fixed(model: &ModelAudit, old: &ModelAudit) -> Vec<Fixed> {
    let gone = |finding: &&Finding| {
        let now = counterpart(finding, model);
        grade(finding).is_some() && now.is_none_or(|now| !untold(now) && grade(now).is_none())
    };
    let fixed = old.findings.iter().filter(gone).map(|finding| Fixed {
        rule: finding.rule.clone(),
        title: finding.title.clone(),
        suite: finding.suite.clone(),
        was: finding.verdict,
        now: counterpart(finding, model).map(|now| now.verdict),
    });
    fixed.collect()
}
