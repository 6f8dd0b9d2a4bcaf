//! Detectors that `candor patch` changes or reads.

use std::path::Path;

use ndarray::Array1;

use super::args::{InterventionArg, PatchArgs};
use crate::causal::Metric;
use crate::detect::sae::Normalization;
use crate::detect::{Detector, Loaded, Sae, card};
use crate::fault::{Fault, Result};
use crate::model::{Architecture, Model, SiteName};

/// A detector with its card, or an SAE of any format.
pub enum Opened {
    Detector(Box<Detector>),
    Bare(Box<Sae>, SiteName),
}

impl Opened {
    /// Opens a folder and checks that it fits the model.
    pub fn open(folder: &Path, model: &Model, arch: &Architecture) -> Result<Self> {
        if folder.join(card::FILE).is_file() {
            let detector = Detector::open(folder)?;
            let files = model.digests()?;
            detector.fits(arch, files.first().map_or("", |file| &file.sha256))?;
            return Ok(Self::Detector(Box::new(detector)));
        }
        let sae = Sae::open(folder)?;
        let doing = || format!("applying the SAE `{}` to the model", folder.display());
        let hook = sae.config().hook_name.as_deref().ok_or_else(|| {
            Fault::usage(doing(), "files that name no site")
                .expected("an SAE whose config names one")
                .hint("`candor detectors import --site` makes a detector of it")
        })?;
        let name: SiteName = hook.parse()?;
        let site = arch.site(name).ok_or_else(|| {
            Fault::usage(doing(), format!("no site `{name}` in the model"))
                .expected("the site that the SAE was trained at")
        })?;
        if site.layout.per_position() != Some(sae.d_in()) {
            return Err(
                Fault::usage(doing(), format!("an SAE of width {}", sae.d_in()))
                    .expected(format!("the width of `{name}`, {}", site.shape.join(" × "))),
            );
        }
        Ok(Self::Bare(Box::new(sae), name))
    }

    pub fn site(&self) -> SiteName {
        match self {
            Self::Detector(detector) => detector.card.site,
            Self::Bare(_, site) => *site,
        }
    }

    /// The SAE and the chosen features: those of the card where none are named.
    pub fn features(&self, args: &PatchArgs) -> Result<(&Sae, Vec<usize>)> {
        let (sae, of_card) = match self {
            Self::Detector(detector) => match &detector.weights {
                Loaded::Sae(sae) => (sae.as_ref(), detector.features()),
                Loaded::Probe(_) => {
                    return Err(Fault::usage(
                        format!("changing features of `{}`", detector.card.id),
                        "a probe, which has none",
                    )
                    .expected("an SAE")
                    .hint("the interventions `directional` and `add` take a probe"));
                }
            },
            Self::Bare(sae, _) => (sae.as_ref(), Vec::new()),
        };
        let features = if args.feature.is_empty() {
            of_card
        } else {
            args.feature.clone()
        };
        if features.is_empty() {
            return Err(Fault::usage("choosing SAE features", "none")
                .expected("at least one")
                .hint("name them with --feature"));
        }
        Ok((sae, features))
    }

    /// A probe's direction, of length 1, or what one unit of a feature adds to the reconstruction.
    pub fn direction(&self, args: &PatchArgs) -> Result<Array1<f32>> {
        let doing = "taking the direction of a detector";
        let feature = match args.feature.as_slice() {
            [] => None,
            [one] => Some(*one),
            several => {
                return Err(
                    Fault::usage(doing, format!("{} features", several.len())).expected("one")
                );
            }
        };
        let (vector, normalized) = match self {
            Self::Detector(detector) => {
                let direction = detector.direction(feature)?;
                (direction.vector, direction.normalized)
            }
            Self::Bare(sae, _) if sae.transcodes() => return Err(sae.no_reconstruction(doing)),
            Self::Bare(sae, _) => {
                let feature = feature.ok_or_else(|| {
                    Fault::usage(doing, "no feature")
                        .expected("one")
                        .hint("name it with --feature")
                })?;
                let vector = sae.feature_direction(feature).ok_or_else(|| {
                    Fault::usage(doing, format!("feature {feature}"))
                        .expected(format!("an index below d_sae = {}", sae.d_sae()))
                })?;
                (vector, sae.config().normalization != Normalization::None)
            }
        };
        if normalized && args.intervention == InterventionArg::Add {
            return Err(Fault::usage(
                doing,
                "an SAE that normalises each activation: a unit of its features has no length of its own",
            )
            .expected("a probe, or an SAE that does not")
            .hint("`feature-set` and `feature-scale` change features at the scale of each activation"));
        }
        Ok(vector)
    }

    /// Its score as a metric.
    pub fn metric(&self, args: &PatchArgs) -> Result<Metric<'_>> {
        let feature = match args.feature.as_slice() {
            [] => None,
            [one] => Some(*one),
            several => {
                return Err(Fault::usage(
                    "reading a detector",
                    format!("{} features", several.len()),
                )
                .expected("one, whose activation is the score"));
            }
        };
        match self {
            Self::Detector(detector) => {
                let is_probe = matches!(detector.weights, Loaded::Probe(_));
                Metric::of_detector(detector, feature.filter(|_| !is_probe))
            }
            Self::Bare(sae, site) => {
                let (_, features) = self.features(args)?;
                Metric::of_feature(sae, *site, features.first().copied().unwrap_or_default())
            }
        }
    }
}
