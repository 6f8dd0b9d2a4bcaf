//! One model under audit: what is known of it so far, and the instrumented graph that measures the rest.

use super::config::AuditConfig;
use super::preflight::{Bench, Prepared};
use super::score::Fit;
use crate::causal::Engine;
use crate::evidence::Evidence;
use crate::fault::Result;
use crate::lab::Progress;
use crate::run::Runtime;

/// One model under audit.
pub struct Study<'a> {
    /// What the audit was told.
    pub config: &'a AuditConfig,
    /// Suites and rules.
    pub prepared: &'a Prepared,
    /// The model and its detectors.
    pub bench: &'a Bench,
    /// Told where the work stands.
    pub progress: &'a dyn Progress,
    /// The instrumented graph: taps and writes where rules patch and detectors read, detector heads.
    pub engine: Engine,
    /// What was measured so far.
    pub evidence: Evidence,
    /// How the SAEs fit the model.
    pub fits: Vec<Fit>,
}

impl<'a> Study<'a> {
    /// Instruments the model.
    ///
    /// # Errors
    /// A site is missing or cannot be written, or the runtime refuses the graph.
    pub fn begin(
        config: &'a AuditConfig,
        prepared: &'a Prepared,
        bench: &'a Bench,
        runtime: &Runtime,
        progress: &'a dyn Progress,
    ) -> Result<Self> {
        progress.stage(&format!("{}: instrumenting", bench.subject.name), 1);
        let engine = super::score::instrument(runtime, bench, &prepared.rules)?;
        progress.step(1);
        Ok(Self {
            engine,
            config,
            prepared,
            bench,
            progress,
            evidence: Evidence::default(),
            fits: Vec::new(),
        })
    }

    /// A stage of the work on this model begins.
    pub fn stage(&self, what: &str, steps: usize) {
        self.progress
            .stage(&format!("{}: {what}", self.bench.subject.name), steps);
    }
}
