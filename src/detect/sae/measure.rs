//! What an SAE does on real activations, to hold against what its card declares.
#![allow(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]

use ndarray::{Array1, ArrayView1, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::Sae;
use crate::fault::{Fault, Result};
use crate::model::{Architecture, SiteName};

/// Feature activations that are held at once.
const ACTS_AT_ONCE: usize = 1 << 22;

/// Measured quality of an SAE.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Mean number of features that are not 0 in a row.
    pub l0: f64,
    /// `1 − Σ‖y − decoded‖² / Σ‖y − ȳ‖²`, with `y` the activation that is reconstructed; below 0 if its mean would be the better
    /// reconstruction.
    pub explained_variance: f64,
    /// Mean cosine between `y` and its reconstruction.
    pub cosine: f64,
    /// Mean of `‖y − decoded‖ / ‖y‖` over rows that are not 0.
    pub relative_error: f64,
    /// Features that are 0 in every row.
    pub silent_features: usize,
    /// Rows.
    pub n: usize,
}

/// A measurement in the making: rows are added batch by batch, and what is held does not grow with them.
#[derive(Debug)]
pub struct Measuring<'a> {
    sae: &'a Sae,
    active: usize,
    fired: Vec<bool>,
    residual: f64,
    cosine: f64,
    relative: f64,
    /// Rows that are not 0.
    nonzero: usize,
    moments: Moments,
}

/// Number of rows, mean of each column, and the sum of squared deviations from it.
#[derive(Debug, Default)]
struct Moments {
    n: usize,
    mean: Array1<f64>,
    squares: f64,
}

impl Sae {
    /// Measures an SAE on `x` `[n, d_in]`, which should leave special tokens and padding out.
    ///
    /// # Errors
    /// A transcoder, no rows, rows that are all equal, or as for [`Sae::encode`].
    pub fn measure(&self, x: ArrayView2<f32>) -> Result<Measured> {
        if self.transcodes() {
            return Err(self.no_reconstruction("measuring an SAE"));
        }
        let mut measuring = Measuring::new(self);
        measuring.add(x, x)?;
        measuring.finish()
    }
}

impl Sae {
    /// The site whose activation is reconstructed, of an SAE that reads `site`: that site, but for a transcoder.
    ///
    /// # Errors
    /// A transcoder that does not say which.
    pub fn reconstructs(&self, site: SiteName) -> Result<SiteName> {
        if !self.transcodes() {
            return Ok(site);
        }
        let doing = "finding the activation that a transcoder reconstructs";
        match self.config().hook_name_out.as_deref() {
            Some(hook) => hook.parse(),
            None => Err(Fault::usage(doing, "no word on it in its files")
                .expected("the site that it writes")
                .hint("`--site-out` of `candor detectors import` or `check` says it")),
        }
    }
}

impl Sae {
    /// Whether a model has what is read at `site` and what is reconstructed at `site_out`, each in its width.
    ///
    /// # Errors
    /// It has no such site, or one of another width.
    pub fn fits_sites(
        &self,
        arch: &Architecture,
        site: SiteName,
        site_out: SiteName,
        doing: &str,
    ) -> Result<()> {
        for (site, width) in [(site, self.d_in()), (site_out, self.d_out())] {
            let found = match arch.site(site).map(|site| site.layout.per_position()) {
                Some(Some(there)) if there == width => continue,
                Some(Some(there)) => format!("activations of width {there} at `{site}`"),
                Some(None) => format!("attention weights at `{site}`"),
                None => {
                    let why = arch.why_absent(site);
                    format!(
                        "no site `{site}`: {}",
                        why.unwrap_or("the model has no such site")
                    )
                }
            };
            return Err(Fault::usage(doing, found)
                .expected(format!("a site of width {width}"))
                .hint("`candor inspect MODEL` lists the sites of a model"));
        }
        Ok(())
    }
}

impl<'a> Measuring<'a> {
    /// Nothing is measured yet.
    #[must_use]
    pub fn new(sae: &'a Sae) -> Self {
        Self {
            sae,
            active: 0,
            fired: vec![false; sae.d_sae()],
            residual: 0.0,
            cosine: 0.0,
            relative: 0.0,
            nonzero: 0,
            moments: Moments::default(),
        }
    }

    /// Adds activations `x` `[n, d_in]` and what is to be reconstructed from them, `y` `[n, d_out]`: `x` itself but for transcoders.
    ///
    /// # Errors
    /// Rows of another width, or as for [`Sae::encode`].
    pub fn add(&mut self, x: ArrayView2<f32>, y: ArrayView2<f32>) -> Result<()> {
        if x.nrows() != y.nrows() {
            return Err(Fault::failed(
                "measuring an SAE",
                format!("{} activations and {} targets", x.nrows(), y.nrows()),
            ));
        }
        let rows = (ACTS_AT_ONCE / self.sae.d_sae().max(1)).max(1);
        for (x, y) in x
            .axis_chunks_iter(Axis(0), rows)
            .zip(y.axis_chunks_iter(Axis(0), rows))
        {
            let acts = self.sae.encode(x)?;
            let decoded = self.sae.decode(acts.view(), x)?;
            self.observe(acts.view(), decoded.view(), y)?;
        }
        Ok(())
    }

    /// Adds rows that are encoded already: their feature activations `[n, d_sae]`, reconstructions and targets `[n, d_out]`.
    ///
    /// # Errors
    /// Targets of another shape than the reconstructions.
    pub fn observe(
        &mut self,
        acts: ArrayView2<f32>,
        decoded: ArrayView2<f32>,
        y: ArrayView2<f32>,
    ) -> Result<()> {
        if decoded.dim() != y.dim() {
            return Err(Fault::usage(
                "measuring an SAE",
                format!("a reconstruction of width {}", decoded.ncols()),
            )
            .expected(format!(
                "width {}, of the activation that it stands for",
                y.ncols()
            )));
        }
        for row in acts.rows() {
            for (act, fired) in row.iter().zip(&mut self.fired) {
                if *act != 0.0 {
                    self.active += 1;
                    *fired = true;
                }
            }
        }
        for (y, decoded) in y.rows().into_iter().zip(decoded.rows()) {
            let error = &y - &decoded;
            let (error, length) = (squared(error.view()), squared(y));
            self.residual += error;
            if length > 0.0 {
                self.nonzero += 1;
                self.relative += (error / length).sqrt();
                let norms = (length * squared(decoded)).sqrt();
                let dot: f64 = y
                    .iter()
                    .zip(&decoded)
                    .map(|(a, b)| f64::from(*a) * f64::from(*b))
                    .sum();
                self.cosine += if norms > 0.0 { dot / norms } else { 0.0 };
            }
        }
        self.moments.add(y);
        Ok(())
    }

    /// What was measured.
    ///
    /// # Errors
    /// No rows, or rows that are all equal.
    pub fn finish(&self) -> Result<Measured> {
        let Moments { n, squares, .. } = self.moments;
        if n == 0 || squares <= 0.0 {
            return Err(
                Fault::failed("measuring an SAE", format!("{n} rows without variance"))
                    .expected("activations of different tokens"),
            );
        }
        let nonzero = self.nonzero.max(1) as f64;
        Ok(Measured {
            l0: self.active as f64 / n as f64,
            explained_variance: 1.0 - self.residual / squares,
            cosine: self.cosine / nonzero,
            relative_error: self.relative / nonzero,
            silent_features: self.fired.iter().filter(|fired| !**fired).count(),
            n,
        })
    }
}

impl Moments {
    /// Adds rows by the pairwise update of Chan, Golub & LeVeque 1983.
    fn add(&mut self, y: ArrayView2<f32>) {
        if y.nrows() == 0 {
            return;
        }
        let (before, added) = (self.n as f64, y.nrows() as f64);
        let mut mean = Array1::<f64>::zeros(y.ncols());
        for row in y.rows() {
            mean.zip_mut_with(&row, |sum, value| *sum += f64::from(*value));
        }
        mean /= added;
        for row in y.rows() {
            let deviations = row.iter().zip(&mean);
            self.squares += deviations
                .map(|(value, mean)| (f64::from(*value) - mean).powi(2))
                .sum::<f64>();
        }
        if self.n == 0 {
            self.mean = mean;
        } else {
            let shift = &mean - &self.mean;
            self.squares += shift.dot(&shift) * before * added / (before + added);
            self.mean.scaled_add(added / (before + added), &shift);
        }
        self.n += y.nrows();
    }
}

fn squared(values: ArrayView1<f32>) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum()
}
