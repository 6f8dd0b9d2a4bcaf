//! Step after step.

use ndarray::ArrayView2;

use super::adam::{Adam, clip, project};
use super::jumprelu::FIRST_THRESHOLD;
use super::parameters::Parameters;
use super::rule::Rule;
use super::settings::Settings;
use super::work::{Cost, Moment, Work};
use super::{Inference, geometric_median};
use crate::fault::{Fault, Result};

/// The largest norm of a gradient, as in SAELens.
const LARGEST_GRADIENT: f64 = 1.0;

/// What a step was like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// What the batch cost before the step.
    pub cost: Cost,
    /// Norm of the gradient before it was clipped.
    pub gradient: f64,
    /// Features that have not been active for [`Settings::dead_after`] steps.
    pub dead: usize,
}

/// An SAE that is being trained. Rows are given scaled (see [`super`]).
#[derive(Debug)]
pub struct Trainer {
    pub(super) settings: Settings,
    pub(super) parameters: Parameters,
    pub(super) adam: Adam,
    pub(super) rule: Box<dyn Rule>,
    /// Steps since each feature was active.
    pub(super) silent: Vec<u64>,
    /// Steps done.
    pub(super) step: u64,
    gradient: Parameters,
    work: Work,
}

impl Trainer {
    /// Begins with random weights. `sample` `[n, d_in]` says where activations lie.
    ///
    /// # Errors
    /// Settings that mean nothing, or a sample without rows or with values that are not finite.
    pub fn new(settings: Settings, sample: ArrayView2<f32>) -> Result<Self> {
        check(sample)?;
        let b_dec = geometric_median(sample);
        let (d_sae, seed) = (settings.d_sae, settings.seed);
        let parameters = Parameters::random(b_dec, d_sae, FIRST_THRESHOLD, seed);
        Self::from_parameters(settings, parameters)
    }

    /// Begins with given weights.
    ///
    /// # Errors
    /// Settings that mean nothing, or weights of another shape.
    pub fn from_parameters(settings: Settings, parameters: Parameters) -> Result<Self> {
        let (d_in, d_sae) = (parameters.d_in, settings.d_sae);
        settings.check(d_in)?;
        let gradient = Parameters::zeros(d_in, d_sae);
        let wrong = parameters
            .tensors()
            .into_iter()
            .zip(gradient.tensors())
            .find(|((_, found), (_, expected))| found.len() != expected.len())
            .map(|((name, found), (_, expected))| {
                Fault::failed(
                    "setting up the training of an SAE",
                    format!("`{name}` with {} values", found.len()),
                )
                .expected(expected.len().to_string())
            });
        if let Some(fault) = wrong {
            return Err(fault);
        }
        Ok(Self {
            rule: (settings.architecture.rule)(&settings),
            adam: Adam::new(d_in, d_sae),
            silent: vec![0; d_sae],
            step: 0,
            gradient,
            work: Work::default(),
            settings,
            parameters,
        })
    }

    /// One step on the rows `x` `[batch, d_in]`.
    ///
    /// # Errors
    /// Rows of another width, or a value or a loss that is not finite.
    pub fn step(&mut self, x: ArrayView2<f32>) -> Result<Step> {
        let cost = self.differentiate(x)?;
        let dead = self.dead().iter().filter(|dead| **dead).count();
        let firings = self.work.firings(self.settings.d_sae);
        for (silent, firings) in self.silent.iter_mut().zip(firings) {
            *silent = if firings > 0 { 0 } else { *silent + 1 };
        }
        project(&self.parameters, &mut self.gradient);
        let gradient = clip(&mut self.gradient, LARGEST_GRADIENT);
        let lr = self.settings.lr_at(self.step);
        self.adam
            .update(&mut self.parameters, &self.gradient, lr, self.step);
        self.parameters.unit_decoder();
        // Below 0 a threshold would let negative pre-activations through.
        for threshold in &mut self.parameters.threshold {
            *threshold = threshold.max(0.0);
        }
        self.step += 1;
        Ok(Step {
            cost,
            gradient,
            dead,
        })
    }

    /// The loss of the rows `x` `[n, d_in]` and its gradient by every parameter, as they are.
    ///
    /// # Errors
    /// As for [`Self::step`].
    pub fn gradient(&mut self, x: ArrayView2<f32>) -> Result<(Cost, &Parameters)> {
        let cost = self.differentiate(x)?;
        Ok((cost, &self.gradient))
    }

    /// Steps done.
    #[must_use]
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The weights, in the units of the training.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What the trained SAE is.
    #[must_use]
    pub fn inference(&self) -> Inference {
        self.rule.inference(&self.settings, &self.parameters)
    }

    /// Which features have not been active for [`Settings::dead_after`] steps.
    #[must_use]
    pub fn dead(&self) -> Vec<bool> {
        let bar = self.settings.dead_after;
        self.silent.iter().map(|silent| *silent > bar).collect()
    }

    /// Takes a feature for dead, or for alive.
    pub fn set_dead(&mut self, feature: usize, dead: bool) {
        if let Some(silent) = self.silent.get_mut(feature) {
            *silent = if dead {
                self.settings.dead_after + 1
            } else {
                0
            };
        }
    }

    fn differentiate(&mut self, x: ArrayView2<f32>) -> Result<Cost> {
        check(x)?;
        if x.ncols() != self.parameters.d_in {
            return Err(
                Fault::failed("training an SAE", format!("rows of width {}", x.ncols()))
                    .expected(format!("width {}", self.parameters.d_in)),
            );
        }
        let dead = self.dead();
        let moment = Moment {
            l0_coefficient: self.settings.l0_coefficient_at(self.step),
            dead: &dead,
        };
        self.work.differentiate(
            x,
            &self.parameters,
            self.rule.as_mut(),
            &self.settings,
            &moment,
            &mut self.gradient,
        )
    }
}

fn check(x: ArrayView2<f32>) -> Result<()> {
    const DOING: &str = "training an SAE";
    if x.nrows() == 0 {
        return Err(Fault::no_inputs(DOING, "no row").expected("activations"));
    }
    match x.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((row, column), value)) => Err(Fault::failed(
            DOING,
            format!("the activation {value} in row {row}, column {column}"),
        )
        .expected("finite activations")),
        None => Ok(()),
    }
}
