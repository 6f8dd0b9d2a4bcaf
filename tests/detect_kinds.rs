#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::format_push_string,
    reason = "references hold small whole numbers, and a test may stop"
)]
//! Kinds of probe that need more than rows and labels, against NumPy, SciPy, scikit-learn and PyTorch
//! (`fixtures/detect/make_kinds.py`).

use candor::detect::train::{About, ProbeKind, TrainingOptions, TrainingSet};
use candor::detect::{Aggregation, Probe};
use candor::tokens::Polarity;
use ndarray::{Array1, Array2, Axis, array, s};
use proptest::prelude::*;
use serde_json::Value;

fn cases() -> Value {
    serde_json::from_str(include_str!("fixtures/detect/kinds.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let array = value.as_array().unwrap();
    array.iter().map(|value| value.as_f64().unwrap()).collect()
}

fn matrix(value: &Value) -> Array2<f32> {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(numbers).collect();
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(row, column)| {
        rows[row][column] as f32
    })
}

fn labels(value: &Value) -> Vec<bool> {
    numbers(value).iter().map(|label| *label > 0.5).collect()
}

/// Items of one row each; each is the other's pair with the one beside it.
fn statements(case: &Value) -> (Array2<f32>, Vec<bool>, Vec<About>) {
    let polarity = labels(&case["polarity"]);
    let about = numbers(&case["dataset"])
        .iter()
        .zip(polarity)
        .enumerate()
        .map(|(item, (dataset, affirms))| About {
            item,
            dataset: usize::from(*dataset > 0.5),
            polarity: Some(if affirms {
                Polarity::Affirmative
            } else {
                Polarity::Negated
            }),
            pair: Some(item ^ 1),
        })
        .collect();
    (matrix(&case["rows"]), labels(&case["labels"]), about)
}

#[test]
fn statements_and_their_negations() {
    let case = &cases()["statements"];
    let (rows, labels, about) = statements(case);
    let set = TrainingSet {
        rows: rows.view(),
        labels: &labels,
        about: &about,
    };
    // A least-squares or eigenvector solution has four digits; a search from other starts agrees to three.
    for (name, tolerance) in [("ttpd", 1e-4), ("lat", 1e-4), ("ccs", 2e-3)] {
        let kind = ProbeKind::named(name).unwrap();
        let probe = kind.train(&set, TrainingOptions::default()).unwrap();
        let expected = &case[name];
        let close = |found: f32, expected: f64| {
            let apart = (f64::from(found) - expected).abs();
            assert!(
                apart < tolerance * expected.abs().max(1.0),
                "{name}: {found} {expected}"
            );
        };
        for (found, expected) in probe.weight.iter().zip(numbers(&expected["weight"])) {
            close(*found, expected);
        }
        close(probe.bias[0], expected["bias"].as_f64().unwrap());
    }
}

/// Sum of the items' logistic losses and the penalty on weights of z-scored rows.
fn loss(probe: &Probe, aggregation: Aggregation, set: &TrainingSet<'_>, penalty: f64) -> f64 {
    let scores = probe.token_scores(set.rows).unwrap();
    let items = 1 + set.about.last().unwrap().item;
    let mut total = 0.0;
    for item in 0..items {
        let of_item = set.about.iter().enumerate();
        let span: Vec<usize> = of_item
            .filter(|(_, about)| about.item == item)
            .map(|(row, _)| row)
            .collect();
        let score = aggregation.of_columns(scores.view(), &span).unwrap();
        let sign = if set.labels[span[0]] { 1.0 } else { -1.0 };
        total += (1.0 + (-sign * score).exp()).ln();
    }
    let rows = set.rows.mapv(f64::from);
    let spread = rows.std_axis(Axis(0), 0.0);
    let scaled = &probe.weight.mapv(f64::from) * &spread.insert_axis(Axis(1));
    total + penalty / 2.0 * scaled.iter().map(|w| w * w).sum::<f64>()
}

#[test]
fn pooling_probes_reach_the_loss_that_torch_reaches() {
    for name in ["attention", "multimax"] {
        let case = &cases()[name];
        let kind = ProbeKind::named(name).unwrap();
        let aggregation = kind.pooling.unwrap();
        let example = matrix(&case["example"]);
        let span: Vec<usize> = (0..example.nrows()).collect();
        let pooled = aggregation.of_columns(example.view(), &span).unwrap();
        let expected = case["pooled"].as_f64().unwrap();
        assert!(
            (pooled - expected).abs() < 1e-6,
            "{name}: {pooled} {expected}"
        );
        let shown = aggregation.by_token(example.view(), &span).unwrap();
        let sum: f64 = shown.iter().copied().map(f64::from).sum();
        assert!((sum - pooled).abs() < 1e-5, "{name}: {sum} {pooled}");

        let rows = matrix(&case["rows"]);
        let of_item = labels(&case["labels"]);
        let item: Vec<usize> = numbers(&case["item"])
            .iter()
            .map(|at| *at as usize)
            .collect();
        let labels: Vec<bool> = item.iter().map(|item| of_item[*item]).collect();
        let about: Vec<About> = item
            .iter()
            .map(|item| About {
                item: *item,
                dataset: 0,
                polarity: None,
                pair: None,
            })
            .collect();
        let set = TrainingSet {
            rows: rows.view(),
            labels: &labels,
            about: &about,
        };
        let penalty = case["penalty"].as_f64().unwrap();
        let options = TrainingOptions {
            lambda: penalty,
            ..TrainingOptions::default()
        };
        let probe = kind.train(&set, options).unwrap();
        let (found, best) = (
            loss(&probe, aggregation, &set, penalty),
            case["loss"].as_f64().unwrap(),
        );
        assert!(found <= best * 1.02, "{name}: {found}, torch {best}");
    }
}

#[test]
fn what_a_kind_needs_is_named() {
    let rows = array![[1.0_f32, 2.0], [3.0, 4.0], [0.5, 1.0], [2.0, 2.0]];
    let labels = [true, false, true, false];
    let about = |polarity: Option<Polarity>, paired: bool| -> Vec<About> {
        (0..4)
            .map(|item| About {
                item,
                dataset: 0,
                polarity,
                pair: paired.then_some(item ^ 1),
            })
            .collect()
    };
    let mut all = String::new();
    for (name, about) in [
        ("ttpd", about(None, false)),
        ("ttpd", about(Some(Polarity::Negated), false)),
        ("lat", about(None, false)),
        ("ccs", about(None, true)),
    ] {
        let set = TrainingSet {
            rows: rows.view(),
            labels: &labels,
            about: &about,
        };
        let kind = ProbeKind::named(name).unwrap();
        let fault = kind.train(&set, TrainingOptions::default()).unwrap_err();
        all += &format!("{fault}\n\n");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn pooling_refuses_columns_that_do_not_fit() {
    let odd = Array2::<f32>::zeros((3, 3));
    let fault = Aggregation::Attention.of_columns(odd.view(), &[0]);
    assert_eq!(fault.unwrap_err().found, "3 columns for `attention`");
    assert!(Aggregation::Mean.of_columns(odd.view(), &[0]).is_err());
    assert!(
        Aggregation::SumOfMaxima
            .of_columns(odd.view(), &[])
            .is_err()
    );
    assert!(
        Aggregation::SumOfMaxima
            .of_columns(odd.view(), &[3])
            .is_err()
    );
    assert!(Aggregation::Attention.of(&[0.0], &[0]).is_err());
}

proptest! {
    /// Tokens outside the span count for nothing, and what is shown of tokens adds up to the score.
    #[test]
    fn parts_add_up(values in prop::collection::vec(-5.0_f32..5.0, 24), first in 0_usize..3) {
        let scores = Array1::from_vec(values).into_shape_with_order((6, 4)).unwrap();
        let span: Vec<usize> = (first..5).collect();
        for aggregation in [Aggregation::Attention, Aggregation::SumOfMaxima] {
            let whole = aggregation.of_columns(scores.view(), &span).unwrap();
            let shown = aggregation.by_token(scores.view(), &span).unwrap();
            let sum: f64 = shown.iter().copied().map(f64::from).sum();
            prop_assert!((sum - whole).abs() < 1e-4);
            let mut other = scores.clone();
            other.slice_mut(s![5.., ..]).fill(100.0);
            prop_assert_eq!(aggregation.of_columns(other.view(), &span).unwrap(), whole);
        }
    }
}
