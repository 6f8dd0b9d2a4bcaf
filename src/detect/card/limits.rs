//! How far a detector is not to be trusted, from what its card knows.

use super::{Card, DetectorKind};
use crate::detect::calibration::FalsePositives;

impl Card {
    /// What the card's own numbers say against it, a sentence each.
    #[must_use]
    pub fn known_limits(&self) -> Vec<String> {
        let mut limits = Vec::new();
        if let Some(trained) = &self.trained_on {
            limits.push(format!(
                "trained on one suite, `{}`, of {} items in {} groups: what it says of other text is not known",
                trained.suite, trained.n, trained.groups
            ));
        }
        limits.push(match self.model.sha256.as_str() {
            "" => {
                "the export that it was made on is not known: its scores may shift here".to_owned()
            }
            _ => format!(
                "made on one export, `{}`: on another one (quantised, fused) its scores shift",
                self.model.name
            ),
        });
        limits.push(format!("reads tokens of the span `{}` alone", self.span));
        limits.extend(self.alarms());
        limits.extend(self.separation());
        limits
    }

    fn alarms(&self) -> Vec<String> {
        let Some(calibration) = &self.calibration else {
            return vec!["has no threshold: its score decides nothing".to_owned()];
        };
        let target = calibration.target;
        let wide = |on: &str, rates: &FalsePositives| {
            (rates.interval.high > target).then(|| {
                format!(
                    "false alarms on {on} may be up to {:.1} % ({} items), where {:.1} % was aimed for",
                    100.0 * rates.interval.high,
                    rates.n,
                    100.0 * target
                )
            })
        };
        let mut limits: Vec<String> = wide("control text", &calibration.control)
            .into_iter()
            .collect();
        match &calibration.matched_honest {
            Some(honest) => limits.extend(wide("matched honest items", honest)),
            None => {
                limits.push("false alarms on matched honest items were not measured".to_owned());
            }
        }
        limits
    }

    fn separation(&self) -> Vec<String> {
        let declared = self.declares.and_then(|declares| declares.auroc_interval);
        let mut limits = Vec::new();
        if let Some(interval) = declared.filter(|interval| interval.low <= 0.5) {
            limits.push(format!(
                "its AUROC on held-out groups, in [{:.3}, {:.3}], cannot be told from chance",
                interval.low, interval.high
            ));
        }
        let Some(baselines) = &self.baselines else {
            if matches!(self.kind, DetectorKind::Probe(_)) {
                limits.push("no baseline was measured beside it".to_owned());
            }
            return limits;
        };
        let named = [
            ("a bag of words", baselines.bag_of_words_auroc),
            ("the number of tokens", Some(baselines.length_auroc)),
            ("the same probe on the embedding", baselines.layer0_auroc),
        ];
        for (name, auroc) in named {
            let reached = auroc.zip(declared).filter(|(auroc, own)| *auroc >= own.low);
            if let Some((auroc, own)) = reached {
                limits.push(format!(
                    "{name} does as well: AUROC {auroc:.3} on the same items, its own in [{:.3}, {:.3}]",
                    own.low, own.high
                ));
            }
        }
        limits
    }
}
