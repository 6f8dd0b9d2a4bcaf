//! What a training is told.

use serde_json::{Value, json};

use super::{Architecture, Penalty};
use crate::fault::{Fault, Result};

/// What a training is told. Lengths of time are in steps.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How features compete.
    pub architecture: &'static Architecture,
    /// Number of features.
    pub d_sae: usize,
    /// Active features for each row: exactly (top-k), on average (batch-top-k), or aimed at (JumpReLU's quadratic penalty).
    pub k: usize,
    /// Widths of the nested dictionaries, ascending, the last one `d_sae`; one for all but Matryoshka.
    pub widths: Vec<usize>,
    /// What JumpReLU's sparsity costs.
    pub penalty: Penalty,
    /// Factor of the sparsity penalty.
    pub l0_coefficient: f32,
    /// Steps over which the penalty rises from 0.
    pub l0_warm_up: u64,
    /// Width of the kernel of JumpReLU's straight-through estimator.
    pub bandwidth: f32,
    /// Adam's learning rate.
    pub lr: f32,
    /// Steps over which the learning rate rises from 0.
    pub warm_up: u64,
    /// Last steps, over which it falls to 0.
    pub decay: u64,
    /// Steps.
    pub steps: u64,
    /// Rows of a step.
    pub batch: usize,
    /// Seeds weights and the order of rows.
    pub seed: u64,
    /// Factor of the loss by which dead features learn what the others leave (Gao et al. 2024).
    pub aux_coefficient: f32,
    /// Steps without an activation after which a feature is dead.
    pub dead_after: u64,
}

impl Settings {
    /// Refuses what cannot be trained on rows of that width.
    ///
    /// # Errors
    /// Usage, with the option's name.
    pub fn check(&self, d_in: usize) -> Result<()> {
        let wrong = |found: String, expected: String| {
            Err(Fault::usage("setting up the training of an SAE", found).expected(expected))
        };
        if d_in == 0 || self.d_sae == 0 {
            return wrong(
                format!("d_sae {} at a site of width {d_in}", self.d_sae),
                "at least one feature (--d-sae)".into(),
            );
        }
        if self.k == 0 || self.k > self.d_sae {
            return wrong(
                format!("k = {}", self.k),
                format!("--k from 1 to d_sae = {}", self.d_sae),
            );
        }
        let ascending = self.widths.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || self.widths.first() == Some(&0) || self.widths.last() != Some(&self.d_sae)
        {
            return wrong(
                format!("nested widths {:?}", self.widths),
                format!("ascending widths that end with d_sae = {}", self.d_sae),
            );
        }
        if self.batch == 0 || self.steps == 0 {
            return wrong(
                format!("{} steps of {} rows", self.steps, self.batch),
                "at least one step (--steps, --samples) of at least one row (--batch)".into(),
            );
        }
        if self.warm_up.saturating_add(self.decay) > self.steps {
            return wrong(
                format!(
                    "a warm-up of {} and a decay of {} steps",
                    self.warm_up, self.decay
                ),
                format!("together at most the {} steps of the training", self.steps),
            );
        }
        let positive = [("--lr", self.lr), ("--bandwidth", self.bandwidth)];
        let not_negative = [
            ("--l0-coefficient", self.l0_coefficient),
            ("--aux-coefficient", self.aux_coefficient),
        ];
        for (name, value) in positive {
            if !(value.is_finite() && value > 0.0) {
                return wrong(format!("{name} {value}"), "a finite number above 0".into());
            }
        }
        for (name, value) in not_negative {
            if !(value.is_finite() && value >= 0.0) {
                return wrong(
                    format!("{name} {value}"),
                    "a finite number that is not negative".into(),
                );
            }
        }
        Ok(())
    }

    /// As they are kept with the weights.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "architecture": self.architecture.name,
            "k": self.k,
            "widths": self.widths,
            "penalty": format!("{:?}", self.penalty).to_lowercase(),
            "l0_coefficient": self.l0_coefficient,
            "l0_warm_up": self.l0_warm_up,
            "bandwidth": self.bandwidth,
            "lr": self.lr,
            "warm_up": self.warm_up,
            "decay": self.decay,
            "steps": self.steps,
            "batch": self.batch,
            "seed": self.seed,
            "aux_coefficient": self.aux_coefficient,
            "dead_after": self.dead_after,
        })
    }

    /// The learning rate of a step, from 0: a linear warm-up, a plateau, a linear decay to 0.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        reason = "a rate needs no more than single precision"
    )]
    pub fn lr_at(&self, step: u64) -> f32 {
        let left = self.steps.saturating_sub(step);
        let rising = rising(step, self.warm_up);
        let falling = if left < self.decay {
            left as f32 / self.decay as f32
        } else {
            1.0
        };
        self.lr * rising.min(falling)
    }

    /// The factor of the sparsity penalty at a step.
    #[must_use]
    pub fn l0_coefficient_at(&self, step: u64) -> f32 {
        self.l0_coefficient * rising(step, self.l0_warm_up)
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a factor needs no more than single precision"
)]
fn rising(step: u64, over: u64) -> f32 {
    if step < over {
        (step + 1) as f32 / over as f32
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sae::train::ARCHITECTURES;

    #[test]
    fn the_learning_rate_rises_stays_and_falls() {
        let settings = Settings {
            architecture: &ARCHITECTURES[0],
            d_sae: 4,
            k: 1,
            widths: vec![4],
            penalty: Penalty::Step,
            l0_coefficient: 2.0,
            l0_warm_up: 4,
            bandwidth: 0.05,
            lr: 1.0,
            warm_up: 2,
            decay: 4,
            steps: 10,
            batch: 1,
            seed: 0,
            aux_coefficient: 0.0,
            dead_after: 1,
        };
        let rates: Vec<f32> = (0..10).map(|step| settings.lr_at(step)).collect();
        assert_eq!(rates, [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]);
        let penalties: Vec<f32> = (0..5)
            .map(|step| settings.l0_coefficient_at(step))
            .collect();
        assert_eq!(penalties, [0.5, 1.0, 1.5, 2.0, 2.0]);
    }
}
