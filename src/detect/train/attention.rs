//! An attention probe: `Σ_h Σ_t softmax_t(q_h·x_t)·v_h·x_t + b`, so that the probe learns which tokens to read.

use ndarray::{ArrayView2, ArrayViewMut2};

use super::pooled::{self, Pooling};
use super::{ProbeKind, TrainingOptions, TrainingSet};
use crate::detect::aggregation::{Aggregation, softmax};
use crate::detect::probe::Probe;
use crate::fault::Result;

pub(super) const KIND: ProbeKind = ProbeKind {
    name: "attention",
    summary: "a few heads of attention over the tokens, trained with their values",
    needs: &[],
    pooling: Some(Aggregation::Attention),
    train,
};

const HEADS: usize = 4;

pub(super) const POOLING: Pooling = Pooling {
    name: "attention",
    pool,
    columns: 2 * HEADS,
    restarts: 3,
    values: HEADS,
};

fn train(set: &TrainingSet<'_>, options: TrainingOptions) -> Result<Probe> {
    pooled::train(set, options, &POOLING)
}

fn pool(columns: ArrayView2<f64>, mut slope: ArrayViewMut2<f64>) -> f64 {
    let mut score = 0.0;
    for head in 0..HEADS {
        let weights = softmax(&columns.column(head).to_owned());
        let values = columns.column(HEADS + head);
        let mean = weights.dot(&values);
        score += mean;
        let by_query = &weights * &(&values - mean);
        slope.column_mut(head).assign(&by_query);
        slope.column_mut(HEADS + head).assign(&weights);
    }
    score
}
