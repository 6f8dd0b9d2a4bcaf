//! Training of linear probes: one file a kind, one registration line each in [`PROBE_KINDS`].

mod difference_of_means;
mod logistic;
mod logistic_regression;
mod out_of_fold;
mod standardise;

use ndarray::ArrayView2;

use super::probe::LinearProbe;
use crate::fault::{Fault, Result};

/// Every kind of probe that can be trained.
pub const PROBE_KINDS: &[ProbeKind] = &[logistic_regression::KIND, difference_of_means::KIND];

/// A way of training a linear probe.
#[derive(Debug, Clone, Copy)]
pub struct ProbeKind {
    /// Its name in cards and on the command line.
    pub name: &'static str,
    /// One line for people, with the source of the formula.
    pub summary: &'static str,
    train: fn(&TrainingSet<'_>, TrainingOptions) -> Result<LinearProbe>,
}

impl ProbeKind {
    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PROBE_KINDS.iter().find(|kind| kind.name == name)
    }

    /// Trains a probe.
    ///
    /// # Errors
    /// No rows, labels that do not fit, one class only, an activation that is not finite, or a penalty that is not positive.
    pub fn train(&self, set: &TrainingSet<'_>, options: TrainingOptions) -> Result<LinearProbe> {
        set.check(self.name)?;
        if !(options.lambda > 0.0 && options.lambda.is_finite()) {
            return Err(Fault::usage(
                format!("training a {} probe", self.name),
                format!("the penalty λ = {}", options.lambda),
            )
            .expected("a positive number, such as 10"));
        }
        (self.train)(set, options)
    }
}

/// Rows and their labels.
#[derive(Debug, Clone, Copy)]
pub struct TrainingSet<'a> {
    /// Activations `[n, d_in]`.
    pub rows: ArrayView2<'a, f32>,
    /// `[n]`, true for what a high score shall mean.
    pub labels: &'a [bool],
}

impl TrainingSet<'_> {
    fn check(&self, kind: &str) -> Result<()> {
        let doing = || format!("training a {kind} probe");
        let (n, d) = self.rows.dim();
        if n == 0 || d == 0 {
            return Err(
                Fault::usage(doing(), format!("activations of shape [{n}, {d}]"))
                    .expected("at least one row of each label"),
            );
        }
        if self.labels.len() != n {
            return Err(Fault::failed(
                doing(),
                format!("{} labels for {n} rows", self.labels.len()),
            )
            .expected("one label for each row"));
        }
        let positives = self.labels.iter().filter(|label| **label).count();
        if positives == 0 || positives == n {
            return Err(
                Fault::usage(doing(), format!("{positives} positive of {n} rows"))
                    .expected("rows with both labels")
                    .hint("check the suite's `label` fields"),
            );
        }
        if let Some(((row, column), value)) = self
            .rows
            .indexed_iter()
            .find(|(_, value)| !value.is_finite())
        {
            return Err(Fault::failed(
                doing(),
                format!("the activation {value} in row {row}, column {column}"),
            )
            .expected("finite activations"));
        }
        Ok(())
    }
}

/// What can be set about the training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingOptions {
    /// L2 penalty of logistic regression: the objective is `Σ log-loss + λ/2 ‖w‖²`, scikit-learn's with `C = 1/λ`.
    /// The intercept is not penalised.
    pub lambda: f64,
}

impl Default for TrainingOptions {
    /// λ = 10, as in "Detecting strategic deception using linear probes" (Apollo, 2025).
    fn default() -> Self {
        Self { lambda: 10.0 }
    }
}
