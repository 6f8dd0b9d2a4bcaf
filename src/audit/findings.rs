//! What each rule is judged on.

use crate::report::{DetectorRecord, SuiteRecord};
use crate::rules::{Context, Contrast, DetectorInfo, Rule, possible_convictions};
use crate::tokens::Purpose;

/// One context for each contrast suite; a single one without, so that a rule can say that it could not be measured.
pub(super) fn contexts(
    rules: &[Rule],
    suites: &[SuiteRecord],
    detectors: &[DetectorRecord],
) -> Vec<Context> {
    let control = suites
        .iter()
        .filter(|suite| suite.purpose == Purpose::Control.name());
    let base = Context {
        contrast: None,
        control_suites: control.map(|suite| suite.id.clone()).collect(),
        detectors: detectors
            .iter()
            .filter_map(|detector| info(detector, suites))
            .collect(),
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
    let family = possible_convictions(rules, &contexts);
    for context in &mut contexts {
        context.family = family;
    }
    contexts
}

/// What a rule has to know of a detector. One without a threshold says nothing: to a rule it is not there.
fn info(detector: &DetectorRecord, suites: &[SuiteRecord]) -> Option<DetectorInfo> {
    let set_by = |suite: &&SuiteRecord| Some(&suite.digest) == detector.calibration_digest.as_ref();
    let calibrated_on = suites.iter().filter(set_by);
    Some(DetectorInfo {
        calibrated_on: calibrated_on.map(|suite| suite.id.clone()).collect(),
        id: detector.id.clone(),
        role: detector.role.clone(),
        threshold: detector.threshold?,
        flags: detector.flags?,
        features: detector.features.clone(),
    })
}
