//! What an audit is. Read [`run`] from top to bottom: open and check everything before any work, let the model answer,
//! read it with detectors, explain what diverges by causal patching. All of that is evidence, which goes to disk as it is made. Then
//! [`Judging`] judges what is stored.

mod ask;
mod conclude;
mod config;
mod explain;
mod findings;
mod judging;
mod plan;
mod power;
mod preflight;
mod record;
mod repeat;
mod rerun;
mod rescore;
mod said;
mod score;
mod seal;
mod study;
mod verify;
mod way;

use std::path::Path;

pub use config::{AuditConfig, BaselineConfig, ModelConfig};
pub use judging::Judging;
pub use plan::Plan;
pub use record::now;
pub use rerun::{Rerun, Sample, rerun};
pub use rescore::{Again, rescore};
pub use seal::{RECORD, SEAL, Signed, seal};
pub use verify::{Verified, verify};

use crate::archive::Archive;
use crate::fault::Result;
use crate::lab::Progress;
use crate::report::AuditReport;
use crate::run::Runtime;

use self::judging::Times;
use self::preflight::Prepared;
use self::study::Study;

/// Whether evidence may be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The folder has to be without evidence.
    Fresh,
    /// What a killed audit has left is gone on with.
    Resume,
}

/// A finished audit: the report, and the evidence behind it.
pub struct Audited {
    /// The model of findings.
    pub report: AuditReport,
    /// What they rest on.
    pub evidence: Archive,
    /// What judged it.
    pub judging: Judging,
}

/// Audits every model of the configuration; `folder` takes the evidence.
///
/// `obtain` is called once everything that was named has been opened and found to fit: a wrong file fails before a
/// runtime is looked for.
///
/// # Errors
/// A file is missing, malformed or does not fit the others, a run fails, or the folder cannot take the evidence.
pub fn run(
    config: &AuditConfig,
    command: &str,
    folder: &Path,
    start: Start,
    obtain: impl FnOnce() -> Result<Runtime>,
    progress: &dyn Progress,
) -> Result<Audited> {
    let started = record::now();
    let prepared = preflight::open(config)?;
    let runtime = obtain()?;
    let plan = Plan::of(config, &prepared, &runtime)?;
    let mut evidence = match start {
        Start::Fresh => Archive::begin(folder, &plan.bytes()?)?,
        Start::Resume => Archive::resume(folder, &plan.bytes()?)?,
    };
    power::announce(&plan, &prepared, progress)?;
    if let Err(fault) = measure(config, &prepared, &runtime, &mut evidence, progress) {
        return Err(evidence.given_up(fault));
    }
    // What is stored is judged with nothing else in memory.
    judged(prepared.into_judging(), evidence, &plan, &started, command)
}

/// Ends an audit: what is stored is judged now.
fn judged(
    judging: Judging,
    evidence: Archive,
    plan: &Plan,
    started: &str,
    command: &str,
) -> Result<Audited> {
    let times = Times {
        started,
        finished: &record::now(),
        command,
    };
    let report = judging.report(&evidence, plan, times)?;
    Ok(Audited {
        report,
        evidence,
        judging,
    })
}

/// Measures every model, as far as it is not measured already.
fn measure(
    config: &AuditConfig,
    prepared: &Prepared,
    runtime: &Runtime,
    evidence: &mut Archive,
    progress: &dyn Progress,
) -> Result<()> {
    for (bench, number) in prepared.benches.iter().zip(1..) {
        let _span = tracing::info_span!("audit", model = bench.subject.name).entered();
        let mut study = Study {
            config,
            prepared,
            bench,
            progress,
            shelf: evidence.shelf(number, &bench.subject.name),
        };
        let said = study.ask(runtime)?;
        let mut engine = None;
        if said.is_some() || !study.is_read() || !study.shelf.has_repeats() {
            let opened = study.instrument(runtime)?;
            if let Some(said) = said {
                study.compare(&opened, said)?;
            }
            study.read_detectors(&opened)?;
            study.repeat(&opened)?;
            engine = Some(opened);
        }
        study.explain(runtime, engine)?;
    }
    Ok(())
}
