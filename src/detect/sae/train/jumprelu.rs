//! JumpReLU (Rajamanoharan et al. 2024, "Jumping ahead"): `f = h` above a learnt threshold, which gets its gradient from a
//! straight-through estimator with a rectangular kernel. The threshold is trained itself and not its logarithm, and the estimator
//! moves it alone, both as SAELens has it.

use std::str::FromStr;

use super::entries::{Entries, Entry, Slope};
use super::rule::{Architecture, Inference, Rule, Sparsity};
use super::{Parameters, Settings};
use crate::fault::{Fault, Result};

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "jumprelu",
    summary: "a learnt threshold for each feature (Rajamanoharan et al. 2024)",
    rule: |settings| {
        Box::new(JumpReLU {
            penalty: settings.penalty,
            target: settings.k,
            bandwidth: settings.bandwidth,
        })
    },
};

/// Where thresholds begin, as in SAELens.
pub(super) const FIRST_THRESHOLD: f32 = 0.01;
/// What an activation is multiplied by in the tanh penalty, as in SAELens.
const TANH_SCALE: f32 = 4.0;

/// What JumpReLU's sparsity costs, for each row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Penalty {
    /// The number of active features, L0 (Rajamanoharan et al. 2024).
    #[default]
    Step,
    /// `Σ tanh(4·f)`, decoder rows having unit length (Anthropic, January 2025).
    Tanh,
    /// `2/k·(L0 − k)²` around a target (Gemma Scope 2).
    Quadratic,
}

impl FromStr for Penalty {
    type Err = Fault;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "step" => Ok(Self::Step),
            "tanh" => Ok(Self::Tanh),
            "quadratic" => Ok(Self::Quadratic),
            _ => Err(
                Fault::usage("choosing a sparsity penalty", format!("`{name}`"))
                    .expected("step, tanh or quadratic"),
            ),
        }
    }
}

#[derive(Debug)]
struct JumpReLU {
    penalty: Penalty,
    target: usize,
    bandwidth: f32,
}

impl Rule for JumpReLU {
    /// What is active, and what the kernel reaches below the threshold.
    fn look(
        &self,
        hidden: &[f32],
        parameters: &Parameters,
        entries: &mut Entries,
        _scratch: &mut Vec<f32>,
    ) {
        let reach = self.bandwidth / 2.0;
        for ((feature, &value), &threshold) in (0_u32..).zip(hidden).zip(&parameters.threshold) {
            if value > threshold - reach {
                entries.all.push(Entry {
                    feature,
                    hidden: value,
                    act: if value > threshold { value } else { 0.0 },
                });
            }
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "numbers of features are far below 2^23"
    )]
    fn sparsity(&self, row: &[Entry]) -> Sparsity {
        let active = row.iter().filter(|entry| entry.act > 0.0);
        let l0 = active.clone().count() as f64;
        match self.penalty {
            Penalty::Step => Sparsity {
                loss: l0,
                by_l0: 1.0,
            },
            Penalty::Tanh => Sparsity {
                loss: active
                    .map(|entry| f64::from((TANH_SCALE * entry.act).tanh()))
                    .sum(),
                by_l0: 0.0,
            },
            Penalty::Quadratic => {
                let target = self.target as f64;
                Sparsity {
                    loss: 2.0 / target * (l0 - target).powi(2),
                    by_l0: (4.0 / target * (l0 - target)) as f32,
                }
            }
        }
    }

    fn cost(&self, act: f32) -> f32 {
        if self.penalty == Penalty::Tanh {
            TANH_SCALE * (1.0 - (TANH_SCALE * act).tanh().powi(2))
        } else {
            0.0
        }
    }

    fn back(&self, entry: &Entry, parameters: &Parameters, by_act: f32, by_l0: f32) -> Slope {
        let threshold = parameters.threshold[entry.feature as usize];
        let off = (entry.hidden - threshold) / self.bandwidth;
        let kernel = if off > -0.5 && off < 0.5 {
            1.0 / self.bandwidth
        } else {
            0.0
        };
        Slope {
            hidden: if entry.hidden > threshold {
                by_act
            } else {
                0.0
            },
            threshold: -kernel * (threshold * by_act + by_l0),
        }
    }

    fn inference(&self, _settings: &Settings, parameters: &Parameters) -> Inference {
        Inference::JumpReLU(parameters.threshold.clone())
    }
}
