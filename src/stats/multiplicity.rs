//! Adjusting p-values for the number of hypotheses tested.
#![allow(
    clippy::cast_precision_loss,
    reason = "numbers of hypotheses are far below 2^52"
)]

/// What is controlled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adjustment {
    /// The false discovery rate (Benjamini & Hochberg 1995).
    BenjaminiHochberg,
    /// The family-wise error rate.
    Bonferroni,
}

/// Adjusted p-values in the order given: compare each with the level itself.
#[must_use]
pub fn adjusted(p_values: &[f64], adjustment: Adjustment) -> Vec<f64> {
    let n = p_values.len() as f64;
    match adjustment {
        Adjustment::Bonferroni => p_values.iter().map(|p| (p * n).min(1.0)).collect(),
        Adjustment::BenjaminiHochberg => {
            let mut order: Vec<(usize, f64)> = p_values.iter().copied().enumerate().collect();
            order.sort_by(|a, b| a.1.total_cmp(&b.1));
            let mut result = vec![1.0; p_values.len()];
            let mut smallest = 1.0_f64;
            for (rank, (index, p)) in order.iter().enumerate().rev() {
                smallest = smallest.min(p * n / (rank + 1) as f64);
                if let Some(slot) = result.get_mut(*index) {
                    *slot = smallest;
                }
            }
            result
        }
    }
}
