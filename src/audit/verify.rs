//! Checks a finished audit without its models: that nothing of it was changed, and that its evidence gives the report that it comes with.

use std::fs;
use std::path::Path;

use super::judging::{Judging, Times};
use super::plan::Plan;
use super::seal::{EVIDENCE, RECORD, REPORT, Seal, Signed};
use crate::archive::Archive;
use crate::fault::{Fault, Result};
use crate::report::{AuditReport, json};
use crate::seal::PublicKey;

/// What checking an audit has shown.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Who has signed it.
    pub signed: Option<Signed>,
    /// Files that the seal names.
    pub files: usize,
    /// Parts of the evidence that the chain holds.
    pub parts: usize,
    /// The report, if everything up to it could be read.
    pub report: Option<AuditReport>,
    /// What does not hold, a line each; empty if everything does.
    pub mismatches: Vec<String>,
}

/// Checks digests, chain and signature, and reaches every verdict again from the stored evidence and rules.
///
/// # Errors
/// The folder is no finished audit.
pub fn verify(folder: &Path, key: Option<&PublicKey>) -> Result<Verified> {
    if !folder.join(EVIDENCE).is_dir() {
        return Err(Fault::usage(
            format!("verifying `{}`", folder.display()),
            "no evidence in it",
        )
        .expected("the folder that `candor audit --out` wrote"));
    }
    let mut verified = Verified {
        signed: None,
        files: 0,
        parts: 0,
        report: None,
        mismatches: Vec::new(),
    };
    let found = verified.check(folder, key);
    verified.mismatches.extend(found.err());
    Ok(verified)
}

impl Verified {
    /// One after the other: what comes later means nothing where something before does not hold.
    fn check(&mut self, folder: &Path, key: Option<&PublicKey>) -> std::result::Result<(), String> {
        let said = |fault: Fault| format!("{}: {}", fault.doing, fault.found);
        let (seal, signed) = Seal::open(folder, key).map_err(said)?;
        self.signed = Some(signed);
        self.files = seal.files.len();
        self.mismatches = seal.broken(folder).map_err(said)?;
        if !self.mismatches.is_empty() {
            return Ok(());
        }
        let evidence = Archive::open(&folder.join(EVIDENCE)).map_err(said)?;
        self.parts = evidence.chain().links().len();
        if evidence.chain().head() != seal.head {
            return Err(format!(
                "{EVIDENCE}/chain.jsonl: it ends with {}, where the seal says {}",
                evidence.chain().head(),
                seal.head
            ));
        }
        let text = fs::read_to_string(folder.join(REPORT))
            .map_err(|error| format!("{REPORT}: {error}"))?;
        let stored = json::read(&text).map_err(said)?;
        let plan = Plan::read(evidence.plan()).map_err(said)?;
        let judging = Judging::kept(&folder.join(RECORD)).map_err(said)?;
        let times = Times {
            started: &stored.started,
            finished: &stored.finished,
            command: &stored.command,
        };
        let again = judging.report(&evidence, &plan, times).map_err(said)?;
        self.mismatches.extend(verdicts(&stored, &again));
        let again = json::write(&again).map_err(said)?;
        if self.mismatches.is_empty() && again != text {
            self.mismatches.extend(first_difference(&text, &again));
        }
        self.report = Some(stored);
        Ok(())
    }
}

/// Findings whose verdict the evidence does not give.
fn verdicts(stored: &AuditReport, again: &AuditReport) -> Vec<String> {
    let mut all = Vec::new();
    for model in &stored.models {
        let twin = again.models.iter().find(|other| other.name == model.name);
        for finding in &model.findings {
            let mut findings = twin.iter().flat_map(|twin| &twin.findings);
            let verdict = findings
                .find(|other| other.fingerprint == finding.fingerprint)
                .map_or("none", |other| other.verdict.name());
            if verdict != finding.verdict.name() {
                all.push(format!(
                    "{REPORT}: `{}` on `{}` is `{}` there, and the evidence gives `{verdict}`",
                    finding.rule, model.name, finding.verdict
                ));
            }
        }
    }
    all
}

fn first_difference(stored: &str, again: &str) -> Option<String> {
    let mut lines = stored.lines().zip(again.lines()).zip(1..);
    let ((there, here), number) = lines.find(|((there, here), _)| there != here)?;
    Some(format!(
        "{REPORT}: line {number} is `{}`, and the evidence gives `{}`",
        there.trim(),
        here.trim()
    ))
}
