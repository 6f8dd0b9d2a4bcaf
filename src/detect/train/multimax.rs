//! MultiMax: `Σ_h max_t v_h·x_t + b`, so that a few tokens of a long text are not averaged away (Kramár et al., "Building
//! production-ready probes for Gemini").

use ndarray::{ArrayView2, ArrayViewMut2};

use super::pooled::{self, Pooling};
use super::{ProbeKind, TrainingOptions, TrainingSet};
use crate::detect::aggregation::Aggregation;
use crate::detect::probe::Probe;
use crate::fault::Result;

pub(super) const KIND: ProbeKind = ProbeKind {
    name: "multimax",
    summary: "a few columns, of each the largest token counts (Kramár et al. 2026)",
    needs: &[],
    pooling: Some(Aggregation::SumOfMaxima),
    train,
};

const HEADS: usize = 4;

pub(super) const POOLING: Pooling = Pooling {
    name: "multimax",
    pool,
    columns: HEADS,
    // Maxima make many minima.
    restarts: 10,
    values: HEADS,
};

fn train(set: &TrainingSet<'_>, options: TrainingOptions) -> Result<Probe> {
    pooled::train(set, options, &POOLING)
}

fn pool(columns: ArrayView2<f64>, mut slope: ArrayViewMut2<f64>) -> f64 {
    let mut score = 0.0;
    for (head, values) in columns.columns().into_iter().enumerate() {
        let largest = (0..values.len()).fold(0, |best, token| {
            if values[token] > values[best] {
                token
            } else {
                best
            }
        });
        score += values[largest];
        slope[[largest, head]] = 1.0;
    }
    score
}
