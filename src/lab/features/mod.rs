//! `candor detectors page`: what chosen features of an SAE react to, what they write, and on which label they are active.

mod contexts;
mod file;
mod lift;
mod logits;
mod page;
mod survey;
mod texts;

use std::path::Path;

use ndarray::Array1;

pub use self::file::{Context, FeaturePage, FeatureProfile, LabelLift, LogitEffect, Logits, Shown};
pub use self::page::feature_page_html;

use self::file::SCHEMA;
use self::logits::direct_effects;
use self::survey::{Reader, Spots, Survey};
use self::texts::Text;
use super::find::{Named, site_of};
use super::progress::Progress;
use super::subject::Subject;
use crate::detect::{Histogram, Sae, Span, best_features, nearest_features};
use crate::fault::{Fault, Result};
use crate::run::Runtime;
use crate::tokens::{Encoded, Suite};

/// Other features that stand beside each.
const NEIGHBOURS: usize = 8;

/// Which features a page is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// These.
    These(Vec<usize>),
    /// Those that separate the labels best; without labels those with the largest sum of activations.
    Top(usize),
}

/// What a page is made of.
pub struct PageRequest<'a> {
    /// Which features.
    pub features: Chosen,
    /// Suites whose items are read, with their labels.
    pub suites: &'a [Suite],
    /// More texts, without labels.
    pub prompts: Vec<Encoded>,
    /// Tokens that count.
    pub span: Span,
    /// Strongest contexts of each feature.
    pub contexts: usize,
    /// Bootstrap resamples, and their seed.
    pub resamples: usize,
    /// Seeds the bootstrap.
    pub seed: u64,
    /// The command that makes the page again.
    pub command: String,
}

/// Reads all texts and describes the features.
///
/// # Errors
/// The SAE cannot be read or does not fit, a feature that it lacks, no text with a token of the span, or a run fails.
pub fn feature_page(
    runtime: &Runtime,
    subject: &Subject,
    folder: &Path,
    request: PageRequest<'_>,
    progress: &dyn Progress,
) -> Result<FeaturePage> {
    let sae = Sae::open(folder)?;
    let site = site_of(&sae, folder)?;
    if let Chosen::These(features) = &request.features {
        check(features, sae.d_sae())?;
    }
    let texts = Text::all(subject, request.suites, request.prompts, request.span)?;
    let reader = Reader::open(runtime, subject, &sae, site, &texts)?;
    let mut survey = Survey::new(&sae);
    let mut spots = match &request.features {
        Chosen::These(features) => Some(Spots::new(features)),
        Chosen::Top(_) => None,
    };
    progress.stage("reading activations", texts.len());
    reader.each(progress, &mut |text, seen| {
        if let Some(spots) = &mut spots {
            spots.see(text, seen);
        }
        survey.see(seen)
    })?;
    let spots = match (spots, &request.features) {
        (None, Chosen::Top(most)) => {
            let mut spots = Spots::new(&top(&survey, &texts, *most)?);
            progress.stage("reading the chosen features", texts.len());
            reader.each(progress, &mut |text, seen| {
                spots.see(text, seen);
                Ok(())
            })?;
            spots
        }
        (spots, _) => spots.unwrap_or_default(),
    };
    let features = spots.features();
    progress.stage("running the unembedding", features.len());
    let writes: Vec<Option<Array1<f32>>> = spots
        .each()
        .map(|(feature, spots)| Some(sae.feature_direction(feature)? * spots.typical()))
        .collect();
    let (effects, why) = direct_effects(&reader, &survey, subject, &writes)?;
    let nearest = nearest_features(&sae, &features, NEIGHBOURS);
    let bootstrap = (request.resamples, request.seed);
    let profiles = spots
        .each()
        .zip(effects)
        .zip(nearest)
        .map(|(((index, spots), logits), nearest)| {
            let acts: Vec<f32> = spots.all().iter().map(|spot| spot.act).collect();
            Ok(FeatureProfile {
                index,
                active_tokens: acts.len(),
                density: survey.share(acts.len()),
                mean: spots.mean(),
                largest: acts.iter().copied().fold(0.0, f32::max),
                histogram: Histogram::of(&acts),
                lift: lift::of(&survey.acts, index, &texts, bootstrap)?,
                logits,
                nearest,
                strongest: contexts::strongest(spots, &texts, request.contexts),
                weaker: contexts::weaker(spots, &texts, request.contexts),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(FeaturePage {
        schema: SCHEMA,
        candor: env!("CARGO_PKG_VERSION"),
        model: Named {
            name: subject.name.clone(),
            sha256: subject.sha256().to_owned(),
        },
        dictionary: folder.display().to_string(),
        architecture: sae.config().architecture.to_owned(),
        site: site.to_string(),
        d_in: sae.d_in(),
        d_sae: sae.d_sae(),
        span: request.span.to_string(),
        suites: request
            .suites
            .iter()
            .map(|suite| Named {
                name: suite.id.clone(),
                sha256: suite.digest.clone(),
            })
            .collect(),
        texts: texts.len(),
        tokens: survey.tokens,
        l0: survey.l0(),
        silent: survey.silent(),
        logits_absent: why,
        command: request.command,
        features: profiles,
    })
}

fn check(features: &[usize], d_sae: usize) -> Result<()> {
    const DOING: &str = "choosing SAE features";
    if let Some(feature) = features.iter().find(|feature| **feature >= d_sae) {
        return Err(Fault::usage(DOING, format!("feature {feature}"))
            .expected(format!("an index below d_sae = {d_sae}")));
    }
    if features.is_empty() {
        return Err(Fault::usage(DOING, "no feature").expected("at least one"));
    }
    Ok(())
}

/// The features that separate the labels best, or without labels those that write most.
fn top(survey: &Survey, texts: &[Text], most: usize) -> Result<Vec<usize>> {
    let (places, labels): (Vec<usize>, Vec<bool>) = texts
        .iter()
        .enumerate()
        .filter_map(|(place, text)| Some((place, text.label?)))
        .unzip();
    let both = labels.contains(&true) && labels.contains(&false);
    let chosen = if both {
        let groups: Vec<&str> = places
            .iter()
            .map(|&place| texts[place].group.as_str())
            .collect();
        best_features(&survey.acts.of(&places), &labels, &groups, most)?
    } else {
        survey.largest(most)
    };
    if chosen.is_empty() {
        return Err(Fault::failed(
            "choosing SAE features",
            "no feature that is active on the texts",
        )
        .expected("an SAE that was trained on this model's activations"));
    }
    Ok(chosen)
}
