//! The schema of what a person wants to look at.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::estimate::EstimateV1;
use super::finding::UnmeasuredV1;
use super::record::{AccountV1, OutcomeV1};
use super::wire::{Number, Single, Wire, name, object};
use crate::evidence::PatchMode;
use crate::report::{
    Aim, AnswerPair, ContrastExhibit, DosePoint, EffectExhibit, Exhibits, MapExample, MapExhibit,
    PositionClass, Share, TokenStrip,
};

name! {
    /// Which run received the activation.
    PatchModeV1 for PatchMode { Denoising, Noising, }
}
name! {
    /// Where in a prompt a position lies.
    PositionClassV1 for PositionClass { Differing, Elsewhere, Last, }
}
name! {
    /// What becomes of the baseline's answer if an intervention works.
    AimV1 for Aim { Restore, Remove, }
}
object! {
    /// What a person wants to look at.
    ExhibitsV1 for Exhibits {
        /// How the answers of each two conditions that were paired compare.
        contrasts: Vec<ContrastV1>,
        /// What was said under both conditions of a pair.
        answers: Vec<AnswersV1>,
        /// Tokens with their detector scores.
        token_scores: Vec<TokensV1>,
        /// Layer × position patching.
        maps: Vec<MapV1>,
        /// Effects beside those of random directions.
        effects: Vec<EffectV1>,
    }
}
object! {
    /// What was said under two conditions, over all their pairs.
    ContrastV1 for ContrastExhibit {
        /// How the counterparts were judged.
        baseline: AccountV1,
        /// How the tested items were judged.
        tested: AccountV1,
        /// Pairs whose two responses are not the same text.
        changed: usize,
    }
}
object! {
    /// What the model said to the two items of a pair.
    AnswersV1 for AnswerPair {
        /// Suite id.
        suite: String,
        /// Id of the tested item.
        item: String,
        /// Condition of the counterpart.
        baseline_condition: String,
        /// Prompt of the counterpart.
        baseline_prompt: String,
        /// What was said to it.
        baseline_said: String,
        /// How that was judged.
        baseline_outcome: OutcomeV1,
        /// Condition of the tested item.
        condition: String,
        /// Prompt of the tested item.
        prompt: String,
        /// What was said to it.
        said: String,
        /// How that was judged.
        outcome: OutcomeV1,
        /// The answer that both items state.
        truth: Option<String>,
    }
}
object! {
    /// One item's tokens, scored by one detector.
    TokensV1 for TokenStrip {
        /// Detector id.
        detector: String,
        /// The feature's index, for an SAE.
        feature: Option<usize>,
        /// Suite id.
        suite: String,
        /// Item id.
        item: String,
        /// The item's condition.
        condition: String,
        /// Token texts of prompt and response.
        tokens: Vec<String>,
        /// One score for each token.
        scores: Vec<Single>,
        /// Indices into `tokens` that `value` was taken over.
        span: Vec<usize>,
        /// The aggregated score.
        value: Number,
        /// The score from which the detector says yes.
        threshold: Number,
        /// What the model said.
        said: String,
        /// How that was judged.
        outcome: OutcomeV1,
    }
}
object! {
    /// A patching map over all pairs of a suite.
    MapV1 for MapExhibit {
        /// Suite id.
        suite: String,
        /// Which run received the activation.
        mode: PatchModeV1,
        /// Site names: the rows.
        sites: Vec<String>,
        /// Position classes: the columns.
        columns: Vec<PositionClassV1>,
        /// Mean recovery, `[site][column]`, with an interval clustered by group.
        cells: Vec<Vec<Option<EstimateV1>>>,
        /// Largest absolute change of the logit difference under a self-patch.
        self_patch: Number,
        /// Pairs that were used.
        pairs: usize,
        /// Pairs that were not.
        refused: Vec<UnmeasuredV1>,
        /// One pair in full.
        example: Option<ExampleV1>,
    }
}
object! {
    /// The whole map of one pair.
    ExampleV1 for MapExample {
        /// Id of the tested item.
        item: String,
        /// Id of its counterpart.
        counterpart: String,
        /// Tokens of the counterpart.
        clean_tokens: Vec<String>,
        /// Tokens of the tested item: the columns.
        corrupt_tokens: Vec<String>,
        /// What the model says to the counterpart.
        answer: String,
        /// What it says to the tested item.
        foil: String,
        /// Logit difference (answer − foil) of the counterpart.
        clean: Number,
        /// Logit difference of the tested item.
        corrupt: Number,
        /// Recovery `[site][position]`, unclipped.
        recovery: Vec<Vec<Number>>,
        /// Positions at which the prompts differ.
        differing: Vec<usize>,
        /// The position that the answer is read at.
        last: usize,
    }
}
object! {
    /// An intervention's effect beside that of random ones of the same norm.
    EffectV1 for EffectExhibit {
        /// What was done.
        title: String,
        /// What it was done for.
        aim: AimV1,
        /// Suite id.
        suite: String,
        /// Mean effect over items: 0 is none, 1 the whole difference between the two runs.
        effect: EstimateV1,
        /// Mean effect of each random direction.
        random: Vec<Number>,
        /// Items whose logit difference then prefers the answer that was aimed at.
        turned: ShareV1,
        /// The same under the random direction that turned most.
        turned_random: Option<ShareV1>,
        /// Items that turned when a random direction was removed in the same way, for the one that turned most.
        turned_removed: Option<ShareV1>,
        /// Share of random directions (the measured one counted in) whose effect is at least as large.
        p_value: Option<Number>,
        /// Mean KL divergence (nats) on control prompts.
        off_target_kl: Option<Number>,
        /// The same for the mean random direction.
        off_target_kl_random: Option<Number>,
        /// Items that then got the counterpart's answer.
        restored: Option<ShareV1>,
        /// Effects of parts of the edit.
        dose: Vec<DoseV1>,
    }
}
object! {
    /// The mean effect of a part of an edit.
    DoseV1 for DosePoint {
        /// How much of the edit: 0 none, 1 the whole.
        share: Number,
        /// Mean effect over items.
        effect: EstimateV1,
        /// Mean effect of the random directions at the same length.
        random: Number,
    }
}
object! {
    /// So many of so many.
    ShareV1 for Share {
        /// How many.
        hits: usize,
        /// Of how many.
        of: usize,
    }
}
