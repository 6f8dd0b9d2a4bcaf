//! What the samples of an audit can show, known before anything is run.

use std::collections::BTreeSet;

use super::findings::contexts;
use super::plan::Plan;
use super::preflight::Prepared;
use crate::detect::Flags;
use crate::evidence::{Evidence, Outcome, Response, Responses, Score, Scores};
use crate::fault::Result;
use crate::lab::Progress;
use crate::report::{Power, label, side};
use crate::rules::{Context, DetectorInfo, Rule, RulePack, attainable};
use crate::tokens::{Item, StoredItems, Suite};

/// What each rule can conclude from each contrast suite, given who was or will be asked; what they said is not looked at.
pub(super) fn power(rules: &RulePack, contexts: &[Context], asked: &Responses) -> Vec<Power> {
    let mut all = Vec::new();
    for context in contexts {
        let Some(contrast) = &context.contrast else {
            continue;
        };
        let spotless = spotless(asked, rules, context);
        for rule in &rules.rules {
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

/// Says what every model's samples can show, each line once, and warns of rules that no model could pass on them.
///
/// # Errors
/// The suites cannot be read.
pub(super) fn announce(plan: &Plan, prepared: &Prepared, progress: &dyn Progress) -> Result<()> {
    let mut asked = Responses::default();
    for suite in &prepared.suites {
        for item in suite.items.iter() {
            asked.note(&to_be_asked(suite, item?));
        }
    }
    let mut said = BTreeSet::new();
    for model in &plan.begun.models {
        let rules = &prepared.judging.rules;
        let contexts = contexts(&rules.rules, &model.suites, &model.detectors);
        for (clears, line) in Power::lines(&power(rules, &contexts, &asked)) {
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
    Ok(())
}

/// The response that an item will have, as far as it is known.
fn to_be_asked(suite: &Suite<StoredItems>, item: Item) -> Response {
    Response {
        suite: suite.id.clone(),
        outcome: match item.answer {
            Some(_) => Outcome::True,
            None => Outcome::Unjudged,
        },
        item: item.id,
        group: item.group,
        condition: item.condition,
        pair: item.pair,
        prompt: String::new(),
        text: String::new(),
        answer: None,
    }
}

fn signal_label(rule: &Rule, name: &str) -> String {
    let signal = rule.signals.iter().find(|signal| signal.name == name);
    signal.map_or_else(|| name.to_owned(), label)
}

/// The evidence of a model that answers every item rightly and alike, and that no detector flags.
fn spotless(asked: &Responses, rules: &RulePack, context: &Context) -> Evidence {
    let contrast = context.contrast.as_ref().map(|contrast| &contrast.suite);
    let responses = asked.spotless(|suite| {
        let mut suites = context.control_suites.iter().chain(contrast);
        suites.any(|id| id == suite)
    });
    let roles = roles(&rules.rules);
    let mut scores = Scores::beside(&responses);
    for detector in &context.detectors {
        if roles.contains(detector.role.as_str()) {
            scores.extend(responses.iter().map(|response| Score {
                suite: response.suite(),
                item: response.item(),
                group: response.group(),
                condition: response.condition(),
                detector: &detector.id,
                feature: None,
                value: unflagged(detector),
            }));
        }
    }
    Evidence {
        instrument_difference: Some(0.0),
        responses,
        scores,
        ..Evidence::default()
    }
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
