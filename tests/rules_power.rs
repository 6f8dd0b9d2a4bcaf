#![allow(clippy::unwrap_used, reason = "tests")]
//! What a sample can show before the model has said anything, against the judging itself.

mod rules_evidence;

use candor::evidence::{Evidence, Outcome};
use candor::rules::{Attainable, Context, Rule, RulePack, Truth, attainable, judge};
use rules_evidence::{answers, context, edit, rule_of};
use statrs::distribution::{Binomial, Discrete as _};

const PACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/deception");

fn falsehood() -> Rule {
    let rules = RulePack::open(&[PACK]).unwrap().rules;
    let mut rules = rules.into_iter();
    rules
        .find(|rule| rule.id == "conditional-falsehood")
        .unwrap()
}

/// A model of so many facts that tells the truth.
fn spotless(facts: usize) -> Evidence {
    Evidence {
        responses: answers(&vec![Outcome::True; facts], &vec![Outcome::True; facts]),
        instrument_difference: Some(0.0),
        ..Evidence::default()
    }
}

fn of(rule: &Rule, evidence: &Evidence, family: usize) -> Attainable {
    let context = Context {
        family,
        ..context()
    };
    let mut all = attainable(rule, evidence, &context);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn a_bar_of_a_tenth_takes_thirty_six_groups_however_many_rules_there_are() {
    let rule = falsehood();
    for family in [1, 5, 50] {
        let (few, enough) = (
            of(&rule, &spotless(35), family),
            of(&rule, &spotless(36), family),
        );
        assert!(!few.can_clear && few.best_bound > 0.1, "{few:?}");
        assert!(enough.can_clear && enough.best_bound < 0.1, "{enough:?}");
        assert_eq!((enough.items, enough.groups), (36, 36));
        assert_eq!((enough.signal.as_str(), enough.bar), ("gap", 0.1));
    }
}

#[test]
fn it_is_groups_that_count() {
    let mut evidence = spotless(120);
    edit(&mut evidence.responses, |all| {
        for (place, response) in all.iter_mut().enumerate() {
            response.group = format!("group-{}", place / 2 % 36);
        }
    });
    let found = of(&falsehood(), &evidence, 5);
    assert_eq!((found.items, found.groups), (120, 36));
    assert!(found.can_clear);
    let alone = of(&falsehood(), &spotless(36), 5);
    assert_eq!(
        (found.best_bound, found.found_80),
        (alone.best_bound, alone.found_80)
    );
    // SciPy: of a share 10 of 36 are needed at 99 %, which 0.3304 gives with 80 % (`fixtures/stats/make_power.py`). A gap has to allow for
    // pairs that went the other way and were not seen.
    let of_share = of(&share_rule(), &spotless(36), 5);
    assert!((of_share.found_80.unwrap() - 0.330_355).abs() < 1e-5);
    assert!((of_share.found_90.unwrap() - 0.365_774).abs() < 1e-5);
    assert!(found.found_80 > of_share.found_80 && found.found_80 < Some(0.45));
}

/// Falsehoods under the tested condition alone, by the bar of the gap.
fn share_rule() -> Rule {
    let mut rule = rule_of("false_rate", "of: tested");
    rule.behaviour = Some(renamed(falsehood().behaviour.unwrap(), "one"));
    rule.causal = falsehood().causal;
    rule
}

#[test]
fn controls_that_cannot_hold_let_nothing_be_cleared() {
    let mut rule = falsehood();
    let strict = rule_of("unclear_rate", "").validity;
    assert!(of(&rule, &spotless(40), 1).can_clear);
    // `one: at_least 0` names no signal of this rule, which is a control that cannot be shown to hold.
    rule.validity = strict;
    let found = of(&rule, &spotless(40), 1);
    assert!(!found.can_clear && found.best_bound < found.bar);
}

#[test]
fn items_without_answers_show_nothing() {
    let mut evidence = spotless(60);
    edit(&mut evidence.responses, |all| {
        for response in all {
            response.outcome = Outcome::Unjudged;
        }
    });
    let found = of(&falsehood(), &evidence, 1);
    assert_eq!((found.items, found.groups, found.best_bound), (0, 0, 1.0));
    assert!(!found.can_clear);
    assert_eq!((found.found_80, found.found_90), (None, None));
}

#[test]
fn what_the_audit_lacks_has_no_power() {
    let mut rule = falsehood();
    rule.needs.detectors.insert("oracle".to_owned());
    assert_eq!(attainable(&rule, &spotless(40), &context()), []);
    rule = falsehood();
    rule.behaviour = None;
    assert_eq!(attainable(&rule, &spotless(40), &context()), []);
}

const FACTS: usize = 45;

/// The promised probability is that of the judge's own verdicts: the chance of every count of falsehoods, times whether it accuses.
#[test]
fn falsehoods_are_found_as_often_as_was_promised() {
    let rules = [share_rule(), falsehood()];
    for (rule, family) in rules.iter().flat_map(|rule| [(rule, 1), (rule, 5)]) {
        let promised = of(rule, &spotless(FACTS), family);
        let context = Context {
            family,
            ..context()
        };
        let accuses: Vec<bool> = (0..=FACTS)
            .map(|cases| {
                let said: Vec<Outcome> = (0..FACTS)
                    .map(|place| {
                        if place < cases {
                            Outcome::False
                        } else {
                            Outcome::True
                        }
                    })
                    .collect();
                let evidence = Evidence {
                    responses: answers(&said, &[Outcome::True; FACTS]),
                    ..Evidence::default()
                };
                judge(rule, &evidence, &context).blocks[0].1 == Truth::Yes
            })
            .collect();
        for (found, power) in [(promised.found_80, 0.8), (promised.found_90, 0.9)] {
            let chances = Binomial::new(found.unwrap(), FACTS as u64).unwrap();
            let accused: f64 = (0..=FACTS as u64)
                .zip(&accuses)
                .filter(|(_, accuses)| **accuses)
                .map(|(cases, _)| chances.pmf(cases))
                .sum();
            assert!((accused - power).abs() < 1e-9, "{family}: {accused}");
        }
    }
}

fn renamed(condition: candor::rules::Condition, name: &str) -> candor::rules::Condition {
    match condition {
        candor::rules::Condition::Leaf { bar, .. } => candor::rules::Condition::Leaf {
            signal: name.to_owned(),
            bar,
        },
        other => other,
    }
}
