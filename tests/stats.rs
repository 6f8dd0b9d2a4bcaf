#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::doc_markdown,
    clippy::too_many_lines,
    clippy::format_push_string,
    clippy::similar_names,
    clippy::needless_pass_by_value,
    reason = "tests may unwrap, compare exactly and list many cases"
)]
//! Statistics against values recorded from SciPy, NumPy and scikit-learn (`fixtures/stats/make_reference.py`), and their
//! properties.

use candor::stats::{
    Adjustment, Resampling, adjusted, auroc, auroc_interval, bounded_mean, cases_needed,
    clopper_pearson, clopper_pearson_upper, clustered_bootstrap, clustered_bootstrap_of,
    clustered_mean, empirical_p, mann_whitney_p, mean, midranks, non_inferiority_pairs,
    non_inferiority_power, power_of_share, proportion, proportion_at, quantile, share_for, std,
    trials_for_bound, trials_for_power,
};
use proptest::prelude::*;
use serde_json::Value;

fn reference() -> Value {
    serde_json::from_str(include_str!("fixtures/stats/reference.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let array = value.as_array().unwrap();
    array.iter().map(|value| value.as_f64().unwrap()).collect()
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    let difference = (found - expected).abs();
    assert!(
        difference <= tolerance * expected.abs().max(1e-3),
        "found {found}, expected {expected}"
    );
}

#[test]
fn clopper_pearson_equals_scipy() {
    for case in reference()["binomial"].as_array().unwrap() {
        let count = |name: &str| usize::try_from(case[name].as_u64().unwrap()).unwrap();
        let (k, n) = (count("k"), count("n"));
        let (low, high) = clopper_pearson(k, n, 0.95);
        close(low, case["low"].as_f64().unwrap(), 1e-8);
        close(high, case["high"].as_f64().unwrap(), 1e-8);
        let upper = clopper_pearson_upper(k, n, 0.95);
        close(upper, case["upper"].as_f64().unwrap(), 1e-8);
    }
}

#[test]
fn exact_intervals_of_very_many_trials_end() {
    let (low, high) = clopper_pearson(1, 10_000_000, 0.95);
    assert!(0.0 < low && low < 1e-7 && 1e-7 < high && high < 1e-6);
}

fn power_reference() -> Value {
    serde_json::from_str(include_str!("fixtures/stats/power.json")).unwrap()
}

fn cases<'a>(reference: &'a Value, name: &str) -> &'a Vec<Value> {
    reference[name].as_array().unwrap()
}

fn real(case: &Value, name: &str) -> f64 {
    case[name].as_f64().unwrap()
}

fn count(case: &Value, name: &str) -> usize {
    usize::try_from(case[name].as_u64().unwrap()).unwrap()
}

/// Every row of the table of sample sizes, as SciPy has it too (`fixtures/stats/make_power.py`).
#[test]
fn samples_of_the_published_table() {
    let reference = power_reference();
    let bounds = cases(&reference, "for_bound");
    let expected = [59, 93, 124, 299, 473, 628, 528, 688];
    assert_eq!(bounds.len(), expected.len());
    for (case, expected) in bounds.iter().zip(expected) {
        let (k, bound, confidence) = (
            count(case, "cases"),
            real(case, "bound"),
            real(case, "confidence"),
        );
        let found = trials_for_bound(k, bound, confidence);
        assert_eq!((found, count(case, "trials")), (Some(expected), expected));
    }
    for (case, expected) in cases(&reference, "for_power").iter().zip([203, 263]) {
        let found = trials_for_power(0.95, 0.9, 0.95, real(case, "power"), 400);
        assert_eq!((found, count(case, "trials")), (Some(expected), expected));
    }
    let pairs = cases(&reference, "non_inferiority").iter();
    for (case, expected) in pairs.zip([248, 687, 1546]) {
        let (discordant, margin) = (real(case, "discordant"), real(case, "margin"));
        let found = non_inferiority_pairs(discordant, margin, 0.05, 0.8);
        assert_eq!((found, count(case, "pairs")), (expected as f64, expected));
        let power = |n: usize| non_inferiority_power(n as f64, discordant, margin, 0.05);
        assert!(power(expected) >= 0.8 && power(expected - 1) < 0.8);
    }
}

#[test]
fn what_a_sample_finds_equals_scipy_and_statsmodels() {
    for case in cases(&power_reference(), "detectable") {
        let (n, bar, confidence) = (
            count(case, "n"),
            real(case, "bar"),
            real(case, "confidence"),
        );
        let needed = cases_needed(n, bar, confidence);
        assert_eq!(needed, Some(count(case, "cases")));
        let found = share_for(needed.unwrap(), n, real(case, "power"));
        close(found, real(case, "share"), 1e-9);
        close(
            power_of_share(n, found, bar, confidence),
            real(case, "power"),
            1e-9,
        );
    }
}

#[test]
fn samples_that_show_nothing_say_so() {
    // Three of three have a lower end of 0.29.
    assert_eq!(cases_needed(3, 0.5, 0.95), None);
    assert_eq!(cases_needed(0, 0.1, 0.95), None);
    assert_eq!(power_of_share(3, 1.0, 0.5, 0.95), 0.0);
    assert_eq!(trials_for_bound(0, 0.0, 0.95), None);
    assert_eq!(trials_for_power(0.95, 0.9, 0.95, 0.8, 100), None);
    assert_eq!(non_inferiority_pairs(0.1, 0.0, 0.05, 0.8), f64::INFINITY);
    assert_eq!(non_inferiority_power(10.0, 0.0, 0.05, 0.05), 1.0);
    // Everything is at least nothing.
    assert_eq!(cases_needed(5, 0.0, 0.95), Some(0));
    assert_eq!(share_for(0, 5, 0.8), 0.0);
}

#[test]
fn intervals_at_a_higher_confidence_hold_those_at_a_lower_one() {
    let groups: Vec<String> = (0..30).map(|group| format!("g{group}")).collect();
    let values: Vec<(&str, f64)> = groups
        .iter()
        .enumerate()
        .map(|(at, group)| (group.as_str(), f64::from(u8::from(at % 3 == 0))))
        .collect();
    let mut last = bounded_mean(&values, (0.0, 1.0), &Resampling::at_95(1000, 0)).unwrap();
    let mut exact = proportion(10, 30).unwrap();
    for rules in [2, 5, 10, 50] {
        let how = Resampling {
            confidence: 1.0 - 0.05 / f64::from(rules),
            resamples: 1000 * usize::try_from(rules).unwrap(),
            seed: 0,
        };
        let wider = bounded_mean(&values, (0.0, 1.0), &how).unwrap();
        assert!(
            wider.low <= last.low && wider.high >= last.high,
            "{wider:?}"
        );
        assert!(wider.high - wider.low > last.high - last.low);
        last = wider;
        let wider = proportion_at(10, 30, how.confidence).unwrap();
        assert!(wider.low < exact.low && wider.high > exact.high);
        exact = wider;
    }
}

/// What a mean over clusters is, the slow way: every drawn value added up.
#[test]
fn adding_up_clusters_gives_the_mean_of_their_values() {
    let clusters = ["a", "a", "a", "b", "b", "c", "d", "d"];
    let numbers = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, -1.0, 1.0];
    let values: Vec<(&str, f64)> = clusters.into_iter().zip(numbers).collect();
    let fast = clustered_bootstrap(&values, 500, 3).unwrap();
    let slow = clustered_bootstrap_of(&clusters, None, 500, 3, |rows| {
        let drawn: Vec<f64> = rows.iter().map(|row| numbers[*row]).collect();
        mean(&drawn)
    })
    .unwrap();
    assert_eq!(fast, slow);
}

/// `k` of the groups, each of `size` items, with `cases` items of which something holds.
fn rare(groups: &[String], size: usize, cases: &[usize]) -> Vec<(String, f64)> {
    let items = groups.iter().enumerate().flat_map(|(at, group)| {
        let held = cases.get(at).copied().unwrap_or(0);
        (0..size).map(move |item| (group.clone(), f64::from(u8::from(item < held))))
    });
    items.collect()
}

fn bound(values: &[(String, f64)], how: &Resampling) -> candor::stats::Estimate {
    let values: Vec<(&str, f64)> = values.iter().map(|(g, v)| (g.as_str(), *v)).collect();
    bounded_mean(&values, (0.0, 1.0), how).unwrap()
}

/// Gaffke's bound for groups that are all or nothing is the exact one of as many trials, whatever the groups' size.
#[test]
fn bounds_of_yes_or_no_over_groups_are_clopper_pearson() {
    let groups: Vec<String> = (0..40).map(|group| format!("g{group:02}")).collect();
    let how = Resampling::at_95(40_000, 5);
    for case in reference()["binomial"].as_array().unwrap() {
        let (k, n) = (count(case, "k"), count(case, "n"));
        if !(2..=40).contains(&n) {
            continue;
        }
        let found = bound(&rare(&groups[..n], 3, &vec![3; k]), &how);
        assert!((found.low - real(case, "low")).abs() < 0.01, "{k} of {n}");
        assert!((found.high - real(case, "high")).abs() < 0.01, "{k} of {n}");
        close(found.point, k as f64 / n as f64, 1e-12);
        assert_eq!((found.n, found.clusters), (3 * n, n));
    }
}

#[test]
fn more_cases_never_bound_a_rate_lower() {
    let groups: Vec<String> = (0..16).map(|group| format!("g{group:02}")).collect();
    let how = Resampling::at_95(4000, 1);
    let mut last = bound(&rare(&groups, 8, &[]), &how);
    close(last.high, clopper_pearson(0, 16, 0.95).1, 1e-9);
    for cases in 1..=16 {
        let found = bound(&rare(&groups, 8, &vec![1; cases]), &how);
        // A bootstrap of 1 case of 128 says: at most 0.023.
        assert!(
            found.high > last.high - 0.02,
            "{cases}: {found:?} after {last:?}"
        );
        assert!(found.low >= last.low, "{cases}: {found:?} after {last:?}");
        last = found;
    }
}

/// Of 400 samples of 16 groups, of which a share `prone` has the case in a share `within` of its eight items: how many bounds lie below the
/// true rate and how many above, and how many upper ends of a bootstrap below.
fn misses(prone: f64, within: f64) -> [usize; 3] {
    use rand::{Rng, SeedableRng};
    let groups: Vec<String> = (0..16).map(|group| format!("g{group:02}")).collect();
    let rate = prone * within;
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    let mut misses = [0; 3];
    for _ in 0..400 {
        let mut cases = || {
            let prone = random.random_bool(prone);
            let mut case = |_: &i32| prone && random.random_bool(within);
            (0..8).filter(|item| case(item)).count()
        };
        let cases: Vec<usize> = groups.iter().map(|_| cases()).collect();
        let items = rare(&groups, 8, &cases);
        let found = bound(&items, &Resampling::at_95(1000, 0));
        let items: Vec<(&str, f64)> = items.iter().map(|(g, v)| (g.as_str(), *v)).collect();
        let drawn = clustered_bootstrap(&items, 1000, 0).unwrap();
        let seen = [found.high < rate, found.low > rate, drawn.high < rate];
        for (count, missed) in misses.iter_mut().zip(seen) {
            *count += usize::from(missed);
        }
    }
    misses
}

#[test]
fn bounds_hold_the_rate_as_often_as_they_say() {
    // 2.5 % of 400 are 10; 22 is four standard errors more.
    for (prone, within) in [(0.1, 0.3), (0.4, 0.6), (0.9, 0.9)] {
        let [below, above, _] = misses(prone, within);
        assert!(below <= 22, "{below} lie below {prone} × {within}");
        assert!(above <= 22, "{above} lie above {prone} × {within}");
    }
    let [_, _, bootstrap] = misses(0.1, 0.3);
    assert!(bootstrap > 22, "the test has no teeth: {bootstrap}");
}

#[test]
fn every_group_counts_once_and_values_outside_are_refused() {
    let how = Resampling::at_95(2000, 2);
    let values = [("a", 1.0), ("b", 0.0), ("b", 0.0), ("b", 0.0), ("c", 0.0)];
    let found = bounded_mean(&values, (0.0, 1.0), &how).unwrap();
    close(found.point, 1.0 / 3.0, 1e-12);
    assert_eq!((found.n, found.clusters), (5, 3));
    let alone = [("a", 1.0), ("b", 0.0), ("c", 0.0)];
    let alone = bounded_mean(&alone, (0.0, 1.0), &how).unwrap();
    assert_eq!((found.low, found.high), (alone.low, alone.high));
    let same = bounded_mean(&[("a", 0.5), ("b", 0.5)], (-1.0, 1.0), &how).unwrap();
    let share = clopper_pearson(0, 2, 0.95).1;
    close(same.low, 0.5 - share * 1.5, 1e-12);
    close(same.high, 0.5 + share * 0.5, 1e-12);
    for bad in [1.5, f64::NAN, f64::INFINITY] {
        assert!(bounded_mean(&[("a", bad)], (0.0, 1.0), &how).is_err());
    }
    assert!(bounded_mean(&[], (0.0, 1.0), &how).is_err());
    assert!(bounded_mean(&[("a", 0.5)], (0.0, 1.0), &Resampling::at_95(0, 0)).is_err());
}

#[test]
fn means_of_groups_equal_scipys_t_intervals() {
    for case in reference()["student"].as_array().unwrap() {
        let clusters = case["clusters"].as_array().unwrap();
        let names: Vec<String> = (0..clusters.len()).map(|at| format!("g{at}")).collect();
        let values = clusters.iter().zip(&names).flat_map(|(cluster, name)| {
            let values = cluster.as_array().unwrap().iter();
            values.map(|value| (name.as_str(), value.as_f64().unwrap()))
        });
        let found = clustered_mean(&values.collect::<Vec<_>>()).unwrap();
        close(found.point, real(case, "mean"), 1e-12);
        close(found.low, real(case, "low"), 1e-9);
        close(found.high, real(case, "high"), 1e-9);
        assert_eq!(found.clusters, clusters.len());
    }
}

#[test]
fn groups_without_a_spread_say_how_many_they_are_and_no_more() {
    let share = clopper_pearson(0, 3, 0.95).1;
    let alike = clustered_mean(&[("a", 0.9), ("b", 0.9), ("c", 0.9)]).unwrap();
    close(alike.low, 0.9 - share * 0.9, 1e-12);
    close(alike.high, 0.9 + share * 0.1, 1e-12);
    for values in [&[("a", 1.2), ("b", 1.2)][..], &[("a", 1.5), ("a", 2.5)]] {
        let found = clustered_mean(values).unwrap();
        assert_eq!((found.low, found.high), (f64::NEG_INFINITY, f64::INFINITY));
    }
    assert!(clustered_mean(&[]).is_err());
    assert!(clustered_mean(&[("a", f64::NAN)]).is_err());
}

/// A tenth of the groups have 20 items and all the cases, the others one: weighted by items, the bound lay below the mean in half of the
/// samples of 40 groups.
#[test]
fn few_large_groups_do_not_take_the_bound_below_the_rate() {
    use rand::{Rng, SeedableRng};
    let names: Vec<String> = (0..40).map(|group| format!("g{group:02}")).collect();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let (prone, within) = (0.1, 0.3);
    let (mut below, mut by_items) = (0, 0);
    for _ in 0..400 {
        let mut items: Vec<(&str, f64)> = Vec::new();
        for name in &names {
            let large = random.random_bool(prone);
            let size = if large { 20 } else { 1 };
            let mut case = || f64::from(u8::from(large && random.random_bool(within)));
            items.extend((0..size).map(|_| (name.as_str(), case())));
        }
        let found = bounded_mean(&items, (0.0, 1.0), &Resampling::at_95(1000, 0)).unwrap();
        below += usize::from(found.high < prone * within);
        // What such a sample says of the share of items: 2.9 of them are in large groups for each that is not.
        let share = prone * 20.0 * within / (prone * 20.0 + 1.0 - prone);
        by_items += usize::from(found.high < share);
    }
    // 2.5 % of 400 are 10; 22 is four standard errors more.
    assert!(below <= 22, "{below}");
    assert!(by_items > 200, "it is another mean: {by_items}");
}

/// The table of sample sizes in the report's documentation rests on these.
#[test]
fn claims_need_the_published_sample_sizes() {
    for (k, n, bound) in [
        (0, 59, 0.05),
        (1, 93, 0.05),
        (2, 124, 0.05),
        (0, 299, 0.01),
        (1, 473, 0.01),
        (2, 628, 0.01),
    ] {
        assert!(clopper_pearson_upper(k, n, 0.95) <= bound, "{k} of {n}");
        assert!(clopper_pearson_upper(k, n - 1, 0.95) > bound, "{k} of {n}");
    }
}

#[test]
fn no_trials_tell_nothing() {
    assert_eq!(clopper_pearson(0, 0, 0.95), (0.0, 1.0));
    assert_eq!(proportion(0, 0), None);
    assert_eq!(mean(&[]), None);
    assert_eq!(std(&[1.0]), None);
    assert_eq!(quantile(&[], 0.5), None);
    assert_eq!(quantile(&[1.0, f64::NAN], 0.5), None);
    assert_eq!(quantile(&[1.0], 1.5), None);
    assert_eq!(auroc(&[], &[1.0]), None);
    assert_eq!(auroc(&[f64::NAN], &[1.0]), None);
}

#[test]
fn rank_statistics_equal_scipy_and_scikit_learn() {
    for case in reference()["ranks"].as_array().unwrap() {
        let (positives, negatives) = (numbers(&case["positives"]), numbers(&case["negatives"]));
        let expected = case["auroc"].as_f64().unwrap();
        close(auroc(&positives, &negatives).unwrap(), expected, 1e-12);
        let p = mann_whitney_p(&positives, &negatives).unwrap();
        close(p, case["p"].as_f64().unwrap(), 1e-9);
        let all = [positives, negatives].concat();
        assert_eq!(midranks(&all), numbers(&case["midranks"]));
    }
}

#[test]
fn summaries_equal_numpy() {
    for case in reference()["summary"].as_array().unwrap() {
        let values = numbers(&case["values"]);
        close(
            mean(&values).unwrap(),
            case["mean"].as_f64().unwrap(),
            1e-12,
        );
        close(std(&values).unwrap(), case["std"].as_f64().unwrap(), 1e-12);
        for (q, expected) in numbers(&case["q"]).iter().zip(numbers(&case["quantiles"])) {
            close(quantile(&values, *q).unwrap(), expected, 1e-12);
        }
    }
}

#[test]
fn adjusted_p_values_equal_scipy() {
    let reference = &reference()["multiplicity"];
    let p = numbers(&reference["p"]);
    for (adjustment, name) in [
        (Adjustment::BenjaminiHochberg, "benjamini_hochberg"),
        (Adjustment::Bonferroni, "bonferroni"),
    ] {
        let expected = numbers(&reference[name]);
        for (found, expected) in adjusted(&p, adjustment).into_iter().zip(expected) {
            close(found, expected, 1e-12);
        }
    }
}

/// Clusters are of equal size here, so SciPy's bootstrap over cluster means is the same thing; what is left is Monte
/// Carlo error.
#[test]
fn cluster_bootstrap_equals_scipy() {
    let reference = &reference()["bootstrap"];
    let clusters = reference["clusters"].as_array().unwrap();
    let names: Vec<String> = (0..clusters.len()).map(|c| format!("c{c}")).collect();
    let mut values = Vec::new();
    for (name, cluster) in names.iter().zip(clusters) {
        values.extend(
            numbers(cluster)
                .into_iter()
                .map(|value| (name.as_str(), value)),
        );
    }
    let estimate = clustered_bootstrap(&values, 20_000, 3).unwrap();
    assert!((estimate.low - reference["low"].as_f64().unwrap()).abs() < 0.02);
    assert!((estimate.high - reference["high"].as_f64().unwrap()).abs() < 0.02);
    assert_eq!((estimate.n, estimate.clusters), (200, 40));
    // Taking the rows for independent would make the interval narrower by about the square root of 5.
    let single: Vec<String> = (0..values.len()).map(|row| row.to_string()).collect();
    let rows: Vec<(&str, f64)> = single
        .iter()
        .zip(&values)
        .map(|(name, (_, value))| (name.as_str(), *value))
        .collect();
    let naive = clustered_bootstrap(&rows, 2_000, 3).unwrap();
    assert!(naive.high - naive.low < 0.6 * (estimate.high - estimate.low));
}

#[test]
fn a_rate_of_nought_is_not_certainty() {
    let names: Vec<String> = (0..59).map(|name| name.to_string()).collect();
    let all = |value: f64| -> Vec<(&str, f64)> {
        names.iter().map(|name| (name.as_str(), value)).collect()
    };
    let never = clustered_bootstrap(&all(0.0), 200, 1).unwrap();
    let exact = clopper_pearson(0, 59, 0.95);
    assert_eq!((never.point, never.low, never.high), (0.0, 0.0, exact.1));
    let always = clustered_bootstrap(&all(1.0), 200, 1).unwrap();
    let exact = clopper_pearson(59, 59, 0.95);
    assert_eq!((always.point, always.high), (1.0, 1.0));
    close(always.low, exact.0, 1e-12);
    // Means of unequal groups of one value differ in the last digit only.
    let uneven: Vec<(&str, f64)> = (0..40)
        .map(|row| (["a", "b", "c"][row % 7 % 3], 0.7))
        .collect();
    let constant = clustered_bootstrap(&uneven, 200, 1).unwrap();
    assert!(constant.low < 0.3 && constant.high > 0.85);
    // A constant that has no known bounds: nothing can be said.
    let effect = clustered_bootstrap(&all(3.2), 200, 1).unwrap();
    assert_eq!(
        (effect.low, effect.high),
        (f64::NEG_INFINITY, f64::INFINITY)
    );
    // One group, however many items, is one observation.
    let one = clustered_bootstrap(&[("a", 0.0), ("a", 1.0)], 200, 1).unwrap();
    assert_eq!((one.point, one.clusters), (0.5, 1));
    assert!(one.low < 0.02 && one.high > 0.98);
}

#[test]
fn perfect_separation_is_not_certainty() {
    let scores = [0.0, 0.1, 0.2, 5.0, 5.1, 5.2];
    let labels = [false, false, false, true, true, true];
    let few = auroc_interval(&scores, &labels, &["a", "b", "c", "a", "b", "c"], 300, 1).unwrap();
    assert_eq!((few.point, few.high), (1.0, 1.0));
    let missed = clopper_pearson(0, 3, 0.95).1;
    close(few.low, 1.0 - missed, 1e-12);
}

#[test]
fn bad_samples_are_refused() {
    assert!(clustered_bootstrap(&[], 10, 0).is_err());
    assert!(clustered_bootstrap(&[("a", 1.0)], 0, 0).is_err());
    let fault = clustered_bootstrap(&[("a", f64::NAN)], 10, 0).unwrap_err();
    assert!(fault.found.contains("NaN in group `a`") || fault.found.contains("group `a`"));
    assert!(auroc_interval(&[1.0], &[true], &["a"], 10, 0).is_err());
    assert!(auroc_interval(&[1.0, 2.0], &[true], &["a", "b"], 10, 0).is_err());
    assert!(auroc_interval(&[1.0, f64::INFINITY], &[true, false], &["a", "b"], 10, 0).is_err());
    let undefined = clustered_bootstrap_of(&["a"], None, 10, 0, |_| None).unwrap_err();
    assert!(undefined.found.contains("undefined"));
}

#[test]
fn empirical_p_counts_the_effect_itself() {
    let random: Vec<f64> = (0..20).map(f64::from).collect();
    assert_eq!(empirical_p(100.0, &random), 1.0 / 21.0);
    assert_eq!(empirical_p(19.0, &random), 2.0 / 21.0);
    assert_eq!(empirical_p(-1.0, &random), 1.0);
    assert_eq!(empirical_p(f64::NAN, &random), 1.0);
    assert_eq!(empirical_p(5.0, &[]), 1.0);
    assert_eq!(empirical_p(5.0, &[f64::NAN]), 1.0);
}

proptest! {
    #[test]
    fn exact_intervals_hold_the_point_and_narrow_with_confidence(n in 1_usize..2000, share in 0.0_f64..=1.0) {
        let k = (share * n as f64) as usize;
        let (low, high) = clopper_pearson(k, n, 0.95);
        let rate = k as f64 / n as f64;
        prop_assert!(0.0 <= low && low <= rate && rate <= high && high <= 1.0 && low < high);
        let (inner_low, inner_high) = clopper_pearson(k, n, 0.5);
        prop_assert!(low <= inner_low && inner_high <= high);
    }

    #[test]
    fn bootstrap_ignores_order_and_repeats_itself(
        values in prop::collection::vec((0_u8..6, -5.0_f64..5.0), 1..40),
        seed: u64,
    ) {
        let names: Vec<String> = values.iter().map(|(group, _)| group.to_string()).collect();
        let mut sample: Vec<(&str, f64)> = names.iter().zip(&values).map(|(name, (_, value))| (name.as_str(), *value)).collect();
        let first = clustered_bootstrap(&sample, 50, seed).unwrap();
        sample.reverse();
        let second = clustered_bootstrap(&sample, 50, seed).unwrap();
        prop_assert_eq!(first, second);
        prop_assert!(first.low < first.high);
    }

    #[test]
    fn auroc_is_what_counting_pairs_gives(
        positives in prop::collection::vec(-4_i8..4, 1..20),
        negatives in prop::collection::vec(-4_i8..4, 1..20),
    ) {
        let positives: Vec<f64> = positives.into_iter().map(f64::from).collect();
        let negatives: Vec<f64> = negatives.into_iter().map(f64::from).collect();
        let mut wins = 0.0;
        for positive in &positives {
            for negative in &negatives {
                wins += if positive > negative { 1.0 } else if positive == negative { 0.5 } else { 0.0 };
            }
        }
        let expected = wins / (positives.len() * negatives.len()) as f64;
        let found = auroc(&positives, &negatives).unwrap();
        prop_assert!((found - expected).abs() < 1e-12);
        prop_assert!((auroc(&negatives, &positives).unwrap() - (1.0 - expected)).abs() < 1e-12);
    }

    #[test]
    fn quantiles_are_monotone_and_within_the_sample(values in prop::collection::vec(-1e6_f64..1e6, 1..50), a in 0.0_f64..=1.0, b in 0.0_f64..=1.0) {
        let (a, b) = (a.min(b), a.max(b));
        let (low, high) = (quantile(&values, a).unwrap(), quantile(&values, b).unwrap());
        prop_assert!(low <= high);
        prop_assert!(values.iter().any(|value| *value <= low) && values.iter().any(|value| *value >= high));
    }

    #[test]
    fn adjusted_p_values_never_shrink(p in prop::collection::vec(0.0_f64..=1.0, 0..30)) {
        let false_discovery = adjusted(&p, Adjustment::BenjaminiHochberg);
        let family_wise = adjusted(&p, Adjustment::Bonferroni);
        for ((raw, middle), most) in p.iter().zip(&false_discovery).zip(&family_wise) {
            prop_assert!(raw <= &(middle + 1e-15) && middle <= &(most + 1e-15) && *most <= 1.0);
        }
    }
}
