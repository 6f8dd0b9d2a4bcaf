//! Prompts of many lengths as few, well-filled batches.

use std::ops::Range;

use ndarray::{Array2, s};

use super::Feed;

/// Prompts that run together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// For each row, the index of its prompt.
    pub rows: Vec<usize>,
    /// Token ids `[rows, longest]`, padded with 0.
    pub ids: Array2<i64>,
    /// 1 for a real token, 0 for padding, `[rows, longest]`.
    pub mask: Array2<i64>,
}

impl Batch {
    /// The batch as a feed without further inputs.
    #[must_use]
    pub fn feed(&self) -> Feed {
        Feed::new(self.ids.clone(), self.mask.clone())
    }

    /// Whether a row is shorter than another.
    #[must_use]
    pub fn is_padded(&self) -> bool {
        self.mask.iter().any(|real| *real == 0)
    }

    /// Where the tokens of a row's prompt stand.
    #[must_use]
    pub fn columns(&self, row: usize) -> Range<usize> {
        let real = |column: usize| self.mask.get((row, column)).is_some_and(|real| *real != 0);
        let width = self.ids.ncols();
        let start = (0..width).position(real).unwrap_or(width);
        start..start + (start..width).take_while(|column| real(*column)).count()
    }

    /// The same prompts with their padding on that side.
    #[must_use]
    pub fn padded_on(&self, side: Side) -> Self {
        let prompts: Vec<Vec<i64>> = (0..self.rows.len())
            .map(|row| self.ids.slice(s![row, self.columns(row)]).to_vec())
            .collect();
        let group: Vec<(usize, &[i64])> = self
            .rows
            .iter()
            .zip(&prompts)
            .map(|(index, prompt)| (*index, prompt.as_slice()))
            .collect();
        pad(&group, side)
    }
}

/// The side of a row that is filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Behind the last token.
    Right,
    /// Before the first token.
    Left,
}

/// At most one in so many cells of a batch is padding.
const PADDED_ONE_IN: usize = 4;

/// Groups prompts of similar length. Rows of different lengths are put together, padded on the right, only if the graph
/// takes an attention mask.
///
/// Each prompt is in exactly one batch, whole; a batch has at most `max_tokens` cells unless it is a single longer prompt.
/// The result depends on the arguments alone. A prompt without tokens comes in a batch of width 0, which no session runs.
#[must_use]
pub fn batches(prompts: &[Vec<i64>], has_mask: bool, max_tokens: usize) -> Vec<Batch> {
    // The longest come first: if memory does not suffice, that shows at once.
    let mut order: Vec<_> = prompts.iter().enumerate().collect();
    order.sort_by_key(|(_, prompt)| std::cmp::Reverse(prompt.len()));

    let mut groups: Vec<Vec<(usize, &Vec<i64>)>> = Vec::new();
    let mut tokens = 0;
    for (index, prompt) in order {
        let joins = groups.last().is_some_and(|group| {
            let longest = group.first().map_or(0, |(_, first)| first.len());
            let cells = (group.len() + 1) * longest;
            let padding = cells - tokens - prompt.len();
            cells <= max_tokens
                && (prompt.len() == longest
                    || (has_mask && !prompt.is_empty() && padding * PADDED_ONE_IN <= cells))
        });
        if joins {
            tokens += prompt.len();
            if let Some(group) = groups.last_mut() {
                group.push((index, prompt));
            }
        } else {
            tokens = prompt.len();
            groups.push(vec![(index, prompt)]);
        }
    }
    groups
        .iter()
        .map(|group| {
            let group: Vec<(usize, &[i64])> = group
                .iter()
                .map(|(index, prompt)| (*index, prompt.as_slice()))
                .collect();
            pad(&group, Side::Right)
        })
        .collect()
}

/// These prompts, each with its index, as one batch.
pub(super) fn pad(group: &[(usize, &[i64])], side: Side) -> Batch {
    let longest = group
        .iter()
        .map(|(_, prompt)| prompt.len())
        .max()
        .unwrap_or(0);
    let mut ids = Array2::zeros((group.len(), longest));
    let mut mask = ids.clone();
    for (row, (_, prompt)) in group.iter().enumerate() {
        let start = match side {
            Side::Right => 0,
            Side::Left => longest - prompt.len(),
        };
        for (column, id) in (start..).zip(*prompt) {
            ids[[row, column]] = *id;
        }
        mask.slice_mut(s![row, start..start + prompt.len()]).fill(1);
    }
    Batch {
        rows: group.iter().map(|(index, _)| *index).collect(),
        ids,
        mask,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_prompt_is_whole_in_one_batch_within_the_budget(
            prompts in prop::collection::vec(prop::collection::vec(1_i64..9, 0..20), 0..40),
            has_mask: bool,
            max_tokens in 0_usize..200,
        ) {
            let batches = batches(&prompts, has_mask, max_tokens);
            let mut seen = vec![0; prompts.len()];
            for batch in &batches {
                let (rows, width) = batch.ids.dim();
                prop_assert_eq!(batch.mask.dim(), (rows, width));
                prop_assert_eq!(batch.rows.len(), rows);
                prop_assert!(rows == 1 || rows * width <= max_tokens);
                let padding = batch.mask.iter().filter(|real| **real == 0).count();
                prop_assert!(padding * PADDED_ONE_IN <= rows * width);
                prop_assert!(has_mask || padding == 0);
                for (row, index) in batch.rows.iter().enumerate() {
                    seen[*index] += 1;
                    let length = prompts[*index].len();
                    prop_assert_eq!(batch.ids.row(row).slice(s![..length]).to_vec(), prompts[*index].clone());
                    let expected: Vec<_> = (0..width).map(|column| i64::from(column < length)).collect();
                    prop_assert_eq!(batch.mask.row(row).to_vec(), expected);
                    prop_assert_eq!(batch.columns(row), if length == 0 { width..width } else { 0..length });
                    let left = batch.padded_on(Side::Left);
                    prop_assert_eq!(left.columns(row), width - length..width);
                    prop_assert_eq!(&left.padded_on(Side::Right), batch);
                }
            }
            prop_assert!(seen.iter().all(|count| *count == 1));
        }

        #[test]
        fn prompts_of_one_length_fill_the_budget(count in 1_usize..30, length in 1_usize..10, rows in 1_usize..8) {
            let prompts = vec![vec![1; length]; count];
            prop_assert_eq!(batches(&prompts, false, rows * length).len(), count.div_ceil(rows));
        }
    }
}
