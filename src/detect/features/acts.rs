//! Activations of many features on many items, of which most are 0.

use ndarray::{Array2, ArrayView1};

use crate::fault::{Fault, Result};
use crate::stats::SparseScores;

/// One aggregated activation for each item and feature, by feature; zeros are not stored.
#[derive(Debug, Clone)]
pub struct FeatureActs {
    items: usize,
    columns: Vec<Vec<(u32, f32)>>,
}

impl FeatureActs {
    /// No item yet of an SAE with so many features.
    #[must_use]
    pub fn new(d_sae: usize) -> Self {
        Self {
            items: 0,
            columns: vec![Vec::new(); d_sae],
        }
    }

    /// Adds an item's activations, `(feature, activation)` of those that are not 0.
    ///
    /// # Errors
    /// An activation that is not finite, a feature that the SAE lacks, or more items than fit.
    pub fn push(&mut self, active: &[(u32, f32)]) -> Result<()> {
        const DOING: &str = "collecting feature activations";
        let item = u32::try_from(self.items)
            .map_err(|_| Fault::failed(DOING, "2^32 items").expected("fewer"))?;
        for (feature, act) in active {
            if !act.is_finite() {
                return Err(Fault::failed(
                    DOING,
                    format!("the activation {act} of feature {feature}"),
                )
                .expected("finite values"));
            }
            let d_sae = self.columns.len();
            let column = self.columns.get_mut(*feature as usize).ok_or_else(|| {
                Fault::failed(DOING, format!("feature {feature}"))
                    .expected(format!("an index below {d_sae}"))
            })?;
            if *act != 0.0 {
                column.push((item, *act));
            }
        }
        self.items += 1;
        Ok(())
    }

    /// Number of items.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items
    }

    /// Number of features.
    #[must_use]
    pub fn d_sae(&self) -> usize {
        self.columns.len()
    }

    /// `(item, activation)` of one feature where it is not 0, by item.
    #[must_use]
    pub fn column(&self, feature: usize) -> &[(u32, f32)] {
        self.columns.get(feature).map_or(&[], Vec::as_slice)
    }

    /// The activation of one feature on each item.
    #[must_use]
    pub fn dense(&self, feature: usize) -> Vec<f32> {
        let mut acts = vec![0.0; self.items];
        for (item, act) in self.column(feature) {
            if let Some(slot) = acts.get_mut(*item as usize) {
                *slot = *act;
            }
        }
        acts
    }

    /// Activations `[items, features]` of some features.
    #[must_use]
    pub fn matrix(&self, features: &[usize]) -> Array2<f32> {
        let mut rows = Array2::zeros((self.items, features.len()));
        for (mut column, feature) in rows.columns_mut().into_iter().zip(features) {
            column.assign(&ArrayView1::from(&self.dense(*feature)));
        }
        rows
    }

    /// Some of the items, in that order.
    #[must_use]
    pub fn of(&self, items: &[usize]) -> Self {
        let mut place = vec![None; self.items];
        for (at, item) in (0..).zip(items) {
            if let Some(slot) = place.get_mut(*item) {
                *slot = Some(at);
            }
        }
        let kept = |column: &Vec<(u32, f32)>| {
            let kept = column.iter().filter_map(|(item, act)| {
                place
                    .get(*item as usize)
                    .copied()
                    .flatten()
                    .map(|at: u32| (at, *act))
            });
            let mut kept: Vec<(u32, f32)> = kept.collect();
            kept.sort_unstable_by_key(|(at, _)| *at);
            kept
        };
        Self {
            items: items.len(),
            columns: self.columns.iter().map(kept).collect(),
        }
    }

    /// One feature's activations as scores.
    #[must_use]
    pub fn scores(&self, feature: usize) -> SparseScores {
        SparseScores::new(self.column(feature).to_vec())
    }
}
