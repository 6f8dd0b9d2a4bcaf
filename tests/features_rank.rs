//! Ranking SAE features: against SciPy and scikit-learn, and the sparse statistics against the dense ones.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test may stop, and asks for equal bits"
)]

use candor::detect::{FeatureActs, Selection, Sign, best_features, rank_features, select_features};
use candor::stats::{Adjustment, Resamples, SparseScores, auroc, auroc_interval, mann_whitney_p};
use ndarray::{Array2, Axis};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    acts: Vec<Vec<f32>>,
    labels: Vec<u8>,
    groups: Vec<String>,
    features: Vec<Feature>,
}

#[derive(Deserialize)]
struct Feature {
    index: usize,
    auroc: f64,
    sign: i8,
    p: f64,
    bh: f64,
    bonferroni: f64,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("fixtures/detect/ranking.json")).unwrap()
}

fn sparse(rows: &[Vec<f32>]) -> FeatureActs {
    let mut acts = FeatureActs::new(rows[0].len());
    for row in rows {
        let active: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
        acts.push(&active).unwrap();
    }
    acts
}

#[test]
fn ranks_are_those_of_scipy_and_scikit_learn() {
    let reference = reference();
    let labels: Vec<bool> = reference.labels.iter().map(|label| *label == 1).collect();
    let groups: Vec<&str> = reference.groups.iter().map(String::as_str).collect();
    let acts = sparse(&reference.acts);
    let rank = |adjustment| rank_features(&acts, &labels, &groups, adjustment, 200, 1).unwrap();
    let (bh, bonferroni) = (
        rank(Adjustment::BenjaminiHochberg),
        rank(Adjustment::Bonferroni),
    );
    assert_eq!(
        bh.len(),
        reference.features.len(),
        "dead features are left out"
    );
    for expected in &reference.features {
        let of = |ranked: &[candor::detect::RankedFeature]| {
            *ranked
                .iter()
                .find(|feature| feature.index == expected.index)
                .unwrap()
        };
        let found = of(&bh);
        let sign = if expected.sign > 0 {
            Sign::Positive
        } else {
            Sign::Negative
        };
        assert_eq!(found.sign, sign, "feature {}", expected.index);
        let near = |a: f64, b: f64| assert!((a - b).abs() <= 1e-10 * b.abs().max(1e-3), "{a} {b}");
        near(found.auroc.point, expected.auroc);
        near(found.p, expected.p);
        near(found.p_adjusted, expected.bh);
        near(of(&bonferroni).p_adjusted, expected.bonferroni);
        assert!(found.auroc.low <= found.auroc.point && found.auroc.point <= found.auroc.high);
    }
    assert!(
        bh.windows(2)
            .all(|pair| pair[0].auroc.point >= pair[1].auroc.point)
    );
    assert_eq!((bh[0].index, bh[1].index), (0, 1));
    assert_eq!(best_features(&acts, &labels, &groups, 2).unwrap(), [0, 1]);
    // The same through matrices of positives and negatives.
    let selection = Selection {
        min_auroc: 0.0,
        max_p: 1.0,
        at_most: 100,
        resamples: 200,
        seed: 1,
        ..Selection::default()
    };
    let side = |wanted: bool| -> (Array2<f32>, Vec<&str>) {
        let rows: Vec<usize> = (0..labels.len())
            .filter(|row| labels[*row] == wanted)
            .collect();
        let all = Array2::from_shape_fn((labels.len(), acts.d_sae()), |(row, column)| {
            reference.acts[row][column]
        });
        let groups = rows.iter().map(|row| groups[*row]).collect();
        (all.select(Axis(0), &rows), groups)
    };
    let ((positive, with), (negative, without)) = (side(true), side(false));
    let selected = select_features(
        positive.view(),
        negative.view(),
        &with,
        &without,
        &selection,
    )
    .unwrap();
    assert_eq!(selected, selection.of(&bh));
}

#[test]
fn items_can_be_taken_out_and_reordered() {
    let acts = sparse(&[vec![0.0, 1.0], vec![2.0, 0.0], vec![3.0, -4.0]]);
    let of = acts.of(&[2, 0]);
    assert_eq!((of.items(), of.d_sae()), (2, 2));
    assert_eq!(of.dense(0), [3.0, 0.0]);
    assert_eq!(of.dense(1), [-4.0, 1.0]);
    assert_eq!(of.matrix(&[1]).into_raw_vec_and_offset().0, [-4.0, 1.0]);
}

#[test]
fn bad_activations_and_labels_are_refused() {
    let mut acts = FeatureActs::new(2);
    assert!(acts.push(&[(0, f32::NAN)]).is_err());
    assert!(acts.push(&[(2, 1.0)]).is_err());
    let acts = sparse(&[vec![0.0, 1.0], vec![2.0, 0.0]]);
    let rank = |labels: &[bool], groups: &[&str], resamples| {
        rank_features(&acts, labels, groups, Adjustment::Bonferroni, resamples, 0)
    };
    for fault in [
        rank(&[true, true], &["a", "b"], 10),
        rank(&[true], &["a"], 10),
        rank(&[true, false], &["a"], 10),
        rank(&[true, false], &["a", "b"], 0),
    ] {
        assert!(!fault.unwrap_err().found.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// To the last bit, whatever the ties, zeros, signs and groups.
    #[test]
    fn sparse_statistics_are_the_dense_ones(
        rows in prop::collection::vec((-2_i8..3, any::<bool>(), 0_u8..6), 4..40),
        seed in any::<u64>(),
        mirrored in any::<bool>(),
    ) {
        let labels: Vec<bool> = rows.iter().map(|row| row.1).collect();
        prop_assume!(labels.iter().any(|label| *label) && labels.iter().any(|label| !label));
        let groups: Vec<String> = rows.iter().map(|row| row.2.to_string()).collect();
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.0) / 3.0).collect();
        #[allow(clippy::cast_possible_truncation, reason = "made from single precision below")]
        let entries: Vec<(u32, f32)> = (0..).zip(scores.iter().map(|score| *score as f32)).collect();
        let scores: Vec<f64> = entries.iter().map(|(_, score)| f64::from(*score)).collect();
        let sparse = SparseScores::new(entries);
        let sample = Resamples::draw(&labels, &groups, 50, seed).unwrap();
        let side = |wanted: bool| -> Vec<f64> {
            scores.iter().zip(&labels).filter(|(_, label)| **label == wanted).map(|(score, _)| *score).collect()
        };
        prop_assert_eq!(Some(sample.point(&sparse)), auroc(&side(true), &side(false)));
        prop_assert_eq!(Some(sample.mann_whitney_p(&sparse)), mann_whitney_p(&side(true), &side(false)));
        let turned: Vec<f64> = scores.iter().map(|score| if mirrored { -score } else { *score }).collect();
        match (sample.auroc(&sparse, mirrored), auroc_interval(&turned, &labels, &groups, 50, seed)) {
            (Ok(one), Ok(other)) => prop_assert_eq!(one, other),
            (Err(one), Err(other)) => prop_assert_eq!(one.found, other.found),
            (one, other) => prop_assert!(false, "{:?} {:?}", one, other),
        }
    }
}
