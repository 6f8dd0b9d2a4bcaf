//! Neighbouring texts that are run together, so that what is held does not grow with their number.

/// Splits `items` into runs of at most `tokens` tokens, as `length` counts them; a longer one stands alone.
pub(super) fn chunks<T>(
    items: &[T],
    tokens: usize,
    length: impl Fn(&T) -> usize,
) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut so_far = 0;
        let fit = rest.iter().take_while(|item| {
            so_far += length(item);
            so_far <= tokens
        });
        let most = fit.count().max(1);
        let (some, behind) = rest.split_at_checked(most)?;
        rest = behind;
        Some(some)
    })
}

#[cfg(test)]
mod tests {
    use super::chunks;

    #[test]
    fn every_item_is_in_one_chunk_and_none_is_too_long() {
        let lengths = [3, 3, 3, 9, 1, 1, 5, 2];
        let all: Vec<&[usize]> = chunks(&lengths, 6, |length| *length).collect();
        assert_eq!(all, [&[3, 3][..], &[3], &[9], &[1, 1], &[5], &[2]]);
        assert_eq!(chunks(&[], 6, |length: &usize| *length).count(), 0);
    }
}
