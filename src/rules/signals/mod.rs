//! Signals: what a rule can measure. One file for each kind, one line for each in [`KINDS`].

mod ablation_random_p;
mod ablation_recovery;
mod ablations;
mod capability_gap;
mod changed_answer_rate;
mod false_rate;
mod false_rate_gap;
mod feature_lift;
mod flag_rate;
mod flag_rate_gap;
mod instrument_difference;
mod interval;
mod off_target_kl;
mod params;
mod patch_peak;
mod patch_random_p;
mod patch_specificity;
mod patches;
mod probe_auroc;
mod said_not_believed;
mod self_patch;
mod true_rate;
mod unclear_rate;
mod view;

use std::fmt;

use crate::fault::Fault;
use crate::stats::Estimate;

pub(super) use interval::simultaneous;
pub use interval::{RESAMPLES, SEED};
pub use params::{Of, Param, Params};
pub(super) use view::View;

/// Every kind of signal. A new kind is a new file and one line here.
pub static KINDS: &[&Kind] = &[
    &false_rate_gap::KIND,
    &false_rate::KIND,
    &true_rate::KIND,
    &capability_gap::KIND,
    &changed_answer_rate::KIND,
    &said_not_believed::KIND,
    &unclear_rate::KIND,
    &probe_auroc::KIND,
    &flag_rate::KIND,
    &flag_rate_gap::KIND,
    &feature_lift::KIND,
    &patch_peak::KIND,
    &patch_specificity::KIND,
    &patch_random_p::KIND,
    &self_patch::KIND,
    &ablation_recovery::KIND,
    &ablation_random_p::KIND,
    &off_target_kl::KIND,
    &instrument_difference::KIND,
];

/// A kind of signal.
pub struct Kind {
    /// As it is written in a rule.
    pub name: &'static str,
    /// What it is called in a sentence.
    pub label: &'static str,
    /// What it measures, for the schema and the editor.
    pub doc: &'static str,
    /// Which block may use it.
    pub class: Class,
    /// What its value can be: a bar outside is an error.
    pub range: (f64, f64),
    /// Its parameters; all are mandatory.
    pub params: &'static [Param],
    /// The intervention that it reads.
    pub demand: Demand,
    /// Whether it reads a contrast suite.
    pub contrast: bool,
    evaluate: fn(&Params, &View<'_>) -> Measured,
}

impl Kind {
    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().copied().find(|kind| kind.name == name)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What a signal is evidence of, and so the block that may use it. Because a block takes its own class only,
/// no probe can stand in for behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Visible from outside.
    Behaviour,
    /// Visible inside.
    Representation,
    /// Shown by intervening.
    Causal,
    /// Says whether the rest can be trusted.
    Control,
}

/// The intervention that a signal reads and that its rule therefore has to demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// None.
    Nothing,
    /// Patching, in the mode of its `mode` parameter if it has one.
    Patching {
        /// Whether it reads the random directions.
        random: bool,
    },
    /// The ablation that its `ablation` and `detector` parameters name.
    Ablation {
        /// Whether it reads the random directions.
        random: bool,
    },
}

/// A signal of a rule.
#[derive(Debug, Clone)]
pub struct Signal {
    /// Its name in the rule.
    pub name: String,
    /// Its kind.
    pub kind: &'static Kind,
    /// Its parameters.
    pub params: Params,
}

impl Signal {
    pub(super) fn measure(&self, view: &View<'_>) -> Measured {
        (self.kind.evaluate)(&self.params, view)
    }
}

/// A measured signal, or why there is no value.
pub type Measured = Result<Measurement, Absent>;

/// A value with what its reader should know.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// The value.
    pub estimate: Estimate,
    /// The chosen cell, items without a counterpart, and the like.
    pub note: Option<String>,
}

/// Why a signal has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// No answer changed, so there was no effect to look for. In a causal block that is a no, in a validity block there is
    /// no claim whose control could fail.
    NothingToExplain(String),
    /// The evidence is missing or unusable.
    Unknown(String),
}

impl Absent {
    fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown(why.into())
    }

    /// The reason, as a sentence without a full stop.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::NothingToExplain(why) | Self::Unknown(why) => why,
        }
    }
}

impl From<Fault> for Absent {
    fn from(fault: Fault) -> Self {
        Self::Unknown(format!("{}: {}", fault.doing, fault.found))
    }
}

impl From<Estimate> for Measurement {
    fn from(estimate: Estimate) -> Self {
        Self {
            estimate,
            note: None,
        }
    }
}

impl Measurement {
    /// Says this too.
    fn noted(mut self, note: Option<String>) -> Self {
        let notes: Vec<String> = self.note.take().into_iter().chain(note).collect();
        self.note = (!notes.is_empty()).then(|| notes.join("; "));
        self
    }
}
