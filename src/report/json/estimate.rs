//! The schema of an estimate, whose interval may be open.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::wire::{Number, Wire};
use crate::stats::Estimate;

/// A point estimate with its two-sided 95 % interval.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct EstimateV1 {
    /// The point estimate.
    point: Number,
    /// Lower end; null where nothing bounds it.
    low: Option<f64>,
    /// Upper end; null where nothing bounds it.
    high: Option<f64>,
    /// Observations.
    n: usize,
    /// Independent clusters among them.
    clusters: usize,
}

impl Wire for EstimateV1 {
    type Core = Estimate;

    fn from_core(core: &Estimate) -> Self {
        Self {
            point: Number::from_core(&core.point),
            low: core.low.is_finite().then_some(core.low),
            high: core.high.is_finite().then_some(core.high),
            n: core.n,
            clusters: core.clusters,
        }
    }

    fn into_core(self) -> Estimate {
        Estimate {
            point: self.point.into_core(),
            low: self.low.unwrap_or(f64::NEG_INFINITY),
            high: self.high.unwrap_or(f64::INFINITY),
            n: self.n,
            clusters: self.clusters,
        }
    }
}
