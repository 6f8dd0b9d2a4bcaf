//! How strong a feature is where it is active.

use serde::Serialize;

/// Bins of a histogram.
const BINS: usize = 32;

/// Counts of activations that are not 0, in bins of equal width.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Histogram {
    /// Where the first bin begins: 0, or the lowest activation where some are negative.
    pub from: f32,
    /// Where the last bin ends: the largest activation.
    pub to: f32,
    /// Activations in each bin; the last one holds its upper end.
    pub counts: Vec<usize>,
}

impl Histogram {
    /// Of activations that are finite; `None` if there are none, or none but 0.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "places lie within 0..=BINS"
    )]
    pub fn of(acts: &[f32]) -> Option<Self> {
        let active = || acts.iter().copied().filter(|act| *act != 0.0);
        let (from, to) = active().fold((0.0_f32, 0.0_f32), |(low, high), act| {
            (low.min(act), high.max(act))
        });
        let width = (to - from) / BINS as f32;
        if width <= 0.0 {
            return None;
        }
        let mut counts = vec![0; BINS];
        for act in active() {
            let place = (((act - from) / width) as usize).min(BINS - 1);
            if let Some(count) = counts.get_mut(place) {
                *count += 1;
            }
        }
        Some(Self { from, to, counts })
    }
}
