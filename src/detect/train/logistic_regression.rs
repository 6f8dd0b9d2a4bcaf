//! Logistic regression on z-scored rows (Goldowsky-Dill et al., "Detecting strategic deception using linear probes").

use super::standardise::Scaler;
use super::{ProbeKind, TrainingOptions, TrainingSet, logistic};
use crate::detect::probe::Probe;
use crate::fault::Result;

pub(super) const KIND: ProbeKind = ProbeKind {
    name: "logistic_regression",
    summary: "L2-penalised logistic regression on z-scored activations (Goldowsky-Dill et al. 2025)",
    needs: &[],
    pooling: None,
    train,
};

fn train(set: &TrainingSet<'_>, options: TrainingOptions) -> Result<Probe> {
    let scaler = Scaler::of(set.rows);
    let rows = scaler.scaled(set.rows);
    let fit = logistic::fit(&rows.view(), set.labels, options.lambda, options.tolerance)?;
    Ok(scaler.folded(&fit.weight, fit.intercept))
}
