//! One model under audit: what is known of it so far, and the instrumented graph that measures the rest.

use super::config::AuditConfig;
use super::preflight::{Bench, Prepared};
use super::score::Fit;
use crate::causal::Engine;
use crate::evidence::Evidence;
use crate::fault::{Fault, Result};
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
    /// The instrumented graph: taps and writes where rules patch and detectors read, detector heads. Loaded when the plain
    /// model has answered.
    pub engine: Option<Engine>,
    /// What was measured so far.
    pub evidence: Evidence,
    /// How the SAEs fit the model.
    pub fits: Vec<Fit>,
}

impl<'a> Study<'a> {
    /// Nothing is known yet.
    pub fn begin(
        config: &'a AuditConfig,
        prepared: &'a Prepared,
        bench: &'a Bench,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            engine: None,
            config,
            prepared,
            bench,
            progress,
            evidence: Evidence::default(),
            fits: Vec::new(),
        }
    }

    /// Instruments the model.
    ///
    /// # Errors
    /// A site is missing or cannot be written, or the runtime refuses the graph.
    pub fn instrument(&mut self, runtime: &Runtime) -> Result<()> {
        self.stage("instrumenting", 1);
        let engine = super::score::instrument(runtime, self.bench, &self.prepared.rules)?;
        self.engine = Some(engine);
        self.progress.step(1);
        Ok(())
    }

    /// The instrumented graph.
    ///
    /// # Errors
    /// As [`loaded`].
    pub fn engine(&self) -> Result<&Engine> {
        loaded(self.engine.as_ref())
    }

    /// A stage of the work on this model begins.
    pub fn stage(&self, what: &str, steps: usize) {
        self.progress
            .stage(&format!("{}: {what}", self.bench.subject.name), steps);
    }
}

/// A study's instrumented graph, for those who write down its evidence meanwhile.
///
/// # Errors
/// Failed: it is not loaded yet.
pub fn loaded(engine: Option<&Engine>) -> Result<&Engine> {
    engine.ok_or_else(|| Fault::failed("reading the model", "a graph that is not instrumented yet"))
}
