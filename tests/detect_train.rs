#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::doc_markdown,
    clippy::too_many_lines,
    clippy::format_push_string,
    clippy::similar_names,
    clippy::needless_pass_by_value,
    reason = "tests may unwrap, compare exactly and list many cases"
)]
//! Probes against scikit-learn (`fixtures/detect/make_probes.py`), splits, baselines, calibration and feature selection.

use candor::detect::train::{PROBE_KINDS, ProbeKind, TrainingOptions, TrainingSet};
use candor::detect::{
    Aggregation, Corpus, Probe, Selection, Sign, Span, SplitItem, bag_of_words_auroc, calibrate,
    folds, hold_out, length_auroc, permutation_auroc, select_features,
};
use candor::stats;
use ndarray::{Array1, Array2, array};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    let array = value.as_array().unwrap();
    array.iter().map(|value| value.as_f64().unwrap()).collect()
}

#[test]
fn every_kind_equals_scikit_learn() {
    let cases: Value = serde_json::from_str(include_str!("fixtures/detect/probes.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let rows: Vec<Vec<f64>> = case["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(numbers)
            .collect();
        let (n, d) = (rows.len(), rows[0].len());
        let rows = Array2::from_shape_fn((n, d), |(row, column)| rows[row][column] as f32);
        let labels: Vec<bool> = numbers(&case["labels"])
            .iter()
            .map(|label| *label == 1.0)
            .collect();
        let options = TrainingOptions {
            lambda: case["penalty"].as_f64().unwrap(),
            ..TrainingOptions::default()
        };
        let set = TrainingSet::of_rows(rows.view(), &labels);
        for kind in PROBE_KINDS {
            let Some(expected) = case.get(kind.name) else {
                continue;
            };
            let probe = kind.train(&set, options).unwrap();
            let name = format!("{} on {}", kind.name, case["name"]);
            let close = |found: f64, expected: f64| {
                let tolerance = 1e-4 * expected.abs().max(1.0);
                assert!(
                    (found - expected).abs() < tolerance,
                    "{name}: {found} {expected}"
                );
            };
            for (found, expected) in probe.weight.iter().zip(numbers(&expected["weight"])) {
                close(f64::from(*found), expected);
            }
            close(f64::from(probe.bias[0]), expected["bias"].as_f64().unwrap());
            let scores = probe.scores(rows.view()).unwrap();
            for (found, expected) in scores.iter().zip(numbers(&expected["scores"])) {
                close(*found, expected);
            }
        }
    }
}

#[test]
fn a_constant_feature_gets_no_weight() {
    let rows = array![[1.0_f32, 7.0], [2.0, 7.0], [3.0, 7.0], [4.0, 7.0]];
    let labels = [false, false, true, true];
    let set = TrainingSet::of_rows(rows.view(), &labels);
    for kind in PROBE_KINDS.iter().filter(|kind| kind.needs.is_empty()) {
        let probe = kind.train(&set, TrainingOptions::default()).unwrap();
        let name = kind.name;
        assert!(probe.weight.row(1).iter().all(|w| *w == 0.0), "{name}");
        let score = |row: usize| {
            let scores = probe.token_scores(rows.view()).unwrap();
            let aggregation = kind.pooling.unwrap_or(Aggregation::Mean);
            let of_row = scores.slice(ndarray::s![row..=row, ..]);
            aggregation.of_columns(of_row, &[0]).unwrap()
        };
        assert!(score(3) > score(0), "{name}");
    }
}

#[test]
fn messages_for_bad_training_sets() {
    let rows = array![[1.0_f32, 2.0], [3.0, 4.0]];
    let mut nan = rows.clone();
    nan[[1, 0]] = f32::NAN;
    let empty = Array2::<f32>::zeros((0, 2));
    let same = array![[1.0_f32, 2.0], [1.0, 2.0]];
    let (mut all, mut extra) = (String::new(), String::new());
    for kind in PROBE_KINDS {
        let mut own = String::new();
        let mut say = |case: &str, rows: &Array2<f32>, labels: &[bool], lambda: f64| {
            let set = TrainingSet::of_rows(rows.view(), labels);
            let options = TrainingOptions {
                lambda,
                ..TrainingOptions::default()
            };
            let fault = kind.train(&set, options).unwrap_err();
            own += &format!("## {case}\n{fault}\n\n");
        };
        say("one label only", &rows, &[true, true], 10.0);
        say("labels missing", &rows, &[true], 10.0);
        say("a NaN", &nan, &[true, false], 10.0);
        say("no rows", &empty, &[], 10.0);
        say("no penalty", &rows, &[true, false], 0.0);
        if !kind.needs.is_empty() {
            say("no more than rows", &rows, &[true, false], 10.0);
        }
        // Every kind says the same of the same; what a kind needs besides is said last.
        let own = own.replace(&format!("a {} probe", kind.name), "a … probe");
        let (_, new) = own.split_at(own.len().min(all.len()));
        assert!(own.starts_with(&all), "{own}");
        if all.is_empty() {
            all = own;
        } else if !new.is_empty() {
            extra += &format!("## what `{}` lacks\n{new}", kind.name);
        }
    }
    all += &extra;
    let unlearnable = TrainingSet::of_rows(same.view(), &[true, false]);
    for kind in PROBE_KINDS.iter().filter(|kind| kind.needs.is_empty()) {
        let fault = kind.train(&unlearnable, TrainingOptions::default());
        all += &format!("## equal rows, {}\n{}\n\n", kind.name, fault.unwrap_err());
    }
    let probe = Probe::linear(Array1::ones(3), 0.0);
    for bad in [&rows, &array![[f32::INFINITY, 0.0, 1.0]]] {
        all += &format!("## scoring\n{}\n\n", probe.scores(bad.view()).unwrap_err());
    }
    insta::assert_snapshot!(all);
}

#[test]
fn aggregations_do_what_their_names_say() {
    let scores = [9.0_f32, 1.0, 2.0, 6.0, 3.0, -1.0];
    let span = [1, 2, 3, 4, 5];
    for (name, expected) in [
        ("mean", 2.2),
        ("max", 6.0),
        ("last", -1.0),
        ("max_rolling_mean:1", 6.0),
        ("max_rolling_mean:2", 4.5),
        ("max_rolling_mean:3", 11.0 / 3.0),
        ("max_rolling_mean:50", 2.2),
        ("ema:1", 6.0),
        ("ema:0.5", 3.75),
    ] {
        let aggregation: Aggregation = name.parse().unwrap();
        assert_eq!(aggregation.to_string(), name);
        assert!(
            (aggregation.of(&scores, &span).unwrap() - expected).abs() < 1e-12,
            "{name}"
        );
    }
    let mean = Aggregation::Mean;
    assert_eq!(mean.of(&scores, &[]).unwrap_err().found, "an empty span");
    assert_eq!(mean.of(&scores, &[6]).unwrap_err().found, "token 6 of 6");
    assert!(mean.of(&[f32::NAN], &[0]).is_err());
    for bad in [
        "median",
        "max_rolling_mean:0",
        "max_rolling_mean:",
        "max_rolling_mean:x",
        "ema:0",
        "ema:1.5",
        "ema:NaN",
        "ema:",
        "",
    ] {
        assert!(bad.parse::<Aggregation>().is_err(), "{bad}");
    }
    for (span, name) in Span::NAMES {
        assert_eq!(name.parse::<Span>().unwrap(), span);
        assert_eq!(span.to_string(), name);
    }
    insta::assert_snapshot!("a_span_that_is_none", "prompt".parse::<Span>().unwrap_err());
}

#[test]
fn calibration_measures_both_rates() {
    let control: Vec<f64> = (0..200).map(f64::from).collect();
    let honest: Vec<f64> = (100..300).map(f64::from).collect();
    let digest = "ab".repeat(32);
    let corpus = |scores| Corpus {
        digest: &digest,
        scores,
    };
    let calibration = calibrate(corpus(&control), Some(corpus(&honest)), 0.01).unwrap();
    assert!((calibration.threshold - 197.01).abs() < 1e-9);
    assert_eq!(
        (calibration.control.n, calibration.control.rate),
        (200, 0.01)
    );
    let (low, high) = stats::clopper_pearson(2, 200, 0.95);
    assert_eq!(
        (
            calibration.control.interval.low,
            calibration.control.interval.high
        ),
        (low, high)
    );
    assert_eq!(calibration.matched_honest.unwrap().rate, 0.51);
    // A detector that is silent on all of the control corpus raises no alarm there.
    let silent = calibrate(corpus(&[0.0; 50]), None, 0.01).unwrap();
    assert_eq!((silent.threshold, silent.control.rate), (0.0, 0.0));
    assert!(silent.control.interval.high > 0.05);
    for target in [0.0, 1.0, f64::NAN, -1.0] {
        assert!(calibrate(corpus(&control), None, target).is_err());
    }
    assert!(calibrate(corpus(&[]), None, 0.01).is_err());
    assert!(calibrate(corpus(&control), Some(corpus(&[])), 0.01).is_err());
    assert!(calibrate(corpus(&[f64::NAN]), None, 0.01).is_err());
}

/// Features 2 (more active on positives) and 5 (on negatives) carry the label, 7 is dead, the rest is noise.
fn features(n: usize) -> (Array2<f32>, Array2<f32>, Vec<String>) {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut side = |positive: bool| {
        Array2::from_shape_fn((n, 40), |(_, feature)| {
            let noise: f32 = random.random();
            match feature {
                2 if positive => noise + 2.0,
                5 if !positive => noise + 0.9,
                7 => 0.0,
                _ => noise,
            }
        })
    };
    let groups = (0..n).map(|row| format!("g{}", row / 2)).collect();
    (side(true), side(false), groups)
}

#[test]
fn features_that_carry_the_label_are_selected() {
    let (positives, negatives, groups) = features(60);
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let selection = Selection {
        resamples: 200,
        ..Selection::default()
    };
    let select = |selection: &Selection| {
        select_features(
            positives.view(),
            negatives.view(),
            &groups,
            &groups,
            selection,
        )
        .unwrap()
    };
    let found = select(&selection);
    let indices: Vec<usize> = found.iter().map(|feature| feature.index).collect();
    assert_eq!(indices, [2, 5]);
    assert_eq!(
        (found[0].sign, found[1].sign),
        (Sign::Positive, Sign::Negative)
    );
    assert_eq!(found[0].auroc, 1.0);
    assert!(
        found[0].auroc_interval.low < 1.0,
        "perfect separation is not certainty"
    );
    assert!(found[1].auroc > 0.95 && found[1].p_adjusted < 1e-10);
    // The number of hypotheses is that of live features: 39 of 40.
    let all = Selection {
        min_auroc: 0.0,
        max_p: 1.0,
        at_most: 100,
        ..selection
    };
    assert_eq!(select(&all).len(), 39);
    let one = Selection {
        at_most: 1,
        ..selection
    };
    assert_eq!(select(&one).len(), 1);
}

#[test]
fn bad_feature_activations_are_refused() {
    let (positives, negatives, groups) = features(4);
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let try_with = |positives: &Array2<f32>, negatives: &Array2<f32>, groups: &[&str]| {
        select_features(
            positives.view(),
            negatives.view(),
            groups,
            groups,
            &Selection::default(),
        )
    };
    assert!(try_with(&Array2::zeros((0, 40)), &negatives, &groups).is_err());
    assert!(try_with(&positives, &Array2::zeros((4, 39)), &groups).is_err());
    assert!(try_with(&positives, &negatives, &groups[1..]).is_err());
    let mut nan = negatives.clone();
    nan[[0, 0]] = f32::NAN;
    assert!(try_with(&positives, &nan, &groups).is_err());
}

#[test]
fn messages_for_bad_splits() {
    let item = |group, content| SplitItem {
        group,
        content,
        ..SplitItem::default()
    };
    let two = [item("a", "x"), item("b", "y")];
    let copies = [item("a", "same"), item("b", "same")];
    let faults = [
        folds(&two, 3, 0).unwrap_err(),
        folds(&two, 1, 0).unwrap_err(),
        folds(&copies, 2, 0).unwrap_err(),
        hold_out(&two[..1], 0.5, 0).unwrap_err(),
        hold_out(&two, 0.0, 0).unwrap_err(),
        hold_out(&copies, 0.5, 0).unwrap_err(),
    ];
    let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(all.join("\n\n"));
}

/// 40 groups of a positive and a negative item: the text betrays the label, the length does not.
#[test]
fn baselines_find_what_is_in_the_text() {
    let texts: Vec<String> = (0..80)
        .map(|row| {
            format!(
                "item{} says {} today",
                row / 2,
                if row % 2 == 0 { "sure" } else { "nope" }
            )
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let groups: Vec<String> = (0..80).map(|row| (row / 2).to_string()).collect();
    let labels: Vec<bool> = (0..80).map(|row| row % 2 == 0).collect();
    let items: Vec<SplitItem<'_>> = groups
        .iter()
        .zip(&texts)
        .map(|(group, content)| SplitItem {
            group,
            content,
            ..SplitItem::default()
        })
        .collect();
    let fold_of = folds(&items, 5, 1).unwrap();
    let options = TrainingOptions::default();
    assert_eq!(
        bag_of_words_auroc(&texts, &labels, &fold_of, options).unwrap(),
        1.0
    );
    let lengths: Vec<usize> = texts.iter().map(|text| text.len()).collect();
    assert_eq!(length_auroc(&lengths, &labels).unwrap(), 0.5);
    let telling: Vec<usize> = labels.iter().map(|label| usize::from(!label)).collect();
    assert_eq!(length_auroc(&telling, &labels).unwrap(), 1.0);
    let rows = Array2::from_shape_fn((80, 1), |(row, _)| if labels[row] { 1.0 } else { 0.0 });
    let set = TrainingSet::of_rows(rows.view(), &labels);
    let kind = ProbeKind::named("difference_of_means").unwrap();
    let permuted = permutation_auroc(kind, &set, &fold_of, options, 20, 3).unwrap();
    assert!((permuted - 0.5).abs() < 0.15, "{permuted}");
    let scores = kind.out_of_fold(&set, &fold_of, options).unwrap();
    assert!(
        scores
            .iter()
            .zip(&labels)
            .all(|(score, label)| (*score > 0.0) == *label)
    );
    assert!(permutation_auroc(kind, &set, &fold_of, options, 0, 3).is_err());
    assert!(bag_of_words_auroc(&["", ""], &[true, false], &[0, 1], options).is_err());
    assert!(length_auroc(&[1, 2], &[true]).is_err());
    assert!(length_auroc(&[1, 2], &[true, true]).is_err());
    assert!(kind.out_of_fold(&set, &fold_of[1..], options).is_err());
}

proptest! {
    #[test]
    fn a_group_is_never_split(groups in prop::collection::vec(0_u8..9, 2..60), k in 2_usize..5, seed: u64) {
        let names: Vec<String> = groups.iter().map(ToString::to_string).collect();
        let contents: Vec<String> = (0..groups.len()).map(|row| format!("item {row}")).collect();
        let items: Vec<SplitItem<'_>> = names.iter().zip(&contents).map(|(group, content)| SplitItem { group, content, ..SplitItem::default() }).collect();
        let distinct = groups.iter().collect::<std::collections::BTreeSet<_>>().len();
        match folds(&items, k, seed) {
            Err(_) => prop_assert!(distinct < k),
            Ok(fold_of) => {
                for (a, group) in groups.iter().enumerate() {
                    for (b, other) in groups.iter().enumerate() {
                        prop_assert!(group != other || fold_of[a] == fold_of[b]);
                    }
                }
                prop_assert!((0..k).all(|fold| fold_of.contains(&fold)));
                let mut reversed = items.clone();
                reversed.reverse();
                let mut again = folds(&reversed, k, seed).unwrap();
                again.reverse();
                prop_assert_eq!(again, fold_of);
            }
        }
        if distinct >= 2 {
            let split = hold_out(&items, 0.3, seed).unwrap();
            prop_assert!(!split.train.is_empty() && !split.held_out.is_empty());
            prop_assert_eq!(split.train.len() + split.held_out.len(), items.len());
            prop_assert!(split.train.iter().all(|a| split.held_out.iter().all(|b| groups[*a] != groups[*b])));
        }
    }

    /// Folding the z-scores into the probe changes nothing: shifting and scaling a column leaves the scores alone.
    #[test]
    fn scores_do_not_depend_on_the_scale_of_a_column(scale in 0.1_f32..10.0, shift in -5.0_f32..5.0) {
        let rows = array![[1.0_f32, 2.0], [2.0, 0.5], [3.0, 4.0], [2.5, 3.0], [0.0, 1.0]];
        let labels = [false, false, true, true, false];
        let kind = ProbeKind::named("logistic_regression").unwrap();
        let score = |rows: &Array2<f32>| {
            let set = TrainingSet::of_rows(rows.view(), &labels);
            kind.train(&set, TrainingOptions::default()).unwrap().scores(rows.view()).unwrap()
        };
        let mut changed = rows.clone();
        changed.column_mut(0).mapv_inplace(|value| value * scale + shift);
        for (a, b) in score(&rows).iter().zip(&score(&changed)) {
            prop_assert!((a - b).abs() < 1e-4);
        }
    }
}
