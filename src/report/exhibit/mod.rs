//! What a person wants to look at: answers side by side, tokens with scores, maps, effects against their controls.

mod answers;
mod contrasts;
mod effects;
mod maps;
mod tokens;

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::record::{Account, DetectorRecord};
pub use crate::evidence::PositionClass;
use crate::evidence::{Evidence, Outcome, PatchMode, Unmeasured};
use crate::fault::Result;
use crate::stats::Estimate;

/// What [`exhibits`] needs beside the evidence.
#[derive(Debug, Clone, Copy)]
pub struct ExhibitContext<'a> {
    /// The detectors, for their thresholds.
    pub detectors: &'a [DetectorRecord],
    /// Seed of the choice of examples.
    pub seed: u64,
}

/// Picks and sums up what a person wants to look at. Depends on nothing but its arguments.
///
/// # Errors
/// If an interval cannot be computed.
pub fn exhibits(evidence: &Evidence, context: &ExhibitContext) -> Result<Exhibits> {
    let chosen = answers::chosen(evidence, context.seed);
    Ok(Exhibits {
        contrasts: contrasts::contrasts(evidence),
        token_scores: tokens::strips(evidence, context, &chosen),
        maps: maps::maps(evidence, context)?,
        effects: effects::effects(evidence)?,
        answers: answers::answers(&chosen),
    })
}

/// Suite and item ids of the responses that [`exhibits`] shows in full: the only ones whose prompts and token scores it needs.
#[must_use]
pub fn shown(evidence: &Evidence, seed: u64) -> BTreeSet<(String, String)> {
    let chosen = answers::chosen(evidence, seed).into_iter();
    let responses = chosen.flat_map(|pair| [pair.baseline, pair.tested]);
    responses
        .map(|response| (response.suite().to_owned(), response.item().to_owned()))
        .collect()
}

/// `all` in an order that the seed decides, whatever order they came in.
pub(super) fn shuffled<T, K: Ord>(mut all: Vec<T>, key: impl Fn(&T) -> K, seed: u64) -> Vec<T> {
    all.sort_by_cached_key(key);
    all.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    all
}

/// The exhibits of one model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exhibits {
    /// How the answers of each two conditions that were paired compare.
    pub contrasts: Vec<ContrastExhibit>,
    /// What was said under both conditions of a pair.
    pub answers: Vec<AnswerPair>,
    /// Tokens with their detector scores.
    pub token_scores: Vec<TokenStrip>,
    /// Layer × position patching.
    pub maps: Vec<MapExhibit>,
    /// Effects beside those of random directions.
    pub effects: Vec<EffectExhibit>,
}

/// What was said under two conditions, over all their pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContrastExhibit {
    /// How the counterparts were judged.
    pub baseline: Account,
    /// How the tested items were judged.
    pub tested: Account,
    /// Pairs whose two responses are not the same text.
    pub changed: usize,
}

/// What the model said to the two items of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerPair {
    /// Suite id.
    pub suite: String,
    /// Id of the tested item.
    pub item: String,
    /// Condition of the counterpart.
    pub baseline_condition: String,
    /// Prompt of the counterpart.
    pub baseline_prompt: String,
    /// What was said to it.
    pub baseline_said: String,
    /// How that was judged.
    pub baseline_outcome: Outcome,
    /// Condition of the tested item.
    pub condition: String,
    /// Prompt of the tested item.
    pub prompt: String,
    /// What was said to it.
    pub said: String,
    /// How that was judged.
    pub outcome: Outcome,
    /// The answer that both items state.
    pub truth: Option<String>,
}

/// One item's tokens, coloured by one detector.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenStrip {
    /// Detector id.
    pub detector: String,
    /// The feature's index, for an SAE.
    pub feature: Option<usize>,
    /// Suite id.
    pub suite: String,
    /// Item id.
    pub item: String,
    /// The item's condition.
    pub condition: String,
    /// Token texts of prompt and response.
    pub tokens: Vec<String>,
    /// One score for each token.
    pub scores: Vec<f32>,
    /// Indices into `tokens` that `value` was taken over.
    pub span: Vec<usize>,
    /// The aggregated score.
    pub value: f64,
    /// The score from which the detector says yes.
    pub threshold: f64,
    /// What the model said.
    pub said: String,
    /// How that was judged.
    pub outcome: Outcome,
}

/// A patching map over all pairs of a suite, and one pair in full.
#[derive(Debug, Clone, PartialEq)]
pub struct MapExhibit {
    /// Suite id.
    pub suite: String,
    /// Which run received the activation.
    pub mode: PatchMode,
    /// Site names: the rows.
    pub sites: Vec<String>,
    /// Position classes: the columns.
    pub columns: Vec<PositionClass>,
    /// Mean recovery, `[site][column]`, with an interval clustered by group; `None` where no pair has such a position.
    pub cells: Vec<Vec<Option<Estimate>>>,
    /// Largest absolute change of the logit difference when a run's own activations were written back.
    pub self_patch: f64,
    /// Pairs that were used.
    pub pairs: usize,
    /// Pairs that were not, and why.
    pub refused: Vec<Unmeasured>,
    /// One pair in full.
    pub example: Option<MapExample>,
}

/// The whole map of one pair.
#[derive(Debug, Clone, PartialEq)]
pub struct MapExample {
    /// Id of the tested item.
    pub item: String,
    /// Id of its counterpart.
    pub counterpart: String,
    /// Tokens of the counterpart.
    pub clean_tokens: Vec<String>,
    /// Tokens of the tested item: the columns.
    pub corrupt_tokens: Vec<String>,
    /// What the model says to the counterpart.
    pub answer: String,
    /// What it says to the tested item.
    pub foil: String,
    /// Logit difference (answer − foil) of the counterpart.
    pub clean: f64,
    /// Logit difference of the tested item.
    pub corrupt: f64,
    /// Recovery `[site][position]`, unclipped.
    pub recovery: Vec<Vec<f64>>,
    /// Positions at which the prompts differ.
    pub differing: Vec<usize>,
    /// The position that the answer is read at.
    pub last: usize,
}

/// An intervention's effect beside that of random ones of the same norm.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectExhibit {
    /// What was done, such as ``removing the direction of `condition-l1` at `blocks.1.hook_resid_post` ``.
    pub title: String,
    /// What it was done for.
    pub aim: Aim,
    /// Suite id.
    pub suite: String,
    /// Mean effect over items, with an interval clustered by group: 0 is none, 1 the whole difference between the two runs.
    pub effect: Estimate,
    /// Mean effect of each random direction over the same items.
    pub random: Vec<f64>,
    /// Items whose logit difference then prefers the answer that was aimed at.
    pub turned: Share,
    /// The same under the random direction that turned most; `None` without random directions.
    pub turned_random: Option<Share>,
    /// Items that turned when the random direction that turned most was removed in the same way; `None` where no
    /// direction was removed.
    pub turned_removed: Option<Share>,
    /// Share of random directions (the measured one counted in) whose effect is at least as large.
    pub p_value: Option<f64>,
    /// Mean KL divergence (nats) on control prompts, edited against plain.
    pub off_target_kl: Option<f64>,
    /// The same for the mean random direction.
    pub off_target_kl_random: Option<f64>,
    /// Items that then got the counterpart's answer; `None` where that was not asked.
    pub restored: Option<Share>,
    /// Effects of parts of the edit, from none to more than the whole; empty where only the whole was made.
    pub dose: Vec<DosePoint>,
}

/// The mean effect of a part of an edit.
#[derive(Debug, Clone, PartialEq)]
pub struct DosePoint {
    /// How much of the edit: 0 none, 1 the whole.
    pub share: f64,
    /// Mean effect over items, with an interval clustered by group.
    pub effect: Estimate,
    /// Mean effect of the random directions at the same length.
    pub random: f64,
}

/// What becomes of the baseline's answer if an intervention works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// It comes back in the tested run.
    Restore,
    /// It is lost in the baseline run.
    Remove,
}

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many.
    pub hits: usize,
    /// Of how many.
    pub of: usize,
}
