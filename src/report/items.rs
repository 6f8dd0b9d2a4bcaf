//! What a model said to its items, one line each: the rows that a page lists and that two reports are paired by.

use crate::evidence::Outcome;

/// The most items of one model that a report lists. The evidence tables hold all of them.
pub const MOST_ITEMS: usize = 10_000;

/// What a model said to its items.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Items {
    /// Items that the model was asked.
    pub total: usize,
    /// Detector ids, in the order of [`ItemLine::scores`].
    pub detectors: Vec<String>,
    /// All of them, or at most [`MOST_ITEMS`], chosen by a hash of suite and item id alone, so that two reports on one suite list
    /// the same ones.
    pub lines: Vec<ItemLine>,
}

/// One item.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemLine {
    /// Suite id.
    pub suite: String,
    /// Item id.
    pub item: String,
    /// The cluster.
    pub group: String,
    /// The item's condition.
    pub condition: String,
    /// Id of the counterpart.
    pub pair: Option<String>,
    /// What the model was given, cut to a few hundred characters.
    pub prompt: String,
    /// What it said, cut likewise.
    pub said: String,
    /// The item's answer.
    pub answer: Option<String>,
    /// How the response was judged.
    pub outcome: Outcome,
    /// The score of each detector; `None` where it read nothing. Of an SAE the score of its strongest selected feature.
    pub scores: Vec<Option<f64>>,
    /// Detectors (indices into [`Items::detectors`]) that flag the item.
    pub flagged: Vec<usize>,
    /// Detectors whose score lies within run-to-run noise of the threshold.
    pub unstable: Vec<usize>,
}
