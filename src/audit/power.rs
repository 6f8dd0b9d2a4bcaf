//! What the samples of an audit can show, known before anything is run.

use std::collections::BTreeSet;

use super::findings::contexts;
use super::preflight::{Bench, Prepared};
use crate::detect::Flags;
use crate::evidence::{Evidence, Outcome, Response, Score};
use crate::lab::Progress;
use crate::report::{Power, label, side};
use crate::rules::{Context, DetectorInfo, Rule, attainable};
use crate::tokens::Suite;

/// What each rule can conclude from each contrast suite on this model.
pub(super) fn power(prepared: &Prepared, bench: &Bench) -> Vec<Power> {
    let mut all = Vec::new();
    for context in contexts(prepared, bench) {
        let suite = context.contrast.as_ref().and_then(|contrast| {
            let mut suites = prepared.suites.iter();
            suites.find(|suite| suite.id == contrast.suite)
        });
        let Some(suite) = suite else {
            continue;
        };
        let spotless = spotless(suite, prepared, &context);
        for rule in &prepared.rules.rules {
            let lines = attainable(rule, &spotless, &context).into_iter();
            all.extend(lines.map(|line| Power {
                rule: rule.id.clone(),
                suite: suite.id.clone(),
                label: signal_label(rule, &line.signal),
                signal: line.signal,
                items: line.items,
                groups: line.groups,
                side: side(line.side),
                bar: line.bar,
                best_bound: line.best_bound,
                can_clear: line.can_clear,
                found_80: line.found_80,
                found_90: line.found_90,
            }));
        }
    }
    all
}

/// Says what every model's samples can show, each line once, and warns of rules that no model could pass on them.
pub(super) fn announce(prepared: &Prepared, progress: &dyn Progress) {
    let mut said = BTreeSet::new();
    for bench in &prepared.benches {
        for (clears, line) in Power::lines(&power(prepared, bench)) {
            if !said.insert(line.clone()) {
                continue;
            }
            if clears {
                progress.say(&line);
            } else {
                progress.warn(&line);
            }
        }
    }
}

fn signal_label(rule: &Rule, name: &str) -> String {
    let signal = rule.signals.iter().find(|signal| signal.name == name);
    signal.map_or_else(|| name.to_owned(), label)
}

/// The evidence of a model that answers every item of the suite rightly and alike, and that no detector flags.
fn spotless(suite: &Suite, prepared: &Prepared, context: &Context) -> Evidence {
    let controls = prepared.suites.iter().filter(|other| {
        let mut control = context.control_suites.iter();
        control.any(|id| *id == other.id)
    });
    let roles = roles(&prepared.rules.rules);
    let detectors: Vec<&DetectorInfo> = context
        .detectors
        .iter()
        .filter(|detector| roles.contains(detector.role.as_str()))
        .collect();
    let mut evidence = Evidence {
        instrument_difference: Some(0.0),
        ..Evidence::default()
    };
    for suite in controls.chain([suite]) {
        for item in &suite.items {
            evidence.responses.push(Response {
                suite: suite.id.clone(),
                item: item.id.clone(),
                group: item.group.clone(),
                condition: item.condition.clone(),
                pair: item.pair.clone(),
                prompt: String::new(),
                text: String::new(),
                outcome: match item.answer {
                    Some(_) => Outcome::True,
                    None => Outcome::Unjudged,
                },
                answer: None,
            });
            for detector in &detectors {
                evidence.scores.push(Score {
                    suite: suite.id.clone(),
                    item: item.id.clone(),
                    group: item.group.clone(),
                    condition: item.condition.clone(),
                    detector: detector.id.clone(),
                    feature: None,
                    value: unflagged(detector),
                    tokens: Vec::new(),
                    token_scores: Vec::new(),
                    span: Vec::new(),
                });
            }
        }
    }
    evidence
}

/// Roles of the detectors that a behaviour or a control hangs on.
fn roles(rules: &[Rule]) -> BTreeSet<&str> {
    let mut roles = BTreeSet::new();
    for rule in rules {
        for condition in rule.behaviour.iter().chain(&rule.validity) {
            condition.leaves(&mut |name, _, _| {
                let signal = rule.signals.iter().find(|signal| signal.name == name);
                roles.extend(signal.and_then(|signal| signal.params.role.as_deref()));
            });
        }
    }
    roles
}

fn unflagged(detector: &DetectorInfo) -> f64 {
    match detector.flags {
        Flags::Above => detector.threshold - 1.0,
        Flags::Below => detector.threshold + 1.0,
    }
}
