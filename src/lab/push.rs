//! What is added to the stream, where, how much of it and at which tokens.

use ndarray::{Array1, Array2, Array3};

use crate::detect::{Detector, Direction};
use crate::fault::{Fault, Result};
use crate::instrument::Manifest;
use crate::model::{Architecture, Layout, SiteName};
use crate::run::{Cells, Tensor};

/// In what a scale is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Scale 1 adds the direction as [`Direction`] has it: a vector of length 1 for a probe, one unit of activation for a
    /// feature.
    Raw,
    /// Scale 1 adds a vector as long as the activations at the site are: their median length over the prompt, so that the
    /// first token, at which many models park a huge activation, does not set the unit.
    Norm,
}

/// Which tokens are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Those of the prompt and of the response.
    All,
    /// Those of the response alone.
    Response,
}

/// What is added, where and how much of it.
#[derive(Debug, Clone)]
pub struct Push {
    /// Which direction.
    pub direction: Direction,
    /// Where it is added, each in full.
    pub sites: Vec<SiteName>,
    /// How often; 0 is the plain text, which is always written.
    pub scales: Vec<f32>,
    /// In what.
    pub unit: Unit,
    /// At which tokens.
    pub at: At,
}

/// A site at which something is added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Along {
    /// Which one.
    pub site: SiteName,
    /// Median length of its activations over the prompt.
    pub typical: f64,
    /// Length of the vector that scale 1 adds.
    pub unit: f64,
}

/// What runs are fed in which each prompt is pushed by a scale of its own.
pub(super) struct Pushed<'a> {
    push: &'a Push,
    manifest: &'a Manifest,
    scales: Vec<f32>,
    /// Of each site: what the direction's vector is multiplied by at scale 1.
    factors: Vec<f32>,
    response_start: usize,
}

impl<'a> Pushed<'a> {
    /// Pushes prompt `i` by `scales[i]`, in the units of `along`.
    ///
    /// # Errors
    /// Usage: a push that single precision does not hold.
    pub(super) fn new(
        push: &'a Push,
        manifest: &'a Manifest,
        scales: &[f32],
        along: &[Along],
        response_start: usize,
    ) -> Result<Self> {
        let length = push.direction.length();
        let factor = |at: usize| along.get(at).map_or(0.0, |along| along.unit / length);
        #[allow(
            clippy::cast_possible_truncation,
            reason = "activations are in single precision"
        )]
        let factors = (0..manifest.inputs.len()).map(|at| factor(at) as f32);
        let pushed = Self {
            push,
            manifest,
            scales: scales.to_vec(),
            factors: factors.collect(),
            response_start,
        };
        let holds = |scale: f32| {
            let mut factors = pushed.factors.iter();
            factors.all(|factor| pushed.vector(scale * factor).iter().all(|x| x.is_finite()))
        };
        match scales.iter().find(|scale| !holds(**scale)) {
            None => Ok(pushed),
            Some(scale) => {
                Err(wrong(&format!("the scale {scale}"))
                    .expected("a push that single precision holds"))
            }
        }
    }

    /// Values of the added inputs, masks and vectors.
    pub(super) fn values(&self, cells: &Cells) -> Vec<(String, Tensor)> {
        let (rows, tokens) = cells.positions.dim();
        let scale = |row: usize| {
            let prompt = cells.prompts.get(row).copied();
            prompt
                .and_then(|prompt| self.scales.get(prompt))
                .copied()
                .unwrap_or(0.0)
        };
        let is_pushed = |(row, token, _): (usize, usize, usize)| {
            let position = cells.positions.get((row, token)).copied().flatten();
            let counts = |at: usize| self.push.at == At::All || at >= self.response_start;
            // Where nothing is added the stream keeps its bits.
            scale(row) != 0.0 && position.is_some_and(counts)
        };
        let mask = Array3::from_shape_fn((rows, tokens, 1), is_pushed).into_dyn();
        let masks = self.manifest.masks.iter();
        let masks = masks.map(|(_, name)| (name.clone(), Tensor::Bool(mask.clone())));
        let inputs = self.manifest.inputs.iter().zip(&self.factors);
        let vectors = inputs.map(|((name, _), factor)| {
            let mut vectors = Array2::zeros((rows, self.push.direction.vector.len()));
            for (row, mut values) in vectors.rows_mut().into_iter().enumerate() {
                values.assign(&self.vector(scale(row) * factor));
            }
            (name.clone(), Tensor::F32(vectors.into_dyn()))
        });
        masks.chain(vectors).collect()
    }

    fn vector(&self, factor: f32) -> Array1<f32> {
        &self.push.direction.vector * factor
    }
}

fn wrong(found: &str) -> Fault {
    Fault::usage("steering the model", found)
}

impl Push {
    /// Refuses what has no meaning in the model.
    pub(super) fn check(&self, arch: &Architecture, detector: &Detector) -> Result<()> {
        if self.sites.is_empty() {
            return Err(wrong("no site").expected("at least one"));
        }
        if self.scales.is_empty() {
            return Err(wrong("no scale").expected("at least one, such as 4"));
        }
        if let Some(scale) = self.scales.iter().find(|scale| !scale.is_finite()) {
            return Err(wrong(&format!("the scale {scale}")).expected("a finite number"));
        }
        let stream = Layout::Token {
            width: arch.d_model,
        };
        let from = detector.card.site;
        let is_of_stream =
            |site: SiteName| arch.site(site).is_some_and(|site| site.layout == stream);
        if !is_of_stream(from) || self.direction.vector.len() != arch.d_model {
            return Err(wrong(&format!(
                "a direction of `{from}`, {} wide",
                self.direction.vector.len()
            ))
            .expected(format!(
                "one of the stream or of a branch that is added to it, {} wide",
                arch.d_model
            )));
        }
        if self.unit == Unit::Raw && self.direction.normalized {
            return Err(wrong("an SAE that normalises each activation first, in raw units")
            .expected("units of the activations' own length: its decoder writes into normalised activations")
            .hint("`--unit norm`"));
        }
        Ok(())
    }
}
