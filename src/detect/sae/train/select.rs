//! The k largest of many values, fast: a bound first, then a choice among the few that reach it.

/// The `k`-th largest of `values` (the smallest where there are fewer than `k`). `scratch` is overwritten.
///
/// Every `width`-th value is put into one group; the `k`-th largest of the groups' maxima is a bound that at least `k` values
/// reach and hardly more, and finding maxima is what processors do best.
pub(super) fn kth_largest(values: &[f32], k: usize, scratch: &mut Vec<f32>) -> f32 {
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
        fn it_is_what_sorting_finds(
            values in prop::collection::vec((-8_i8..8).prop_map(f32::from), 1..400),
            k in 1_usize..40,
        ) {
            let mut sorted = values.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let expected = sorted[k.min(values.len()) - 1];
            prop_assert_eq!(kth_largest(&values, k, &mut Vec::new()), expected);
        }
    }
}
