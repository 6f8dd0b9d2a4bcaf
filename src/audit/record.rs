//! What binds a report to what was audited: digests, versions, seeds, accounts and random samples.

use std::path::Path;

use super::config::AuditConfig;
use super::judging::Times;
use super::plan::Plan;
use crate::digest::{CODE, sha256_of_file};
use crate::fault::{Fault, Result};
use crate::report::{
    AuditReport, CertificateDoc, ControlDoc, FileDigest, HostRecord, ModelAudit, RuleDoc,
    RuntimeRecord, Setting,
};
use crate::rules::{RulePack, Severity};
use crate::run::Runtime;

/// Now, as RFC 3339.
#[must_use]
pub fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

/// What is known of an audit before it is run: no model, no rule and no time yet.
///
/// # Errors
/// The runtime's library cannot be read again for its digest.
pub fn begun(config: &AuditConfig, runtime: &Runtime) -> Result<AuditReport> {
    Ok(AuditReport {
        title: config.title.clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        tool_sha256: own_digest(),
        tool_code: Some(CODE.to_owned()),
        host: host(),
        started: String::new(),
        finished: String::new(),
        seed: config.seed,
        command: String::new(),
        // Decides what gates, not what is measured.
        fail_on: Severity::High,
        runtime: RuntimeRecord {
            version: runtime.version().to_owned(),
            provider: runtime.provider().to_string(),
            threads: runtime.threads(),
            library_sha256: digest(runtime.library())?.sha256,
            optimisation: runtime.optimisation().to_owned(),
            settings: settings(runtime),
        },
        models: Vec::new(),
        rules: Vec::new(),
        rule_files: Vec::new(),
        controls: Vec::new(),
        certificates: Vec::new(),
        waivers: Vec::new(),
        waiver_files: Vec::new(),
        baseline: None,
    })
}

/// The report before waivers and the approved model are looked at.
pub fn report(
    plan: &Plan,
    rules: &RulePack,
    models: Vec<ModelAudit>,
    fail_on: Severity,
    times: Times<'_>,
) -> AuditReport {
    let code = plan.begun.tool_code.as_deref().unwrap_or_default();
    let certified = |certificate| CertificateDoc::of(certificate, rules, code);
    AuditReport {
        started: times.started.to_owned(),
        finished: times.finished.to_owned(),
        command: times.command.to_owned(),
        fail_on,
        models,
        rules: rules.rules.iter().map(RuleDoc::from).collect(),
        controls: rules.named_controls().map(ControlDoc::from).collect(),
        certificates: rules.certificates.iter().map(certified).collect(),
        ..plan.begun.clone()
    }
}

fn settings(runtime: &Runtime) -> Vec<Setting> {
    let settings = runtime.settings().into_iter();
    settings
        .map(|(name, value)| Setting {
            name: name.to_owned(),
            value,
        })
        .collect()
}

/// SHA-256 of the binary that runs.
fn own_digest() -> Option<String> {
    let binary = std::env::current_exe().ok()?;
    Some(sha256_of_file(&binary).ok()?.0)
}

fn host() -> HostRecord {
    HostRecord {
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        cpu: cpu(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// The processor's model, where Linux tells it.
fn cpu() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

pub(super) fn digest(path: &Path) -> Result<FileDigest> {
    let (sha256, bytes) = sha256_of_file(path).map_err(|error| {
        Fault::failed(format!("digesting `{}`", path.display()), error.to_string())
    })?;
    Ok(FileDigest {
        path: path.display().to_string(),
        sha256,
        bytes,
    })
}
