use serde::Serialize;

use super::proportion;

/// So many of so many, with the exact 95 % interval (Clopper–Pearson).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    /// How many.
    pub hits: usize,
    /// Of how many.
    pub of: usize,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Rate {
    /// `None` of nothing.
    #[must_use]
    pub fn of(hits: usize, of: usize) -> Option<Self> {
        let estimate = proportion(hits, of)?;
        Some(Self {
            hits,
            of,
            low: estimate.low,
            high: estimate.high,
        })
    }

    /// The share.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn point(self) -> f64 {
        self.hits as f64 / self.of as f64
    }
}
