//! Training of probes: one file a kind, one registration line each in [`PROBE_KINDS`].

mod attention;
mod ccs;
mod design;
mod difference_of_means;
mod lat;
mod lda;
pub(super) mod logistic;
mod logistic_regression;
mod mass_mean;
mod minimise;
mod multimax;
mod out_of_fold;
mod pooled;
mod projection;
mod set;
mod spectrum;
mod standardise;
mod ttpd;

use super::aggregation::Aggregation;
use super::probe::Probe;
use crate::fault::{Fault, Result};

pub(super) use design::Design;
pub use set::{About, Subset, TrainingSet};

/// Every kind of probe that can be trained.
pub const PROBE_KINDS: &[ProbeKind] = &[
    logistic_regression::KIND,
    difference_of_means::KIND,
    mass_mean::KIND,
    lda::KIND,
    ttpd::KIND,
    lat::KIND,
    ccs::KIND,
    attention::KIND,
    multimax::KIND,
];

/// A way of training a probe.
#[derive(Debug, Clone, Copy)]
pub struct ProbeKind {
    /// Its name in cards and on the command line.
    pub name: &'static str,
    /// One line for people, with the source of the formula.
    pub summary: &'static str,
    /// What it has to know of items besides their labels.
    pub needs: &'static [Need],
    /// The aggregation that it is trained with, where it pools several columns; any of one column otherwise.
    pub pooling: Option<Aggregation>,
    train: fn(&TrainingSet<'_>, TrainingOptions) -> Result<Probe>,
}

/// What a kind of probe may have to know of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Whether each item affirms or denies, with items of both kinds.
    Polarity,
    /// Pairs of items with different labels.
    Pairs,
}

impl ProbeKind {
    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PROBE_KINDS.iter().find(|kind| kind.name == name)
    }

    /// Whether the set says what the kind has to know.
    ///
    /// # Errors
    /// Usage: what is missing.
    pub fn fits(&self, set: &TrainingSet<'_>) -> Result<()> {
        for need in self.needs {
            let missing = match need {
                Need::Polarity => {
                    let of = |polarity| {
                        let known = set.about.iter().filter(|about| about.polarity == polarity);
                        known.count()
                    };
                    let unknown = of(None) > 0 || set.about.is_empty();
                    let both = of(Some(crate::tokens::Polarity::Affirmative)) > 0
                        && of(Some(crate::tokens::Polarity::Negated)) > 0;
                    (unknown || !both).then_some((
                        if unknown {
                            "items whose polarity is not known"
                        } else {
                            "items of one polarity only"
                        },
                        "`polarity` (affirmative or negated) in every item, and items of both",
                    ))
                }
                Need::Pairs => set.pairs().is_empty().then_some((
                    "no pair of items with different labels",
                    "`pair` naming each item's counterpart",
                )),
            };
            if let Some((found, expected)) = missing {
                return Err(
                    Fault::usage(format!("training a {} probe", self.name), found)
                        .expected(expected)
                        .hint("kinds that need the label alone: `logistic_regression`, `lda`, `mass_mean`, …"),
                );
            }
        }
        Ok(())
    }

    /// Trains a probe.
    ///
    /// # Errors
    /// No rows, labels that do not fit, one class only, an activation that is not finite, rows that are all the same, a penalty that is not positive, or
    /// items of which is not known what the kind needs.
    pub fn train(&self, set: &TrainingSet<'_>, options: TrainingOptions) -> Result<Probe> {
        set.check(self.name)?;
        if !(options.lambda > 0.0 && options.lambda.is_finite()) {
            return Err(Fault::usage(
                format!("training a {} probe", self.name),
                format!("the penalty λ = {}", options.lambda),
            )
            .expected("a positive number, such as 10"));
        }
        self.fits(set)?;
        set.check_varies(self.name)?;
        (self.train)(set, options)
    }
}

/// What can be set about the training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingOptions {
    /// L2 penalty of logistic regression and of probes that pool: the objective is `Σ log-loss + λ/2 ‖w‖²`, scikit-learn's with
    /// `C = 1/λ`. The intercept is not penalised.
    pub lambda: f64,
    /// How near to the minimum of a logistic regression: the largest entry of the gradient, as a share of the number of rows.
    pub tolerance: f64,
    /// Seeds what a kind draws at random: the order of pairs, first guesses.
    pub seed: u64,
}

impl TrainingOptions {
    /// The same for fits of which ranks alone are asked: baselines, permuted labels.
    #[must_use]
    pub fn rough(self) -> Self {
        Self {
            tolerance: 1e-6,
            ..self
        }
    }
}

impl Default for TrainingOptions {
    /// λ = 10, as in "Detecting strategic deception using linear probes" (Apollo, 2025).
    fn default() -> Self {
        Self {
            lambda: 10.0,
            tolerance: 1e-11,
            seed: 0,
        }
    }
}
