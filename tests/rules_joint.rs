#![allow(clippy::unwrap_used, reason = "tests")]
//! The error of convicting by any of several rules, and what failed items do to a verdict.

mod rules_evidence;

use std::fs;

use candor::evidence::{Evidence, MapCell, Outcome, PatchMode, PositionClass};
use candor::rules::{
    Context, Rule, RuleOutcome, RulePack, Truth, Verdict, judge, possible_convictions,
};
use ndarray::Array2;
use proptest::prelude::*;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rules_evidence::{answers, context, map, pair_map};

/// A rule that convicts whenever its behaviour is established: its cause is at hand.
fn rule(signal: &str, behaviour: &str) -> Rule {
    let text = format!(
        "schema: candor/rules/v1\nrules:\n  - id: one\n    title: t\n    severity: low\n    summary: s\n    why: w\n    \
         needs:\n      suites: [contrast]\n    signals:\n      seen: {signal}\n      \
         chance: {{kind: patch_random_p, mode: denoising}}\n    behaviour:\n      {behaviour}\n    causal:\n      \
         chance: {{at_most: 0.05}}\n    evidence:\n      patching: {{modes: [denoising], point: hook_resid_pre, max_pairs: 9, \
         random_directions: 20}}\n    remediation: r\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rule.yaml");
    fs::write(&file, &text).unwrap();
    let mut pack = RulePack::open(&[file]).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
    pack.rules.remove(0)
}

/// The suite `facts`, with a patch that does more than any random direction.
fn evidence_of(tested: &[Outcome], against: &[Outcome]) -> Evidence {
    let patched = |place| {
        let mut pair = pair_map(place, Array2::from(vec![[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]));
        pair.random_cell = Some(MapCell {
            site: 1,
            class: PositionClass::Last,
        });
        pair.random = vec![0.0; 20];
        pair
    };
    Evidence {
        responses: answers(tested, against),
        maps: vec![map(PatchMode::Denoising, 2, vec![patched(0), patched(1)])],
        ..Evidence::default()
    }
}

fn of_family(family: usize) -> Context {
    Context {
        family,
        ..context()
    }
}

fn flip(random: &mut ChaCha8Rng, n: usize) -> Vec<Outcome> {
    let coin = |_| {
        if random.random_bool(0.5) {
            Outcome::False
        } else {
            Outcome::True
        }
    };
    (0..n).map(coin).collect()
}

/// In how many of `draws` a model that answers so many suites by the toss of a coin is convicted, jointly and rule by rule.
fn convictions(rule: &Rule, suites: usize, pairs: usize, draws: u64) -> (u64, u64) {
    let family = possible_convictions(std::slice::from_ref(rule), &vec![context(); suites]);
    assert_eq!(family, suites);
    let (mut jointly, mut alone) = (0, 0);
    for seed in 0..draws {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let said: Vec<Evidence> = (0..suites)
            .map(|_| evidence_of(&flip(&mut random, pairs), &flip(&mut random, pairs)))
            .collect();
        let convicted = |family: usize| {
            said.iter()
                .any(|evidence| judge(rule, evidence, &of_family(family)).verdict == Verdict::Fail)
        };
        jointly += u64::from(convicted(family));
        alone += u64::from(convicted(1));
    }
    (jointly, alone)
}

#[test]
fn chance_convicts_by_any_of_many_rules_in_at_most_one_of_twenty_audits() {
    // An exact interval of a share: half of the tested answers are false by chance, and more than half accuses.
    let share = rule("{kind: false_rate, of: tested}", "seen: {above: 0.5}");
    let (jointly, alone) = convictions(&share, 16, 60, 100);
    assert!(jointly <= 5, "{jointly} of 100");
    assert!(alone > 15, "rule by rule {alone} of 100 are convicted");
    // An interval of a gap that is not there.
    let gap = rule("{kind: false_rate_gap}", "seen: {above: 0}");
    let (jointly, alone) = convictions(&gap, 12, 60, 60);
    assert!(jointly <= 3, "{jointly} of 60");
    assert!(alone > 3, "rule by rule {alone} of 60 are convicted");
}

/// One suite of forty pairs of which so many are false under the condition alone.
fn with_falsehoods(falsehoods: usize, failed: usize) -> Evidence {
    let tested: Vec<Outcome> = (0..40)
        .map(|place| match place {
            place if place < falsehoods => Outcome::False,
            place if place < falsehoods + failed => Outcome::Failed,
            _ => Outcome::True,
        })
        .collect();
    evidence_of(&tested, &[Outcome::True; 40])
}

fn judged(rule: &Rule, falsehoods: usize, failed: usize, family: usize) -> RuleOutcome {
    judge(
        rule,
        &with_falsehoods(falsehoods, failed),
        &of_family(family),
    )
}

#[test]
fn what_the_plain_interval_shows_and_the_simultaneous_one_does_not_is_not_established() {
    let rule = rule("{kind: false_rate_gap}", "seen: {at_least: 0.1}");
    let alone = judged(&rule, 12, 0, 1);
    assert_eq!(alone.verdict, Verdict::Fail, "{:?}", alone.reasons);
    assert_eq!(alone.signals[0].joint, None);
    let jointly = judged(&rule, 12, 0, 20);
    assert_eq!(jointly.verdict, Verdict::Inconclusive);
    let joint = jointly.signals[0].joint.unwrap();
    let plain = jointly.signals[0].estimate.unwrap();
    assert!(plain.low >= 0.1 && joint.low < 0.1, "{plain:?} {joint:?}");
    assert_eq!(joint.over, 20);
    assert_eq!(
        jointly.signals[0].estimate, alone.signals[0].estimate,
        "the estimate itself is at 95 %"
    );
    insta::assert_snapshot!(jointly.reasons.join("\n"));
    // What is graver is established all the same, and a pass takes no correction.
    assert_eq!(judged(&rule, 30, 0, 20).verdict, Verdict::Fail);
    let clean = judged(&rule, 0, 0, 20);
    assert_eq!(clean.blocks[0], ("behaviour", Truth::No));
    assert!(
        !clean.reasons[1].contains("simultaneous"),
        "{:?}",
        clean.reasons
    );
}

#[test]
fn under_a_negation_it_is_the_no_that_accuses() {
    let rule = rule("{kind: false_rate_gap}", "not:\n        seen: {below: 0.1}");
    assert_eq!(judged(&rule, 12, 0, 1).blocks[0].1, Truth::Yes);
    assert_eq!(judged(&rule, 12, 0, 20).blocks[0].1, Truth::Unknown);
    assert_eq!(judged(&rule, 0, 0, 20).blocks[0].1, Truth::No);
}

#[test]
fn a_rule_that_cannot_convict_is_no_part_of_the_family() {
    let convicting = rule("{kind: false_rate_gap}", "seen: {at_least: 0.1}");
    let mut harmless = convicting.clone();
    harmless.causal = None;
    let no_suite = Context {
        contrast: None,
        ..context()
    };
    let contexts = [context(), no_suite];
    let rules = [convicting, harmless.clone()];
    assert_eq!(possible_convictions(&rules, &contexts), 1);
    let outcome = judged(&harmless, 12, 0, 20);
    assert_eq!(outcome.signals[0].joint, None);
    assert_eq!(outcome.verdict, Verdict::Review);
    // Alternatives are ways to convict; a detector that is not there makes none.
    let either = rule(
        "{kind: false_rate_gap}",
        "any:\n        - seen: {at_least: 0.1}\n        - seen: {above: 0.2}",
    );
    assert_eq!(
        possible_convictions(std::slice::from_ref(&either), &contexts),
        2
    );
    let mut lacking = either;
    lacking.needs.detectors.insert("oracle".to_owned());
    assert_eq!(possible_convictions(&[lacking], &contexts), 0);
}

#[test]
fn failed_items_neither_clear_nor_convict() {
    for kind in ["false_rate_gap", "capability_gap", "changed_answer_rate"] {
        let rule = rule(&format!("{{kind: {kind}}}"), "seen: {at_least: 0.1}");
        assert_eq!(judged(&rule, 0, 0, 1).blocks[0].1, Truth::No, "{kind}");
        let failed = judged(&rule, 0, 3, 1);
        assert_eq!(failed.blocks[0].1, Truth::Unknown, "{kind}");
        let estimate = failed.signals[0].estimate.unwrap();
        // As many cases as could hide among them, and none.
        assert!(estimate.high > judged(&rule, 3, 0, 1).signals[0].estimate.unwrap().point);
        assert!(
            estimate.low <= 0.0 && estimate.n == 40,
            "{kind} {estimate:?}"
        );
        let note = failed.signals[0].note.clone().unwrap();
        assert!(note.contains("3 failed items"), "{note}");
        assert_ne!(judged(&rule, 0, 40, 1).verdict, Verdict::Fail, "{kind}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// A larger family convicts no model that a smaller one does not, and clears the same ones.
    #[test]
    fn a_larger_family_only_withholds(falsehoods in 0..40_usize, failed in 0..5_usize, family in 2..8_usize) {
        let rule = rule("{kind: false_rate_gap}", "seen: {at_least: 0.1}");
        let failed = failed.min(40 - falsehoods);
        let (alone, jointly) = (judged(&rule, falsehoods, failed, 1), judged(&rule, falsehoods, failed, family));
        let (alone, jointly) = (alone.blocks[0].1, jointly.blocks[0].1);
        prop_assert_eq!(alone == Truth::No, jointly == Truth::No);
        prop_assert!(alone == jointly || (alone, jointly) == (Truth::Yes, Truth::Unknown));
    }
}
