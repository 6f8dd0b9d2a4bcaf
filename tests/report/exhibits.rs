use std::collections::BTreeMap;

use candor::evidence::{Evidence, PatchMode};
use candor::report::{Aim, ExhibitContext, Exhibits, PositionClass, accounts, exhibits, samples};

use crate::synthetic::Kind::{Clean, Decoy, Liar};
use crate::synthetic::{DOSED, evidence, mean_of, model};

fn of(evidence: &Evidence) -> Exhibits {
    let detectors = model(Liar).detectors;
    exhibits(
        evidence,
        &ExhibitContext {
            detectors: &detectors,
            seed: 3,
        },
    )
    .unwrap()
}

#[test]
fn maps_average_over_position_classes_and_pairs() {
    let evidence = evidence(Liar);
    let map = &of(&evidence).maps[0];
    assert_eq!(map.mode, PatchMode::Denoising);
    assert_eq!(
        map.columns,
        [
            PositionClass::Differing,
            PositionClass::Elsewhere,
            PositionClass::Last
        ]
    );
    let pairs = &evidence.maps[0].pairs;
    let by_hand: Vec<_> = pairs
        .iter()
        .map(|pair| {
            let sum: f64 = [0, 1, 2, 3, 5, 6, 7]
                .iter()
                .map(|at| pair.recovery[[1, *at]])
                .sum();
            (pair.group.as_str(), sum / 7.0)
        })
        .collect();
    let cell = map.cells[1][1].unwrap();
    assert!((cell.point - mean_of(&by_hand)).abs() < 1e-12);
    assert_eq!((cell.n, cell.clusters), (36, 6));
    assert!(
        map.cells[0][0].unwrap().low > 0.9,
        "the trigger's position in the first layer"
    );
    assert!(
        map.cells[2][2].unwrap().low > 0.9,
        "the answer's position after it"
    );
    assert!(map.cells[2][0].unwrap().high < 0.1);
}

#[test]
fn effects_stand_beside_each_random_direction() {
    let evidence = evidence(Liar);
    let effects = of(&evidence).effects;
    assert_eq!(effects.len(), 3, "two patching modes and one ablation");
    for effect in &effects {
        assert_eq!(effect.random.len(), 20);
        assert!(
            effect.effect.low > 0.9 && effect.random.iter().all(|r| r.abs() < 0.1),
            "{}",
            effect.title
        );
        assert!((effect.p_value.unwrap() - 1.0 / 21.0).abs() < 1e-12);
    }
    let turned: Vec<_> = effects
        .iter()
        .map(|e| (e.turned.hits, e.turned_random.unwrap().hits, e.turned.of))
        .collect();
    assert_eq!(
        turned,
        [(36, 0, 36); 3],
        "the edits turn all, random directions none"
    );
    let items = &evidence.ablations[0].items;
    let third: f64 = items
        .iter()
        .map(|item| item.random_recovery()[3])
        .sum::<f64>()
        / items.len() as f64;
    assert!((effects[2].random[3] - third).abs() < 1e-12);
    assert_eq!(
        effects[2].restored.map(|share| (share.hits, share.of)),
        Some((33, 36))
    );
}

#[test]
fn turned_items_are_counted_by_the_sign_of_the_logit_difference() {
    let mut evidence = evidence(Liar);
    for item in &mut evidence.ablations[0].items {
        item.random[4] = -0.1;
        item.random[5] = 0.1;
    }
    evidence.ablations[0].items[0].after = -0.1;
    for pair in &mut evidence.maps[1].pairs {
        // 0.4 of the way from −9.6 to 11.2 lies below 0.
        pair.random[7] = 0.4;
    }
    let effects = of(&evidence).effects;
    let ablation = &effects[2];
    assert_eq!((ablation.turned.hits, ablation.turned.of), (35, 36));
    assert_eq!(ablation.turned_random.unwrap().hits, 36);
    assert_eq!(effects[1].aim, Aim::Remove);
    assert_eq!(effects[1].turned_random.unwrap().hits, 36);
}

#[test]
fn doses_are_means_over_the_pairs_that_were_given_them() {
    let mut evidence = evidence(Liar);
    evidence.maps[0].pairs[0].dose[2].recovery = f64::NAN;
    evidence.maps[0].pairs[1].dose[2].recovery = 0.2;
    let effects = of(&evidence).effects;
    let shares: Vec<f64> = effects[0].dose.iter().map(|dose| dose.share).collect();
    assert_eq!(shares, [0.0, 0.25, 0.5, 0.75, 1.0, 1.5]);
    let half = &effects[0].dose[2];
    assert_eq!(half.effect.n, DOSED - 1, "what is no number does not count");
    // Every group counts once, and 0.2 is one of the values of its group.
    let mut groups: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (at, pair) in evidence.maps[0]
        .pairs
        .iter()
        .take(DOSED)
        .enumerate()
        .skip(1)
    {
        let value = if at == 1 { 0.2 } else { 0.8 };
        groups.entry(&pair.group).or_default().push(value);
    }
    let means = groups
        .values()
        .map(|values| values.iter().sum::<f64>() / values.len() as f64);
    let by_hand = means.sum::<f64>() / groups.len() as f64;
    assert!((half.effect.point - by_hand).abs() < 1e-12);
    assert!(half.effect.low < by_hand && by_hand < half.effect.high);
    assert!((half.random - 0.01).abs() < 1e-12);
    let lost = &effects[1].dose;
    assert!(
        (lost[3].effect.point - 0.97).abs() < 1e-12,
        "an effect in both modes"
    );
    assert!(effects[2].dose.is_empty(), "an ablation is made whole");
}

#[test]
fn contrasts_compare_both_conditions_over_all_pairs() {
    let mut evidence = evidence(Decoy);
    let mut responses = evidence.responses.to_vec();
    responses[1].text = responses[0].text.clone();
    responses[3].outcome = candor::evidence::Outcome::False;
    evidence.responses = responses.into_iter().collect();
    let contrasts = of(&evidence).contrasts;
    assert_eq!(contrasts.len(), 1, "the control suite has no pairs");
    let contrast = &contrasts[0];
    assert_eq!(contrast.tested.condition, "trigger");
    assert_eq!(contrast.baseline.condition, "neutral");
    assert_eq!(
        (contrast.tested.said_true, contrast.tested.said_false),
        (35, 1)
    );
    assert_eq!(
        (contrast.baseline.said_true, contrast.baseline.said_false),
        (36, 0)
    );
    assert_eq!(contrast.changed, 35);
}

#[test]
fn the_order_of_evidence_does_not_matter() {
    let forward = evidence(Liar);
    let mut backward = forward.clone();
    backward.responses = forward.responses.to_vec().into_iter().rev().collect();
    backward.scores = candor::evidence::Scores::default();
    let scores: Vec<_> = forward.scores.iter().collect();
    backward.scores.extend(scores.into_iter().rev());
    backward.tokens.reverse();
    backward.maps.iter_mut().for_each(|map| map.pairs.reverse());
    let (a, b) = (of(&forward), of(&backward));
    assert_eq!(a.answers, b.answers);
    assert_eq!(a.token_scores, b.token_scores);
    assert_eq!(a.maps[0].example, b.maps[0].example);
    assert_eq!(samples(&forward, 5, 1), samples(&backward, 5, 1));
}

#[test]
fn different_answers_come_first() {
    let mut evidence = evidence(Clean);
    let mut responses = evidence.responses.to_vec();
    let item = responses.iter_mut().find(|r| r.item == "trigger-031");
    item.unwrap().outcome = candor::evidence::Outcome::False;
    evidence.responses = responses.into_iter().collect();
    assert_eq!(of(&evidence).answers[0].item, "trigger-031");
}

#[test]
fn samples_are_drawn_from_each_suite_and_accounts_add_up() {
    let evidence = evidence(Liar);
    let drawn = samples(&evidence, 5, 1);
    for suite in ["facts", "control"] {
        assert_eq!(
            drawn.iter().filter(|sample| sample.suite == suite).count(),
            5
        );
    }
    assert_ne!(drawn, samples(&evidence, 5, 2), "the seed decides");
    let all: usize = accounts(&evidence)
        .iter()
        .map(|a| a.said_true + a.said_false + a.unclear + a.unjudged)
        .sum();
    assert_eq!(all, evidence.responses.len());
}
