//! What is done to a run: every kind of intervention, at one place.

mod direction;
mod features;
mod mean;
mod resample;

use ndarray::{Array1, Array2, ArrayView1, Axis};

use super::pair::Pair;
use super::row::{Runs, To};
use crate::fault::{Fault, Result};
use crate::model::SiteName;

pub use direction::Directional;
pub use features::{FeatureEdit, Features};
pub use mean::{Mean, Over};
pub use resample::Resample;

/// What takes the place of an activation.
pub enum Intervention<'a> {
    /// What the pair's other run has there (activation patching).
    Patch,
    /// 0 (zero ablation).
    Zero,
    /// The mean over control prompts (mean ablation).
    Mean(Mean),
    /// What another prompt has there (resample ablation).
    Resample(Resample<'a>),
    /// The same with its component along a direction set to a target (directional ablation).
    Directional(Directional),
    /// The same with a vector `[width]` added to it (steering).
    Add(Array1<f32>),
    /// The same with features of an SAE changed, and what the SAE does not explain of it kept.
    Features(Features<'a>),
}

/// Activations that are given to one run: `[seq, width]` of each site.
pub struct Donor(Vec<(SiteName, Array2<f32>)>);

impl Donor {
    /// Activations in the order of `sites`.
    #[must_use]
    pub fn new(sites: &[SiteName], activations: &[Array2<f32>]) -> Self {
        Self(
            sites
                .iter()
                .copied()
                .zip(activations.iter().cloned())
                .collect(),
        )
    }

    /// What the donor has at a place.
    ///
    /// # Errors
    /// The donor was not read there.
    pub fn at(&self, site: SiteName, position: usize) -> Result<ArrayView1<'_, f32>> {
        let values = self.0.iter().find(|(other, _)| *other == site);
        values
            .and_then(|(_, values)| values.axis_iter(Axis(0)).nth(position))
            .ok_or_else(|| {
                Fault::failed(
                    format!("taking what another run has at `{site}`"),
                    format!("nothing at position {position}"),
                )
            })
    }
}

impl Intervention<'_> {
    /// Its name in files.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Zero => "zero",
            Self::Mean(_) => "mean",
            Self::Resample(_) => "resample",
            Self::Directional(_) => "directional",
            Self::Add(_) => "add",
            Self::Features(features) => features.edit.name(),
        }
    }

    /// The run whose activations are given to the `index`-th pair's receiving run; `other` is the pair's other run. `None`
    /// where no run gives any.
    ///
    /// # Errors
    /// No control prompt is long enough, or a run fails.
    pub fn donor(
        &self,
        runs: &dyn Runs,
        index: usize,
        receiving: &[i64],
        sites: &[SiteName],
        other: &[Array2<f32>],
    ) -> Result<Option<Donor>> {
        match self {
            Self::Patch => Ok(Some(Donor::new(sites, other))),
            Self::Resample(resample) => {
                let source = resample.source(index, receiving)?;
                let read = runs.plain_activations(&[source], sites)?;
                Ok(read.first().map(|read| Donor::new(sites, read)))
            }
            _ => Ok(None),
        }
    }

    /// What is put at one position of a site `[width]`, or at one of its heads: then `head` is its columns.
    ///
    /// # Errors
    /// The donor or the control prompts have nothing there, or the intervention is none on single heads.
    pub fn to<'s>(
        &'s self,
        site: SiteName,
        position: usize,
        head: Option<std::ops::Range<usize>>,
        width: usize,
        donor: Option<&Donor>,
    ) -> Result<To<'s>> {
        let columns = head.clone().unwrap_or(0..width);
        let given = |x: ArrayView1<f32>| {
            // Attention weights are as wide as their prompt is long.
            if x.len() != width {
                return Err(Fault::usage(
                    format!("changing `{site}`"),
                    format!("{} values, from a prompt of another length", x.len()),
                )
                .expected(format!("{width}")));
            }
            let x = x.slice_move(ndarray::s![columns.clone()]);
            Ok(To::Values(x.to_owned().insert_axis(Axis(0))))
        };
        match self {
            Self::Patch | Self::Resample(_) => match donor {
                Some(donor) => given(donor.at(site, position)?),
                None => Err(Fault::failed("patching", "no run to take activations from")),
            },
            Self::Zero => Ok(To::Values(Array2::zeros((1, columns.len())))),
            Self::Mean(mean) => given(mean.at(site, position)?),
            _ if head.is_some() => Err(Fault::usage(
                format!("patching `{site}` head by head"),
                format!(
                    "the intervention `{}`, which is one on whole activations",
                    self.name()
                ),
            )
            .expected("patch, zero, mean or resample")),
            Self::Directional(directional) => Ok(directional.to(site)),
            Self::Add(vector) => Ok(To::Add(vector.clone())),
            Self::Features(features) => Ok(features.to()),
        }
    }

    /// Whether the intervention can be made on what a run has at `site`, `[seq, width]`.
    ///
    /// # Errors
    /// A direction or an SAE of another width or site, or an activation that the SAE cannot encode.
    pub fn check(&self, site: SiteName, there: &Array2<f32>) -> Result<()> {
        let vector = match self {
            Self::Directional(directional) => &directional.direction,
            Self::Add(vector) => vector,
            Self::Features(features) => return features.check(site, there),
            _ => return Ok(()),
        };
        if vector.len() == there.ncols() {
            return Ok(());
        }
        Err(Fault::usage(
            format!("changing `{site}` along a direction"),
            format!("a direction of {} values", vector.len()),
        )
        .expected(format!("{}, the width of the site", there.ncols())))
    }
}

/// The prompt that receives an intervention and the one that stands against it.
pub(super) fn sides(pair: &Pair, mode: crate::evidence::PatchMode) -> (&[i64], &[i64]) {
    match mode {
        crate::evidence::PatchMode::Denoising => (&pair.corrupt.ids, &pair.clean.ids),
        crate::evidence::PatchMode::Noising => (&pair.clean.ids, &pair.corrupt.ids),
    }
}
