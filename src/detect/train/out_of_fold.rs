//! Cross-validated scores: every row is scored by a probe that has not seen its group.

use ndarray::{Array2, ArrayView2, Axis};

use super::{Probe, ProbeKind, TrainingOptions, TrainingSet};
use crate::fault::{Fault, Result};

impl ProbeKind {
    /// The score of each row by a probe trained on the other folds. `fold_of` names each row's fold, as
    /// [`folds`](crate::detect::folds) deals them.
    ///
    /// # Errors
    /// Folds that do not fit the rows, or as for [`ProbeKind::train`] on a fold's complement.
    pub fn out_of_fold(
        &self,
        set: &TrainingSet<'_>,
        fold_of: &[usize],
        options: TrainingOptions,
    ) -> Result<Vec<f64>> {
        set.check(self.name)?;
        if fold_of.len() != set.labels.len() {
            return Err(Fault::failed(
                "cross-validating a probe",
                format!("{} folds for {} rows", fold_of.len(), set.labels.len()),
            )
            .expected("the fold of each row"));
        }
        let mut distinct = fold_of.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let mut scores = vec![0.0; fold_of.len()];
        for fold in distinct {
            let (inside, outside): (Vec<usize>, Vec<usize>) =
                (0..fold_of.len()).partition(|row| fold_of.get(*row) == Some(&fold));
            let probe = self.train(&set.subset(&outside).set(), options)?;
            let held_out: Array2<f32> = set.rows.select(Axis(0), &inside);
            for (row, score) in inside.iter().zip(self.row_scores(&probe, held_out.view())?) {
                if let Some(slot) = scores.get_mut(*row) {
                    *slot = score;
                }
            }
        }
        Ok(scores)
    }

    /// The score of each row, taken for an item of one token.
    fn row_scores(&self, probe: &Probe, rows: ArrayView2<f32>) -> Result<Vec<f64>> {
        let Some(pooling) = self.pooling else {
            return Ok(probe.scores(rows)?.into_iter().collect());
        };
        let scores = probe.token_scores(rows)?;
        (0..rows.nrows())
            .map(|row| pooling.of_columns(scores.view(), &[row]))
            .collect()
    }
}
