//! The schema of what a model said to its items.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::OutcomeV1;
use super::wire::{Number, Wire, object};
use crate::report::{ItemLine, Items};

object! {
    /// What the model said to its items.
    ItemsV1 for Items {
        /// Items that the model was asked.
        total: usize,
        /// Detector ids, in the order of each line's `scores`.
        detectors: Vec<String>,
        /// All of them, or at most 10,000, chosen by a hash of suite and item id.
        lines: Vec<ItemV1>,
    }
}
object! {
    /// One item.
    ItemV1 for ItemLine {
        /// Suite id.
        suite: String,
        /// Item id.
        item: String,
        /// The cluster.
        group: String,
        /// The item's condition.
        condition: String,
        /// Id of the counterpart.
        pair: Option<String>,
        /// What the model was given, cut to a few hundred characters.
        prompt: String,
        /// What it said, cut likewise.
        said: String,
        /// The item's answer.
        answer: Option<String>,
        /// How the response was judged.
        outcome: OutcomeV1,
        /// The score of each detector; null where it read nothing.
        scores: Vec<Option<Number>>,
        /// Detectors (indices) that flag the item.
        flagged: Vec<usize>,
        /// Detectors whose score lies within run-to-run noise of the threshold.
        unstable: Vec<usize>,
    }
}
