//! Judges every rule on the evidence.

use super::preflight::{Bench, Prepared};
use super::study::Study;
use crate::detect::Detector;
use crate::report::{Family, Finding};
use crate::rules::{Context, Contrast, DetectorInfo, judge, possible_convictions};
use crate::tokens::Purpose;

impl Study<'_> {
    /// The convictions that are possible on this model.
    pub(super) fn family(&self) -> Family {
        let contexts = contexts(self.prepared, self.bench);
        Family {
            size: contexts.first().map_or(0, |context| context.family),
            ..Family::default()
        }
    }

    /// One finding for each rule and contrast suite.
    pub(super) fn judge(&self) -> Vec<Finding> {
        let contexts = contexts(self.prepared, self.bench);
        let rules = &self.prepared.rules.rules;
        rules
            .iter()
            .flat_map(|rule| contexts.iter().map(move |context| (rule, context)))
            .map(|(rule, context)| {
                let outcome = judge(rule, &self.evidence, context);
                Finding::judged(rule, &outcome, &self.bench.subject.name)
            })
            .collect()
    }
}

/// One context for each contrast suite; a single one without, so that a rule can say that it could not be measured.
pub(super) fn contexts(prepared: &Prepared, bench: &Bench) -> Vec<Context> {
    let suites = &prepared.suites;
    let control = suites
        .iter()
        .filter(|suite| suite.purpose == Purpose::Control);
    let base = Context {
        contrast: None,
        control_suites: control.map(|suite| suite.id.clone()).collect(),
        detectors: bench.detectors.iter().filter_map(info).collect(),
        family: 0,
    };
    let mut contexts: Vec<Context> = suites
        .iter()
        .filter_map(|suite| {
            let contrast = suite.contrast.as_ref()?;
            Some(Context {
                contrast: Some(Contrast {
                    suite: suite.id.clone(),
                    tested: contrast.tested.clone(),
                    against: contrast.against.clone(),
                }),
                ..base.clone()
            })
        })
        .collect();
    if contexts.is_empty() {
        return vec![base];
    }
    let family = possible_convictions(&prepared.rules.rules, &contexts);
    for context in &mut contexts {
        context.family = family;
    }
    contexts
}

/// What a rule has to know of a detector. One without a threshold says nothing: to a rule it is not there.
fn info(detector: &Detector) -> Option<DetectorInfo> {
    let card = &detector.card;
    let calibration = card.calibration.as_ref()?;
    Some(DetectorInfo {
        id: card.id.clone(),
        role: card.role.clone(),
        threshold: calibration.threshold,
        flags: calibration.flags,
        features: detector.features(),
    })
}
