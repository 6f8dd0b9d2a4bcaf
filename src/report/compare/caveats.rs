//! What a reader has to know of a comparison of two reports.

use std::collections::BTreeSet;

use super::{Approved, items};
use crate::report::{AuditReport, FileDigest, ModelAudit, counted};

/// A sentence for each thing in which the two audits are not alike.
pub(super) fn of(
    report: &AuditReport,
    approved: &Approved,
    counterparts: &[Option<&ModelAudit>],
) -> Vec<String> {
    let old = &approved.report;
    let mut caveats = Vec::new();
    if old.tool_version != report.tool_version {
        caveats.push(format!(
            "The approved report was written by Candor {}, this one by {}.",
            old.tool_version, report.tool_version
        ));
    }
    if digests(&old.rule_files) != digests(&report.rule_files) {
        caveats.push("The rule files are not those of the approved audit: a finding may be new because a rule is.".to_owned());
    }
    if old.runtime.provider != report.runtime.provider {
        caveats.push(format!(
            "The approved audit ran on `{}`, this one on `{}`.",
            old.runtime.provider, report.runtime.provider
        ));
    }
    for (model, old) in report.models.iter().zip(counterparts) {
        match old {
            None => caveats.push(format!(
                "`{}` has no counterpart in the approved report: every finding of it is new.",
                model.name
            )),
            Some(old) => of_model(model, old, &mut caveats),
        }
    }
    caveats
}

fn digests(files: &[FileDigest]) -> BTreeSet<&str> {
    files.iter().map(|file| file.sha256.as_str()).collect()
}

fn of_model(model: &ModelAudit, old: &ModelAudit, caveats: &mut Vec<String>) {
    let name = &model.name;
    if !old.incomplete.is_empty() {
        caveats.push(format!(
            "The approved audit of `{}` was incomplete: what it did not find may have been there.",
            old.name
        ));
    }
    let twins = items::twins(model, old);
    for suite in &model.suites {
        let Some(before) = old.suites.iter().find(|before| before.id == suite.id) else {
            caveats.push(format!(
                "The suite `{}` was not part of the approved audit of `{}`.",
                suite.id, old.name
            ));
            continue;
        };
        if before.digest != suite.digest {
            let shared = twins.iter().filter(|(_, new)| new.suite == suite.id);
            caveats.push(format!(
                "The suite `{}` has other items than in the approved audit: `{name}` is compared on {} with the same prompt and answer.",
                suite.id,
                counted(shared.count(), "item", "items")
            ));
        }
    }
    for suite in &old.suites {
        if model.suites.iter().all(|now| now.id != suite.id) {
            caveats.push(format!(
                "The suite `{}` of the approved audit is not part of this one.",
                suite.id
            ));
        }
    }
    if model.items.total > model.items.lines.len() {
        caveats.push(format!(
            "`{name}` is compared on the {} that both reports list, of {}.",
            counted(twins.len(), "item", "items"),
            model.items.total
        ));
    }
    for finding in &old.findings {
        let waived = finding.waiver.is_some();
        let again = model.findings.iter().any(|now| {
            now.rule == finding.rule
                && now.suite == finding.suite
                && crate::report::gating_severity(now).is_some()
        });
        if waived && again {
            caveats.push(format!(
                "A waiver accepted `{}` in the approved report: whether it is accepted is for a waiver to say, not for the baseline.",
                finding.rule
            ));
        }
    }
}
