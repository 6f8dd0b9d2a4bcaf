//! From the wire's values to a card, with everything that is wrong with them at once.

use std::path::Path;

use super::wire::{BaselinesV1, CalibrationV1, CardV1, DeclaresV1, FalsePositivesV1, FeatureV1};
use super::{Baselines, Card, Declares, DetectorKind, Interval, MadeOn, Module, TrainedOn};
use crate::detect::calibration::{Calibration, FalsePositives};
use crate::detect::features::{SelectedFeature, Sign};
use crate::fault::{Fault, Result};
use crate::model::ModulePath;

/// Everything wrong with the values of a card.
#[derive(Default)]
pub(super) struct Problems(pub(super) Vec<String>);

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

    pub(super) fn card(&mut self, wire: CardV1) -> Option<Card> {
        self.text("id", &wire.id);
        self.text("role", &wire.role);
        self.text("positive", &wire.positive);
        if !is_plain(&wire.weights) {
            self.say(
                "weights",
                format!("`{}`", wire.weights),
                "the plain name of a file in the detector's folder",
            );
        }
        for (file, digest) in &wire.weights_sha256 {
            if !is_plain(file) {
                self.say(
                    "weights_sha256",
                    format!("`{file}`"),
                    "names of files in the detector's folder",
                );
            }
            self.digest(&format!("weights_sha256.{file}"), digest);
        }
        for (at, limit) in wire.limits.iter().enumerate() {
            self.text(&format!("limits[{at}]"), limit);
        }
        if wire.d_in == 0 {
            self.say("d_in", 0, "the width of the activation, at least 1");
        }
        self.text("model.name", &wire.model.name);
        if !wire.model.sha256.is_empty() || wire.source.is_none() {
            self.digest("model.sha256", &wire.model.sha256);
        }
        for file in wire.source.iter().flat_map(|source| &source.files) {
            self.digest(&format!("source.{}", file.file), &file.sha256);
        }
        let kind = self.ok("kind", DetectorKind::named(&wire.kind));
        let module = ModulePath::parse(&wire.site).filter(|path| path.site().is_some());
        let site = match &module {
            Some(path) => path.site(),
            None => self.parsed("site", &wire.site),
        };
        let module = module.map(|path| Module {
            text: wire.site,
            path,
        });
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
            module,
            d_in: wire.d_in,
            weights: wire.weights,
            weights_sha256: wire.weights_sha256,
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
            limits: wire.limits,
            source: wire.source,
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
            flags: wire.flags.into(),
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

/// Whether a name is that of a file in the folder itself.
fn is_plain(name: &str) -> bool {
    Path::new(name).file_name() == Some(name.as_ref()) && !name.contains(['/', '\\', '\0'])
}
