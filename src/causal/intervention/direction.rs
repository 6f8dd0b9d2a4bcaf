//! Directional ablation: the component along a direction is set to what it is on control prompts (Arditi et al., arXiv
//! 2406.11717, set it to 0).

use ndarray::Array1;

use super::super::row::{Runs, To};
use super::mean::{Mean, Over};
use crate::fault::{Fault, Result};
use crate::model::SiteName;

/// A direction and what the component along it becomes at each site.
#[derive(Debug, Clone)]
pub struct Directional {
    /// `[width]`, of length 1.
    pub(super) direction: Array1<f32>,
    /// The component afterwards; 0 at sites that are not named.
    pub targets: Vec<(SiteName, f32)>,
}

impl Directional {
    /// Removes the component altogether.
    ///
    /// # Errors
    /// The direction has no length.
    pub fn removing(direction: &Array1<f32>) -> Result<Self> {
        let length = direction.dot(direction).sqrt();
        if !(length > 0.0 && length.is_finite()) {
            return Err(Fault::usage(
                "ablating a direction",
                format!("a vector of length {length}"),
            )
            .expected("one with a finite length above 0"));
        }
        Ok(Self {
            direction: direction / length,
            targets: Vec::new(),
        })
    }

    /// Sets the component to its mean over all tokens of control prompts, at each site to that site's own.
    ///
    /// # Errors
    /// As [`Directional::removing`], a direction of another width than a site, or a failed run.
    pub fn to_mean(
        direction: &Array1<f32>,
        runs: &dyn Runs,
        control: &[Vec<i64>],
        sites: &[SiteName],
    ) -> Result<Self> {
        let mut made = Self::removing(direction)?;
        let mean = Mean::over(runs, control, sites, Over::Tokens)?;
        for &site in sites {
            let mean = mean.at(site, 0)?;
            if mean.len() != direction.len() {
                return Err(Fault::usage(
                    format!("changing `{site}` along a direction"),
                    format!("a direction of {} values", direction.len()),
                )
                .expected(format!("{}, the width of the site", mean.len())));
            }
            made.targets.push((site, mean.dot(&made.direction)));
        }
        Ok(made)
    }

    pub(super) fn to(&self, site: SiteName) -> To<'_> {
        let target = self.targets.iter().find(|(other, _)| *other == site);
        To::Project {
            direction: self.direction.clone(),
            target: target.map_or(0.0, |(_, target)| *target),
        }
    }
}
