//! The schema of a comparison with the approved model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::estimate::EstimateV1;
use super::finding::VerdictV1;
use super::wire::{Number, Wire, name, object};
use crate::report::{BaselineModel, BaselineRecord, Change, Comparison, Fixed, Shows};

name! {
    /// How a finding compares with the approved model's.
    ChangeV1 for Change { New, Worse, CannotTell, Unchanged, Improved, }
}
name! {
    /// What a non-inferiority comparison shows.
    ShowsV1 for Shows { NotWorse, Worse, CannotTell, }
}
object! {
    /// The approved report and the comparison with it.
    BaselineV1 for BaselineRecord {
        /// Where it was read from.
        path: String,
        /// SHA-256 of its bytes.
        sha256: String,
        /// When that audit ended (RFC 3339).
        finished: String,
        /// The version of Candor that wrote it.
        tool_version: String,
        /// By how much a rate may rise before the model counts as worse.
        margin: Number,
        /// One entry for each model that has a counterpart.
        models: Vec<BaselineModelV1>,
        /// What a reader has to know of the comparison.
        caveats: Vec<String>,
    }
}
object! {
    /// One model beside its approved counterpart.
    BaselineModelV1 for BaselineModel {
        /// The model.
        model: String,
        /// Its counterpart.
        against: String,
        /// Whether both are the same files, byte for byte.
        same_files: bool,
        /// Findings of the counterpart that are gone or have become harmless.
        fixed: Vec<FixedV1>,
        /// Rates on the items that both were asked.
        comparisons: Vec<ComparisonV1>,
    }
}
object! {
    /// A finding of the approved model that this one has no more.
    FixedV1 for Fixed {
        /// Rule id.
        rule: String,
        /// The rule's title.
        title: String,
        /// Suite id.
        suite: Option<String>,
        /// What it was.
        was: VerdictV1,
        /// What it is; null where the rule is not part of this audit.
        now: Option<VerdictV1>,
    }
}
object! {
    /// A paired comparison of one rate.
    ComparisonV1 for Comparison {
        /// Suite id.
        suite: String,
        /// The condition.
        condition: String,
        /// What is counted.
        what: String,
        /// Items that both were asked.
        items: usize,
        /// Items that count for this model and did not for the approved one.
        worse: usize,
        /// Items that counted for the approved model and do not for this one.
        better: usize,
        /// The rate of the approved model.
        before: Number,
        /// The rate of this one.
        now: Number,
        /// Paired difference, this one minus the approved one.
        difference: EstimateV1,
        /// What it shows.
        shows: ShowsV1,
        /// Probability that a model which is no worse is shown to be no worse.
        power: Option<Number>,
        /// About how many items, grouped as these are, would show that in four of five audits.
        needed: Option<usize>,
    }
}
