//! What probes are trained on: rows, their labels, and what is known of the items that they belong to.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2, Axis};

use crate::fault::{Fault, Result};
use crate::tokens::Polarity;

/// Rows and their labels.
#[derive(Debug, Clone, Copy)]
pub struct TrainingSet<'a> {
    /// Activations `[n, d_in]`, one row for each token that is read.
    pub rows: ArrayView2<'a, f32>,
    /// `[n]`, true for what a high score shall mean.
    pub labels: &'a [bool],
    /// `[n]`, the item of each row, rows of one item side by side; empty where each row is an item of its own of which nothing
    /// more is known.
    pub about: &'a [About],
}

/// What is known of the item of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Its number.
    pub item: usize,
    /// The number of its data set: topics are centred apart where a kind centres.
    pub dataset: usize,
    /// Whether it affirms or denies.
    pub polarity: Option<Polarity>,
    /// The number of its counterpart.
    pub pair: Option<usize>,
}

/// Some rows of a set, as a set of their own.
#[derive(Debug, Clone)]
pub struct Subset {
    rows: Array2<f32>,
    labels: Vec<bool>,
    about: Vec<About>,
}

impl Subset {
    /// The set.
    #[must_use]
    pub fn set(&self) -> TrainingSet<'_> {
        TrainingSet {
            rows: self.rows.view(),
            labels: &self.labels,
            about: &self.about,
        }
    }
}

impl<'a> TrainingSet<'a> {
    /// Rows of which nothing but the label is known, each an item of its own.
    #[must_use]
    pub fn of_rows(rows: ArrayView2<'a, f32>, labels: &'a [bool]) -> Self {
        Self {
            rows,
            labels,
            about: &[],
        }
    }

    /// The rows with these indices.
    #[must_use]
    pub fn subset(&self, rows: &[usize]) -> Subset {
        fn of<A: Copy>(all: &[A], rows: &[usize]) -> Vec<A> {
            rows.iter()
                .filter_map(|row| all.get(*row).copied())
                .collect()
        }
        Subset {
            rows: self.rows.select(Axis(0), rows),
            labels: of(self.labels, rows),
            about: of(self.about, rows),
        }
    }

    /// The rows of each item, items in the order of their first row.
    pub(super) fn items(&self) -> Vec<std::ops::Range<usize>> {
        let mut items: Vec<std::ops::Range<usize>> = Vec::new();
        let mut last = None;
        for row in 0..self.labels.len() {
            let item = self.about.get(row).map(|about| about.item);
            match items.last_mut() {
                Some(range) if item.is_some() && item == last => range.end = row + 1,
                _ => items.push(row..row + 1),
            }
            last = item;
        }
        items
    }

    /// The mean row of each item `[items, d_in]`, with the row at which each begins.
    pub(super) fn item_means(&self) -> (Array2<f64>, Vec<usize>) {
        let items = self.items();
        let mut means = Array2::zeros((items.len(), self.rows.ncols()));
        for (mut mean, range) in means.outer_iter_mut().zip(&items) {
            let rows = self.rows.slice(ndarray::s![range.clone(), ..]);
            if let Some(of_item) = rows.mapv(f64::from).mean_axis(Axis(0)) {
                mean.assign(&of_item);
            }
        }
        (means, items.into_iter().map(|range| range.start).collect())
    }

    /// Pairs of items with different labels, both in the set, as the rows at which they begin; each pair once, in the order of
    /// the items.
    pub(super) fn pairs(&self) -> Vec<(usize, usize)> {
        let begins: BTreeMap<usize, usize> = self
            .items()
            .iter()
            .filter_map(|range| Some((self.about.get(range.start)?.item, range.start)))
            .collect();
        let mut taken = std::collections::BTreeSet::new();
        let mut pairs = Vec::new();
        for (item, row) in &begins {
            let pair = self.about.get(*row).and_then(|about| about.pair);
            let Some((pair, other)) = pair.and_then(|pair| Some((pair, *begins.get(&pair)?)))
            else {
                continue;
            };
            let differ = self.labels.get(*row) != self.labels.get(other);
            if differ && !taken.contains(item) && !taken.contains(&pair) {
                taken.extend([*item, pair]);
                pairs.push((*row, other));
            }
        }
        pairs
    }

    pub(super) fn check(&self, kind: &str) -> Result<()> {
        let doing = || format!("training a {kind} probe");
        let (n, d) = self.rows.dim();
        if n == 0 || d == 0 {
            return Err(
                Fault::usage(doing(), format!("activations of shape [{n}, {d}]"))
                    .expected("at least one row of each label"),
            );
        }
        if self.labels.len() != n {
            return Err(Fault::failed(
                doing(),
                format!("{} labels for {n} rows", self.labels.len()),
            )
            .expected("one label for each row"));
        }
        if !self.about.is_empty() && self.about.len() != n {
            return Err(Fault::failed(
                doing(),
                format!("the items of {} of {n} rows", self.about.len()),
            )
            .expected("the item of each row"));
        }
        let positives = self.labels.iter().filter(|label| **label).count();
        if positives == 0 || positives == n {
            return Err(
                Fault::usage(doing(), format!("{positives} positive of {n} rows"))
                    .expected("rows with both labels")
                    .hint("check the suite's `label` fields"),
            );
        }
        if let Some(((row, column), value)) = self
            .rows
            .indexed_iter()
            .find(|(_, value)| !value.is_finite())
        {
            return Err(Fault::failed(
                doing(),
                format!("the activation {value} in row {row}, column {column}"),
            )
            .expected("finite activations"));
        }
        Ok(())
    }

    /// Refuses rows of which nothing can be learnt.
    pub(super) fn check_varies(&self, kind: &str) -> Result<()> {
        let mut rows = self.rows.outer_iter();
        let first = rows.next();
        if rows.all(|row| Some(row) == first) {
            return Err(Fault::usage(format!("training a {kind} probe"), "the same values in every row")
                .expected("values that differ between items")
                .hint("the tokens that are read may be the same in every item: try another span, or a later site"));
        }
        Ok(())
    }
}
