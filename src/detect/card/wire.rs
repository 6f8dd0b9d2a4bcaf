//! `detector.yaml`, schema `candor/detector/v1`. Only this module knows how the card is spelled.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::problems::Problems;
use super::{Card, Interval, Source, TrainedOn};
use crate::detect::calibration::{FalsePositives, Flags};
use crate::detect::features::Sign;
use crate::fault::{Fault, Result};

const SCHEMA: &str = "candor/detector/v1";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CardV1 {
    pub(super) schema: String,
    pub(super) id: String,
    pub(super) role: String,
    pub(super) kind: String,
    pub(super) site: String,
    pub(super) d_in: usize,
    pub(super) weights: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) weights_sha256: BTreeMap<String, String>,
    pub(super) span: String,
    pub(super) aggregation: String,
    pub(super) positive: String,
    pub(super) model: ModelV1,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) calibration: Option<CalibrationV1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trained_on: Option<TrainedOnV1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) declares: Option<DeclaresV1>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) features: Vec<FeatureV1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) baselines: Option<BaselinesV1>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) limits: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<Source>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelV1 {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CalibrationV1 {
    pub(super) threshold: f64,
    #[serde(default)]
    pub(super) flags: FlagsV1,
    pub(super) target_false_positive_rate: f64,
    pub(super) control: FalsePositivesV1,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) matched_honest: Option<FalsePositivesV1>,
}

/// A card that does not say flags what lies above.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FlagsV1 {
    #[default]
    Above,
    Below,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FalsePositivesV1 {
    pub(super) corpus_digest: String,
    pub(super) n: usize,
    pub(super) false_positive_rate: f64,
    pub(super) interval: [f64; 2],
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrainedOnV1 {
    pub(super) suite: String,
    pub(super) corpus_digest: String,
    pub(super) n: usize,
    pub(super) groups: usize,
    pub(super) seed: u64,
    pub(super) command: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclaresV1 {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) auroc: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) auroc_interval: Option<[f64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) l0: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) explained_variance: Option<f64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FeatureV1 {
    pub(super) index: usize,
    pub(super) auroc: f64,
    pub(super) auroc_interval: [f64; 2],
    pub(super) p_adjusted: f64,
    pub(super) sign: i8,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_field_names, reason = "the names are the format's")]
pub(super) struct BaselinesV1 {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bag_of_words_auroc: Option<f64>,
    pub(super) length_auroc: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) layer0_auroc: Option<f64>,
    pub(super) permutation_auroc: f64,
}

/// Reads a card. `path` is only named in messages.
///
/// # Errors
/// Not YAML, an unknown or a missing field (with line and column), or values that make no sense: all of those at once.
pub fn read(text: &str, path: &Path) -> Result<Card> {
    let doing = || format!("reading the detector's card `{}`", path.display());
    let wire: CardV1 = serde_yaml::from_str(text).map_err(|error| {
        Fault::usage(doing(), error.to_string()).expected(format!("a card of schema `{SCHEMA}`"))
    })?;
    if wire.schema != SCHEMA {
        return Err(
            Fault::usage(doing(), format!("the schema `{}`", wire.schema))
                .expected(format!("`{SCHEMA}`"))
                .hint("the card was written by another version of Candor, or is not a detector's"),
        );
    }
    let mut problems = Problems::default();
    let card = problems.card(wire);
    match card {
        Some(card) if problems.0.is_empty() => Ok(card),
        _ => Err(Fault::usage(doing(), problems.0.join("\n            "))),
    }
}

/// Writes a card as YAML.
///
/// # Errors
/// The YAML library's own failures only.
pub fn write(card: &Card) -> Result<String> {
    serde_yaml::to_string(&CardV1::from(card)).map_err(|error| {
        Fault::failed(
            format!("writing the card of detector `{}`", card.id),
            error.to_string(),
        )
    })
}

impl From<TrainedOnV1> for TrainedOn {
    fn from(wire: TrainedOnV1) -> Self {
        Self {
            suite: wire.suite,
            corpus_digest: wire.corpus_digest,
            n: wire.n,
            groups: wire.groups,
            seed: wire.seed,
            command: wire.command,
        }
    }
}

impl From<FlagsV1> for Flags {
    fn from(wire: FlagsV1) -> Self {
        match wire {
            FlagsV1::Above => Self::Above,
            FlagsV1::Below => Self::Below,
        }
    }
}

impl From<Flags> for FlagsV1 {
    fn from(flags: Flags) -> Self {
        match flags {
            Flags::Above => Self::Above,
            Flags::Below => Self::Below,
        }
    }
}

impl From<Interval> for [f64; 2] {
    fn from(interval: Interval) -> Self {
        [interval.low, interval.high]
    }
}

impl From<&FalsePositives> for FalsePositivesV1 {
    fn from(measured: &FalsePositives) -> Self {
        Self {
            corpus_digest: measured.corpus_digest.clone(),
            n: measured.n,
            false_positive_rate: measured.rate,
            interval: measured.interval.into(),
        }
    }
}

impl From<&Card> for CardV1 {
    fn from(card: &Card) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            id: card.id.clone(),
            role: card.role.clone(),
            kind: card.kind.to_string(),
            site: match &card.module {
                Some(module) => module.text.clone(),
                None => card.site.to_string(),
            },
            d_in: card.d_in,
            weights: card.weights.clone(),
            weights_sha256: card.weights_sha256.clone(),
            span: card.span.to_string(),
            aggregation: card.aggregation.to_string(),
            positive: card.positive.clone(),
            model: ModelV1 {
                name: card.model.name.clone(),
                sha256: card.model.sha256.clone(),
            },
            calibration: card.calibration.as_ref().map(|calibration| CalibrationV1 {
                threshold: calibration.threshold,
                flags: calibration.flags.into(),
                target_false_positive_rate: calibration.target,
                control: (&calibration.control).into(),
                matched_honest: calibration.matched_honest.as_ref().map(Into::into),
            }),
            trained_on: card.trained_on.as_ref().map(|trained_on| TrainedOnV1 {
                suite: trained_on.suite.clone(),
                corpus_digest: trained_on.corpus_digest.clone(),
                n: trained_on.n,
                groups: trained_on.groups,
                seed: trained_on.seed,
                command: trained_on.command.clone(),
            }),
            declares: card.declares.map(|declares| DeclaresV1 {
                auroc: declares.auroc,
                auroc_interval: declares.auroc_interval.map(Into::into),
                l0: declares.l0,
                explained_variance: declares.explained_variance,
            }),
            features: card
                .features
                .iter()
                .map(|feature| FeatureV1 {
                    index: feature.index,
                    auroc: feature.auroc,
                    auroc_interval: feature.auroc_interval.into(),
                    p_adjusted: feature.p_adjusted,
                    sign: match feature.sign {
                        Sign::Positive => 1,
                        Sign::Negative => -1,
                    },
                })
                .collect(),
            baselines: card.baselines.map(|baselines| BaselinesV1 {
                bag_of_words_auroc: baselines.bag_of_words_auroc,
                length_auroc: baselines.length_auroc,
                layer0_auroc: baselines.layer0_auroc,
                permutation_auroc: baselines.permutation_auroc,
            }),
            limits: card.limits.clone(),
            source: card.source.clone(),
        }
    }
}
