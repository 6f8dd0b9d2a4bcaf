//! What an audit is. Read [`run`] from top to bottom: open and check everything before any work, let the model answer,
//! read it with detectors, explain what diverges by causal patching, judge, and report.

mod ask;
mod config;
mod explain;
mod findings;
mod preflight;
mod record;
mod score;

pub use config::{AuditConfig, ModelConfig};

use crate::evidence::Evidence;
use crate::fault::Result;
use crate::lab::Progress;
use crate::report::{AuditReport, ModelAudit};
use crate::run::Runtime;

use self::preflight::{Bench, Prepared};

/// A finished audit: the report, and the evidence that its tables are written from, one entry for each model.
pub struct Audited {
    /// The model of findings.
    pub report: AuditReport,
    /// Model name and everything measured on it.
    pub evidence: Vec<(String, Evidence)>,
}

/// Audits every model of the configuration.
///
/// `obtain` is called once everything that was named has been opened and found to fit: a wrong file fails before a
/// runtime is looked for.
///
/// # Errors
/// A file is missing, malformed or does not fit the others, or a run fails.
pub fn run(
    config: &AuditConfig,
    command: &str,
    obtain: impl FnOnce() -> Result<Runtime>,
    progress: &dyn Progress,
) -> Result<Audited> {
    let started = record::now();
    let prepared = preflight::open(config)?;
    let runtime = obtain()?;
    let mut models = Vec::with_capacity(prepared.benches.len());
    let mut evidence = Vec::with_capacity(prepared.benches.len());
    for bench in &prepared.benches {
        let (audit, measured) = audit_model(config, &prepared, bench, &runtime, progress)?;
        models.push(audit);
        evidence.push((bench.subject.name.clone(), measured));
    }
    let report = record::report(config, command, &started, &prepared, &runtime, models)?;
    Ok(Audited { report, evidence })
}

fn audit_model(
    config: &AuditConfig,
    prepared: &Prepared,
    bench: &Bench,
    runtime: &Runtime,
    progress: &dyn Progress,
) -> Result<(ModelAudit, Evidence)> {
    let name = &bench.subject.name;
    let _span = tracing::info_span!("audit", model = name).entered();
    let mut evidence = Evidence::default();

    progress.stage(&format!("{name}: instrumenting"), 1);
    let engine = score::instrument(runtime, bench, &prepared.rules)?;

    progress.stage(&format!("{name}: asking"), prepared.suites.len());
    ask::ask(
        runtime,
        bench,
        &prepared.suites,
        &engine,
        &mut evidence,
        progress,
    )?;

    progress.stage(&format!("{name}: reading detectors"), prepared.suites.len());
    let measured = score::score(bench, &prepared.suites, &engine, &mut evidence, progress)?;

    let requests = explain::requests(&prepared.rules);
    progress.stage(&format!("{name}: causal evidence"), requests.len());
    explain::explain(
        config.seed,
        bench,
        &prepared.suites,
        &engine,
        &requests,
        &mut evidence,
        progress,
    )?;

    let findings = findings::judge(prepared, bench, &evidence);
    let audit = record::model(config, prepared, bench, &evidence, &measured, findings)?;
    Ok((audit, evidence))
}
