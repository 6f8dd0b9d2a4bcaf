//! `detector.yaml`, schema `candor/detector/v1`. Only this module knows how the card is spelled.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Baselines, Card, Declares, DetectorKind, Interval, MadeOn, TrainedOn};
use crate::detect::calibration::{Calibration, FalsePositives};
use crate::detect::features::{SelectedFeature, Sign};
use crate::fault::{Fault, Result};

const SCHEMA: &str = "candor/detector/v1";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CardV1 {
    schema: String,
    id: String,
    role: String,
    kind: String,
    site: String,
    d_in: usize,
    weights: String,
    span: String,
    aggregation: String,
    positive: String,
    model: ModelV1,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calibration: Option<CalibrationV1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trained_on: Option<TrainedOnV1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    declares: Option<DeclaresV1>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    features: Vec<FeatureV1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    baselines: Option<BaselinesV1>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelV1 {
    name: String,
    sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CalibrationV1 {
    threshold: f64,
    target_false_positive_rate: f64,
    control: FalsePositivesV1,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    matched_honest: Option<FalsePositivesV1>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FalsePositivesV1 {
    corpus_digest: String,
    n: usize,
    false_positive_rate: f64,
    interval: [f64; 2],
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrainedOnV1 {
    suite: String,
    corpus_digest: String,
    n: usize,
    groups: usize,
    seed: u64,
    command: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeclaresV1 {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auroc: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auroc_interval: Option<[f64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    l0: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    explained_variance: Option<f64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeatureV1 {
    index: usize,
    auroc: f64,
    auroc_interval: [f64; 2],
    p_adjusted: f64,
    sign: i8,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_field_names, reason = "the names are the format's")]
struct BaselinesV1 {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bag_of_words_auroc: Option<f64>,
    length_auroc: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layer0_auroc: Option<f64>,
    permutation_auroc: f64,
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

/// Everything wrong with the values of a card.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn say(&mut self, field: &str, found: impl std::fmt::Display, expected: &str) {
        self.0
            .push(format!("`{field}` is {found}, expected {expected}"));
    }

    fn parsed<T: std::str::FromStr<Err = Fault>>(&mut self, field: &str, text: &str) -> Option<T> {
        self.ok(field, text.parse())
    }

    fn ok<T>(&mut self, field: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(fault) => {
                self.say(field, fault.found, &fault.expected);
                None
            }
        }
    }

    fn text(&mut self, field: &str, text: &str) {
        if text.trim().is_empty() {
            self.say(field, "empty", "some text");
        }
    }

    fn digest(&mut self, field: &str, digest: &str) {
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if digest.len() != 64 || !digest.bytes().all(hexadecimal) {
            self.say(
                field,
                format!("`{digest}`"),
                "a SHA-256 of 64 lower-case hexadecimal digits",
            );
        }
    }

    fn finite(&mut self, field: &str, value: f64) {
        if !value.is_finite() {
            self.say(field, value, "a finite number");
        }
    }

    fn rate(&mut self, field: &str, value: f64) {
        if !(0.0..=1.0).contains(&value) {
            self.say(field, value, "a number from 0 to 1");
        }
    }

    fn interval(&mut self, field: &str, [low, high]: [f64; 2]) -> Interval {
        if !(0.0 <= low && low <= high && high <= 1.0) {
            self.say(
                field,
                format!("[{low}, {high}]"),
                "[low, high] with 0 ≤ low ≤ high ≤ 1",
            );
        }
        Interval { low, high }
    }

    fn card(&mut self, wire: CardV1) -> Option<Card> {
        self.text("id", &wire.id);
        self.text("role", &wire.role);
        self.text("positive", &wire.positive);
        let plain = Path::new(&wire.weights).file_name() == Some(wire.weights.as_ref());
        if !plain || wire.weights.contains(['/', '\\', '\0']) {
            self.say(
                "weights",
                format!("`{}`", wire.weights),
                "the plain name of a file in the detector's folder",
            );
        }
        if wire.d_in == 0 {
            self.say("d_in", 0, "the width of the activation, at least 1");
        }
        self.text("model.name", &wire.model.name);
        self.digest("model.sha256", &wire.model.sha256);
        let kind = self.ok("kind", DetectorKind::named(&wire.kind));
        let site = self.parsed("site", &wire.site);
        let span = self.parsed("span", &wire.span);
        let aggregation = self.parsed("aggregation", &wire.aggregation);
        let features = self.features(kind, wire.features);
        let calibration = wire
            .calibration
            .map(|calibration| self.calibration(calibration));
        let trained_on = wire.trained_on.map(|trained_on| {
            self.digest("trained_on.corpus_digest", &trained_on.corpus_digest);
            TrainedOn::from(trained_on)
        });
        let declares = wire.declares.map(|declares| self.declares(&declares));
        let baselines = wire.baselines.map(|baselines| self.baselines(&baselines));
        Some(Card {
            id: wire.id,
            role: wire.role,
            kind: kind?,
            site: site?,
            d_in: wire.d_in,
            weights: wire.weights,
            span: span?,
            aggregation: aggregation?,
            positive: wire.positive,
            model: MadeOn {
                name: wire.model.name,
                sha256: wire.model.sha256,
            },
            calibration,
            trained_on,
            declares,
            features,
            baselines,
        })
    }

    fn features(
        &mut self,
        kind: Option<DetectorKind>,
        wire: Vec<FeatureV1>,
    ) -> Vec<SelectedFeature> {
        if matches!(kind, Some(DetectorKind::Probe(_))) && !wire.is_empty() {
            self.say(
                "features",
                "given for a probe",
                "no features, or kind `sae`",
            );
        }
        let mut seen = std::collections::BTreeSet::new();
        wire.into_iter()
            .map(|feature| {
                let field = |name: &str| format!("features[{}].{name}", feature.index);
                if !seen.insert(feature.index) {
                    self.say(&field("index"), "there twice", "each feature once");
                }
                self.rate(&field("auroc"), feature.auroc);
                self.rate(&field("p_adjusted"), feature.p_adjusted);
                let sign = match feature.sign {
                    1 => Sign::Positive,
                    -1 => Sign::Negative,
                    other => {
                        self.say(&field("sign"), other, "1 or -1");
                        Sign::Positive
                    }
                };
                SelectedFeature {
                    index: feature.index,
                    auroc: feature.auroc,
                    auroc_interval: self.interval(&field("auroc_interval"), feature.auroc_interval),
                    p_adjusted: feature.p_adjusted,
                    sign,
                }
            })
            .collect()
    }

    fn calibration(&mut self, wire: CalibrationV1) -> Calibration {
        self.finite("calibration.threshold", wire.threshold);
        self.rate(
            "calibration.target_false_positive_rate",
            wire.target_false_positive_rate,
        );
        let control = self.false_positives("control", wire.control);
        let matched_honest = wire
            .matched_honest
            .map(|honest| self.false_positives("matched_honest", honest));
        Calibration {
            threshold: wire.threshold,
            target: wire.target_false_positive_rate,
            control,
            matched_honest,
        }
    }

    fn false_positives(&mut self, name: &str, wire: FalsePositivesV1) -> FalsePositives {
        let field = |part: &str| format!("calibration.{name}.{part}");
        self.digest(&field("corpus_digest"), &wire.corpus_digest);
        self.rate(&field("false_positive_rate"), wire.false_positive_rate);
        FalsePositives {
            interval: self.interval(&field("interval"), wire.interval),
            corpus_digest: wire.corpus_digest,
            n: wire.n,
            rate: wire.false_positive_rate,
        }
    }

    fn declares(&mut self, wire: &DeclaresV1) -> Declares {
        if let Some(auroc) = wire.auroc {
            self.rate("declares.auroc", auroc);
        }
        if let Some(l0) = wire.l0.filter(|l0| !(0.0..f64::INFINITY).contains(l0)) {
            self.say("declares.l0", l0, "a finite number from 0");
        }
        if let Some(explained) = wire.explained_variance {
            self.finite("declares.explained_variance", explained);
        }
        Declares {
            auroc: wire.auroc,
            auroc_interval: wire
                .auroc_interval
                .map(|ends| self.interval("declares.auroc_interval", ends)),
            l0: wire.l0,
            explained_variance: wire.explained_variance,
        }
    }

    fn baselines(&mut self, wire: &BaselinesV1) -> Baselines {
        let named = [
            ("bag_of_words_auroc", wire.bag_of_words_auroc),
            ("length_auroc", Some(wire.length_auroc)),
            ("layer0_auroc", wire.layer0_auroc),
            ("permutation_auroc", Some(wire.permutation_auroc)),
        ];
        for (name, auroc) in named {
            if let Some(auroc) = auroc {
                self.rate(&format!("baselines.{name}"), auroc);
            }
        }
        Baselines {
            bag_of_words_auroc: wire.bag_of_words_auroc,
            length_auroc: wire.length_auroc,
            layer0_auroc: wire.layer0_auroc,
            permutation_auroc: wire.permutation_auroc,
        }
    }
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
            site: card.site.to_string(),
            d_in: card.d_in,
            weights: card.weights.clone(),
            span: card.span.to_string(),
            aggregation: card.aggregation.to_string(),
            positive: card.positive.clone(),
            model: ModelV1 {
                name: card.model.name.clone(),
                sha256: card.model.sha256.clone(),
            },
            calibration: card.calibration.as_ref().map(|calibration| CalibrationV1 {
                threshold: calibration.threshold,
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
        }
    }
}
