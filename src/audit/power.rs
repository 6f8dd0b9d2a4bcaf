//! What the samples of an audit can show, known before anything is run.

use std::collections::BTreeSet;

use super::findings::contexts;
use super::plan;
use super::preflight::Prepared;
use crate::detect::Flags;
use crate::evidence::{Evidence, Name, Outcome, Response, Score};
use crate::lab::Progress;
use crate::report::{DetectorRecord, Power, SuiteRecord, label, side};
use crate::rules::{Context, DetectorInfo, Rule, attainable};
use crate::tokens::{Item, Suite};

/// Says what every model's samples can show, each line once, and warns of rules that no model could pass on them.
pub(super) fn announce(prepared: &Prepared, progress: &dyn Progress) {
    let suites: Vec<SuiteRecord> = prepared.suites.iter().map(plan::suite_record).collect();
    let rules = &prepared.rules.rules;
    let asked = prepared.suites.iter();
    let asked: Vec<Response> = asked
        .flat_map(|suite| suite.items.iter().map(|item| asked_of(suite, item)))
        .collect();
    let mut said = BTreeSet::new();
    for bench in &prepared.benches {
        let detectors: Vec<DetectorRecord> = bench.detectors.iter().map(plan::detector).collect();
        let contexts = contexts(&suites, &detectors, rules);
        for (clears, line) in Power::lines(&power(&asked, rules, &contexts)) {
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

fn asked_of(suite: &Suite, item: &Item) -> Response {
    Response {
        suite: suite.id.as_str().into(),
        item: item.id.as_str().into(),
        group: item.group.as_str().into(),
        condition: item.condition.as_str().into(),
        pair: item.pair.as_deref().map(Name::from),
        prompt: String::new(),
        text: String::new(),
        outcome: match item.answer {
            Some(_) => Outcome::True,
            None => Outcome::Unjudged,
        },
        answer: None,
    }
}

/// What each rule can conclude from each contrast suite, whatever was said to its items.
pub(super) fn power(responses: &[Response], rules: &[Rule], contexts: &[Context]) -> Vec<Power> {
    let Some(first) = contexts.first() else {
        return Vec::new();
    };
    let spotless = spotless(responses, rules, &first.detectors);
    let mut all = Vec::new();
    for context in contexts {
        let Some(contrast) = &context.contrast else {
            continue;
        };
        for rule in rules {
            let lines = attainable(rule, &spotless, context).into_iter();
            all.extend(lines.map(|line| Power {
                rule: rule.id.clone(),
                suite: contrast.suite.clone(),
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

fn signal_label(rule: &Rule, name: &str) -> String {
    let signal = rule.signals.iter().find(|signal| signal.name == name);
    signal.map_or_else(|| name.to_owned(), label)
}

/// The evidence of a model that answers all of these items rightly and alike, and that no detector flags.
fn spotless(responses: &[Response], rules: &[Rule], detectors: &[DetectorInfo]) -> Evidence {
    let mut evidence = Evidence {
        instrument_difference: Some(0.0),
        ..Evidence::default()
    };
    let roles = roles(rules);
    for response in responses {
        for detector in detectors {
            if !roles.contains(detector.role.as_str()) {
                continue;
            }
            evidence.scores.push(Score {
                suite: &response.suite,
                item: &response.item,
                group: &response.group,
                condition: &response.condition,
                detector: &detector.id,
                feature: None,
                value: unflagged(detector),
            });
        }
        evidence.responses.push(Response {
            suite: response.suite.clone(),
            item: response.item.clone(),
            group: response.group.clone(),
            condition: response.condition.clone(),
            pair: response.pair.clone(),
            prompt: String::new(),
            text: String::new(),
            outcome: match response.outcome {
                Outcome::Unjudged => Outcome::Unjudged,
                _ => Outcome::True,
            },
            answer: None,
        });
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
