//! What an audit is. Read [`run`] from top to bottom: open and check everything before any work, let the model answer,
//! read it with detectors, explain what diverges by causal patching, judge, and report.

mod ask;
mod conclude;
mod config;
mod explain;
mod findings;
mod gate;
mod preflight;
mod record;
mod score;
mod study;
mod way;

pub use config::{AuditConfig, BaselineConfig, ModelConfig};
pub use record::now;

use crate::evidence::Evidence;
use crate::fault::Result;
use crate::lab::Progress;
use crate::report::AuditReport;
use crate::run::Runtime;

use self::study::Study;

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
        let _span = tracing::info_span!("audit", model = bench.subject.name).entered();
        let mut study = Study::begin(config, &prepared, bench, progress);
        let said = study.ask(&runtime)?;
        let engine = study.instrument(&runtime)?;
        study.compare(&engine, said)?;
        study.read_detectors(&engine)?;
        study.explain(&runtime, engine)?;
        models.push(study.conclude()?);
        evidence.push((bench.subject.name.clone(), study.evidence));
    }
    let mut report = record::report(config, command, &started, &prepared, &runtime, models)?;
    gate::apply(&mut report, config, &prepared)?;
    Ok(Audited { report, evidence })
}
