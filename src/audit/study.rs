//! One model under audit: what is known of it so far.

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
            config,
            prepared,
            bench,
            progress,
            evidence: Evidence::default(),
            fits: Vec::new(),
        }
    }

    /// The instrumented graph: taps and writes where rules patch and detectors read, detector heads.
    ///
    /// # Errors
    /// A site is missing or cannot be written, or the runtime refuses the graph.
    pub fn instrument(&self, runtime: &Runtime) -> Result<Engine> {
        self.stage("instrumenting", 1);
        let engine = super::score::instrument(runtime, self.bench, &self.prepared.rules)?;
        self.progress.step(1);
        Ok(engine)
    }

    /// A stage of the work on this model begins.
    pub fn stage(&self, what: &str, steps: usize) {
        self.progress
            .stage(&format!("{}: {what}", self.bench.subject.name), steps);
    }
}
