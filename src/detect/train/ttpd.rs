//! Training of truth and polarity direction (Bürger, Hamprecht & Nadler, "Truth is universal"): centred activations are fitted as
//! `x ≈ τ·t_G + τp·t_P` with truth `τ = ±1` and polarity `p = ±1`; `t_G` is the direction that survives negation. A logistic
//! regression on `[x·t_G, x·d_P]` is the probe, with `d_P` the direction that tells affirmations from negations.

use ndarray::{Array1, Array2, Axis};

use super::standardise::Scaler;
use super::{Need, ProbeKind, TrainingOptions, TrainingSet, logistic, projection};
use crate::detect::probe::Probe;
use crate::fault::{Fault, Result};
use crate::tokens::Polarity;

pub(super) const KIND: ProbeKind = ProbeKind {
    name: "ttpd",
    summary: "truth direction that survives negation, beside the polarity direction (Bürger et al. 2024)",
    needs: &[Need::Polarity],
    pooling: None,
    train,
};

fn train(set: &TrainingSet<'_>, options: TrainingOptions) -> Result<Probe> {
    let polarity: Vec<bool> = set
        .about
        .iter()
        .map(|about| about.polarity == Some(Polarity::Affirmative))
        .collect();
    let truth = truth_direction(set, &polarity)?;
    // Polarities are as good as always separable, where the paper's fit without a penalty has no minimum.
    let scaler = Scaler::of(set.rows);
    let fit = logistic::fit(
        &scaler.scaled(set.rows).view(),
        &polarity,
        options.lambda,
        options.tolerance,
    )?;
    let denial = scaler.folded(&fit.weight, fit.intercept);
    let denial = denial.weight.column(0).mapv(f64::from);
    projection::along(set, &[truth, denial])
}

/// `t_G` by least squares on rows that are centred within each topic and polarity.
fn truth_direction(set: &TrainingSet<'_>, polarity: &[bool]) -> Result<Array1<f64>> {
    let mut centred: Array2<f64> = set.rows.mapv(f64::from);
    let part = |row: usize| {
        let about = set.about.get(row);
        (about.map(|about| about.dataset), polarity.get(row).copied())
    };
    let mut parts: Vec<_> = (0..set.labels.len()).map(part).collect();
    parts.sort_unstable();
    parts.dedup();
    for one in parts {
        let rows: Vec<usize> = (0..set.labels.len())
            .filter(|row| part(*row) == one)
            .collect();
        let Some(mean) = centred.select(Axis(0), &rows).mean_axis(Axis(0)) else {
            continue;
        };
        for row in rows {
            let mut row = centred.row_mut(row);
            row -= &mean;
        }
    }
    let sign = |positive: bool| if positive { 1.0 } else { -1.0 };
    let truth: Array1<f64> = set.labels.iter().map(|label| sign(*label)).collect();
    let both: Array1<f64> = truth
        .iter()
        .zip(polarity)
        .map(|(truth, polarity)| truth * sign(*polarity))
        .collect();
    // Normal equations of two regressors of ±1.
    let (n, shared) = (truth.dot(&truth), truth.dot(&both));
    let determinant = n * n - shared * shared;
    if determinant <= 0.0 {
        return Err(Fault::usage(
            "training a ttpd probe",
            "truth and polarity that always, or never, go together",
        )
        .expected("true and false items of both polarities"));
    }
    let along = |signs: &Array1<f64>| centred.t().dot(signs);
    Ok((along(&truth) * n - along(&both) * shared) / determinant)
}
