//! What was measured on one model, as plain data. Verdicts are a pure function of this and of the rules.

mod arrival;
mod peak;
mod responses;
mod scores;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::detect::sae::Measured;
use crate::model::SiteName;
use crate::stats::mean;

pub use crate::tokens::Outcome;
pub use arrival::{CellEffect, arrival};
pub use peak::{Halves, MapCell, NoPeak, Peak, PositionClass, halves, peak};
pub use responses::{Index, Responses, Said};
pub use scores::{Best, Score, Scores};

/// Smallest |clean − corrupt| in logits whose ratio still says something: float32 logits agree within about 1e-4, so
/// at this bar a recovery is good to about 1e-2.
pub const MIN_DENOMINATOR: f64 = 0.01;

/// Everything measured on one model.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What the model said, one entry for each item of every contrast and control suite.
    pub responses: Responses,
    /// Detector scores, one entry for each item and detector (or SAE feature).
    pub scores: Scores,
    /// Scores at each token, of those items that are looked at.
    pub tokens: Vec<TokenScores>,
    /// How the SAEs fit the model.
    pub fits: Vec<Fit>,
    /// Activation-patching maps.
    pub maps: Vec<PatchMap>,
    /// Directional and SAE-feature ablations.
    pub ablations: Vec<Ablation>,
    /// The largest absolute logit difference between the instrumented and the plain model on the audit's own prompts.
    pub instrument_difference: Option<f64>,
    /// What could not be measured, and why.
    pub unmeasured: Vec<Unmeasured>,
    /// Items that were asked and read a second time.
    pub repeats: Vec<Repeated>,
}

/// What an item gave when it was asked again, alone instead of in its batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeated {
    /// Suite id.
    pub suite: String,
    /// Item id.
    pub item: String,
    /// The second response.
    pub text: String,
    /// How it compares with the item's answer.
    pub outcome: Outcome,
    /// The scores of the first response, read again.
    pub scores: Vec<RepeatedScore>,
}

/// The score of one detector (or one SAE feature), read again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepeatedScore {
    /// Detector id.
    pub detector: String,
    /// The feature's index, for an SAE.
    pub feature: Option<usize>,
    /// The aggregated score.
    pub value: f64,
}

/// What the model said to one item.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// Suite id.
    pub suite: String,
    /// Item id.
    pub item: String,
    /// Items of one fact or template share a group: the cluster of every interval.
    pub group: String,
    /// The item's condition.
    pub condition: String,
    /// Id of the equal-length counterpart, if the item names one.
    pub pair: Option<String>,
    /// The prompt as given.
    pub prompt: String,
    /// The model's own greedy response, or the text that the item states.
    pub text: String,
    /// How it compares with the item's answer.
    pub outcome: Outcome,
    /// The item's answer, if it has one.
    pub answer: Option<String>,
}

/// The scores of one detector (or one SAE feature) at the tokens of one item.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenScores {
    /// Suite id.
    pub suite: String,
    /// Item id.
    pub item: String,
    /// Detector id.
    pub detector: String,
    /// The feature's index, for an SAE.
    pub feature: Option<usize>,
    /// Token texts of prompt and response.
    pub tokens: Vec<String>,
    /// The score at each token, in the order of `tokens`.
    pub scores: Vec<f32>,
    /// Indices into `tokens` that the aggregate was taken over.
    pub span: Vec<usize>,
}

/// How an SAE fits the audit's own activations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// Detector id.
    pub detector: String,
    /// What it does there.
    pub measured: Measured,
}

/// Which run receives the activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PatchMode {
    /// Clean activation into the corrupt run: is it sufficient?
    Denoising,
    /// Corrupt activation into the clean run: is it necessary?
    Noising,
}

/// Layer × position patching over many pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchMap {
    /// Suite id.
    pub suite: String,
    /// Which run receives the activation.
    pub mode: PatchMode,
    /// Rows of every pair's map.
    pub sites: Vec<SiteName>,
    /// One map for each pair.
    pub pairs: Vec<PairMap>,
    /// Pairs that were not used, with the reason.
    pub refused: Vec<Unmeasured>,
}

/// The map of one pair. For denoising the corrupt run (the tested condition) receives; for noising the clean run does.
#[derive(Debug, Clone, PartialEq)]
pub struct PairMap {
    /// The item under the tested condition.
    pub item: String,
    /// Its counterpart under the baseline condition.
    pub counterpart: String,
    /// The cluster.
    pub group: String,
    /// Tokens of the counterpart (clean run).
    pub clean_tokens: Vec<String>,
    /// Tokens of the item (corrupt run).
    pub corrupt_tokens: Vec<String>,
    /// What the model says to the counterpart: the first side of the logit difference.
    pub answer: String,
    /// What the model says to the item: the second side.
    pub foil: String,
    /// Logit difference of the clean run.
    pub clean: f64,
    /// Logit difference of the corrupt run.
    pub corrupt: f64,
    /// Logit difference after each patch, `[site, position]`.
    pub metric: Array2<f64>,
    /// Recovery after each patch, `[site, position]`, unclipped: `(metric − corrupt) / (clean − corrupt)` in both modes, so
    /// that a strong cell is near 1 when denoising and near 0 when noising.
    pub recovery: Array2<f64>,
    /// Positions at which the two prompts differ.
    pub differing: Vec<usize>,
    /// The position that the answer is read at.
    pub last: usize,
    /// Largest absolute change of the logit difference when a run's own activations are written back: must be about 0.
    pub self_patch: f64,
    /// Recovery when every position of a site is written at once, one for each site; `None` off the stream. On the stream that
    /// is 1 in a denoising map and 0 in a noising one: what follows hangs on the stream alone.
    pub whole: Vec<Option<f64>>,
    /// Recovery when all positions of a class are patched at once, for each site those of [`PositionClass::ALL`]; `None` where the prompt
    /// has no such position. A condition of several tokens is carried by all of them: patched one at a time, none does much.
    pub by_class: Vec<[Option<f64>; 3]>,
    /// Recovery after norm-matched random vectors, orthogonal to the real ones, were added instead, one for each random direction, at
    /// `random_cell`; empty if the control was not asked for.
    pub random: Vec<f64>,
    /// Where the random control was made.
    pub random_cell: Option<MapCell>,
    /// Dose and response at `random_cell`; empty if that was not asked for.
    pub dose: Vec<Dose>,
}

impl PairMap {
    /// The class of a position. The last one counts as that even where the prompts differ there.
    #[must_use]
    pub fn class_of(&self, position: usize) -> PositionClass {
        PositionClass::of(position, &self.differing, self.last)
    }

    /// The recovery of a cell: all positions of a class at one site; `None` where the pair has none.
    #[must_use]
    pub fn recovery_of(&self, cell: MapCell) -> Option<f64> {
        *self.by_class.get(cell.site)?.get(cell.class as usize)?
    }
}

/// The effect of a part of a patch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dose {
    /// How much of the difference between the two runs is added: 0 is no patch, 1 the whole one.
    pub share: f64,
    /// Recovery, as in [`PairMap::recovery`].
    pub recovery: f64,
    /// Mean recovery of the random directions at the same length.
    pub random: f64,
}

impl PatchMode {
    /// `denoising` or `noising`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denoising => "denoising",
            Self::Noising => "noising",
        }
    }

    /// How much of the whole effect a patch had, given its recovery: 0 is none, 1 is all of it, in both modes.
    /// `recovery` is measured from the corrupt run, so a noising patch that does nothing has recovery 1 and effect 0.
    #[must_use]
    pub fn effect(self, recovery: f64) -> f64 {
        match self {
            Self::Denoising => recovery,
            Self::Noising => 1.0 - recovery,
        }
    }
}

/// What was removed from the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AblationKind {
    /// A probe's direction, set to its mean over the baseline's prompts.
    Directional,
    /// SAE features, with the error term kept.
    Feature,
}

/// An ablation and its controls.
#[derive(Debug, Clone, PartialEq)]
pub struct Ablation {
    /// What was removed.
    pub kind: AblationKind,
    /// Detector id.
    pub detector: String,
    /// Ablated SAE features.
    pub features: Vec<usize>,
    /// Where.
    pub site: SiteName,
    /// Suite id.
    pub suite: String,
    /// One entry for each ablated item of the tested condition.
    pub items: Vec<AblatedItem>,
    /// What it costs on control prompts.
    pub costs: Vec<OffTarget>,
}

/// What an ablation does to one control prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OffTarget {
    /// The prompt's cluster.
    pub group: String,
    /// KL divergence (nats) of the next-token distribution, edited against plain.
    pub kl: f64,
    /// The same, as a mean over the random directions; `None` if there are none.
    pub random: Option<f64>,
}

impl Ablation {
    /// Mean KL divergence (nats) over control prompts; `None` without any.
    #[must_use]
    pub fn off_target_kl(&self) -> Option<f64> {
        let costs: Vec<f64> = self.costs.iter().map(|cost| cost.kl).collect();
        mean(&costs)
    }

    /// The same for the mean random direction.
    #[must_use]
    pub fn off_target_kl_random(&self) -> Option<f64> {
        let costs: Vec<f64> = self.costs.iter().filter_map(|cost| cost.random).collect();
        mean(&costs)
    }
}

/// One ablated item.
#[derive(Debug, Clone, PartialEq)]
pub struct AblatedItem {
    /// Item id.
    pub item: String,
    /// The cluster.
    pub group: String,
    /// Logit difference (baseline answer − stated answer) of the baseline counterpart.
    pub clean: f64,
    /// Logit difference of the untouched run.
    pub before: f64,
    /// Logit difference after the ablation.
    pub after: f64,
    /// Logit difference after each random edit of the real one's length, orthogonal to it.
    pub random: Vec<f64>,
    /// Logit difference after each random direction was removed in the same way as the real one; empty for SAE features.
    pub random_removed: Vec<f64>,
    /// Whether the edited model says the counterpart's answer.
    pub restored: bool,
}

impl AblatedItem {
    /// `(after − before) / (clean − before)`, unclipped; NaN where the two runs differ by less than [`MIN_DENOMINATOR`].
    #[must_use]
    pub fn recovery(&self) -> f64 {
        self.recovered(self.after)
    }

    /// The same for each random direction.
    #[must_use]
    pub fn random_recovery(&self) -> Vec<f64> {
        let after = self.random.iter();
        after.map(|after| self.recovered(*after)).collect()
    }

    fn recovered(&self, after: f64) -> f64 {
        let whole = self.clean - self.before;
        if whole.abs() < MIN_DENOMINATOR {
            return f64::NAN;
        }
        (after - self.before) / whole
    }
}

/// Something that could not be measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unmeasured {
    /// What was wanted.
    pub what: String,
    /// Why it was not to be had.
    pub why: String,
}
