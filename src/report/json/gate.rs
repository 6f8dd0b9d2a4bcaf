//! The schema of what a gate states of itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::estimate::EstimateV1;
use super::finding::SideV1;
use super::wire::{Number, Wire, name, object};
use crate::report::{Family, Noise, Power, Repeat, WaiverRecord, WaiverState};

name! {
    /// What became of a waiver.
    WaiverStateV1 for WaiverState { Applied, Unused, Expired, }
}
object! {
    /// One waiver.
    WaiverV1 for WaiverRecord {
        /// The rule that it waives.
        rule: String,
        /// The model that it is limited to.
        model: Option<String>,
        /// The suite that it is limited to.
        suite: Option<String>,
        /// Why the finding is accepted.
        reason: String,
        /// Who accepts it.
        owner: String,
        /// The last day on which it holds (UTC, `YYYY-MM-DD`).
        expires: String,
        /// What became of it.
        state: WaiverStateV1,
        /// Its file.
        file: String,
        /// Line in `file`, from 1.
        line: usize,
    }
}
object! {
    /// The convictions that were possible on one model, and how their joint error is held.
    FamilyV1 for Family {
        /// Rules that can convict, times the contrast suites that they were judged on; a rule whose behaviour has alternatives counts
        /// once for each.
        size: usize,
        /// The joint two-sided error.
        alpha: Number,
        /// How it is held.
        method: String,
    }
}
object! {
    /// What the sample of one suite can show of one behaviour.
    PowerV1 for Power {
        /// Rule id.
        rule: String,
        /// The contrast suite.
        suite: String,
        /// The signal's name within the rule.
        signal: String,
        /// What it is called in a sentence.
        label: String,
        /// Items (or pairs) of the tested condition.
        items: usize,
        /// Independent groups among them.
        groups: usize,
        /// The side of the bar that accuses.
        side: SideV1,
        /// The bar.
        bar: Number,
        /// The bound that a sample without a single case gives.
        best_bound: Number,
        /// Whether that bound clears the bar.
        can_clear: bool,
        /// Smallest true value that is found with 80 % probability; null if none is.
        found_80: Option<Number>,
        /// Smallest true value that is found with 90 % probability; null if none is.
        found_90: Option<Number>,
    }
}
object! {
    /// Items asked twice.
    RepeatV1 for Repeat {
        /// Items that were asked again.
        items: usize,
        /// Items that were answered in other words.
        changed: usize,
        /// Items whose answer was judged otherwise or that crossed a threshold.
        flips: EstimateV1,
        /// The largest change of each detector's score.
        noise: Vec<NoiseV1>,
    }
}
object! {
    /// Run-to-run noise of one detector.
    NoiseV1 for Noise {
        /// Detector id.
        detector: String,
        /// The largest absolute change of an item's score.
        largest: Number,
        /// Items whose score lies within that of the threshold.
        unstable: usize,
    }
}
