//! The schema of an estimate, whose interval may be open.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::wire::{High, Low, Number, Wire, object};
use crate::stats::Estimate;

object! {
    /// A point estimate with its two-sided 95 % interval; an end is null where nothing bounds it.
    EstimateV1 for Estimate {
        /// The point estimate.
        point: Number,
        /// Lower end; null where nothing bounds it.
        low: Low,
        /// Upper end; null where nothing bounds it.
        high: High,
        /// Observations.
        n: usize,
        /// Independent clusters among them.
        clusters: usize,
    }
}
