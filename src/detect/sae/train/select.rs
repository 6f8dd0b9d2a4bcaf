//! The k largest of many values, fast: a bound first, then a choice among the few that reach it.

/// Shows the `k` largest of `values` with their places, ascending; of equals those at the lowest places. `scratch` is overwritten.
pub(super) fn each_largest(
    values: &[f32],
    k: usize,
    scratch: &mut Vec<f32>,
    mut see: impl FnMut(usize, f32),
) {
    let bar = kth_largest(values, k, scratch);
    // What is above the bar is in what reached the bound.
    let above = scratch.iter().filter(|value| **value > bar).count();
    let mut equals = k.saturating_sub(above);
    for (place, &value) in values.iter().enumerate() {
        if value < bar {
            continue;
        }
        if value <= bar {
            if equals == 0 {
                continue;
            }
            equals -= 1;
        }
        see(place, value);
    }
}

/// The `k`-th largest of `values` (the smallest where there are fewer than `k`), with all that are above it in `scratch`.
///
/// Every `width`-th value is put into one group; the `k`-th largest of the groups' maxima is a bound that at least `k` values
/// reach and hardly more, and finding maxima is what processors do best.
fn kth_largest(values: &[f32], k: usize, scratch: &mut Vec<f32>) -> f32 {
    let width = (4 * k).next_multiple_of(16);
    scratch.clear();
    if values.len() < 2 * width {
        scratch.extend_from_slice(values);
        return choose(scratch, k);
    }
    scratch.resize(width, f32::NEG_INFINITY);
    for values in values.chunks(width) {
        for (largest, value) in scratch.iter_mut().zip(values) {
            *largest = if *value > *largest { *value } else { *largest };
        }
    }
    let bound = choose(scratch, k);
    scratch.clear();
    scratch.extend(values.iter().filter(|value| **value >= bound));
    choose(scratch, k)
}

/// The `k`-th largest, by reordering.
pub(super) fn choose(values: &mut [f32], k: usize) -> f32 {
    let place = k.min(values.len()).saturating_sub(1);
    if values.is_empty() {
        return f32::NEG_INFINITY;
    }
    *values
        .select_nth_unstable_by(place, |a, b| b.total_cmp(a))
        .1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_are_those_that_sorting_finds(
            values in prop::collection::vec((-8_i8..8).prop_map(f32::from), 1..400),
            k in 1_usize..40,
        ) {
            let mut sorted: Vec<(usize, f32)> = values.iter().copied().enumerate().collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            sorted.truncate(k);
            sorted.sort_unstable_by_key(|(place, _)| *place);
            let mut found = Vec::new();
            each_largest(&values, k, &mut Vec::new(), |place, value| found.push((place, value)));
            prop_assert_eq!(found, sorted);
        }
    }
}
