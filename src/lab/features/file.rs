//! A page of features as plain data: what the page shows, and the JSON beside it.

use serde::Serialize;

use super::super::find::{Bounds, Named};
use crate::detect::{Histogram, Neighbour};

/// Schema of the file.
pub const SCHEMA: &str = "candor/feature-page/v1";

/// Chosen features of an SAE on some texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeaturePage {
    /// `candor/feature-page/v1`.
    pub schema: &'static str,
    /// Candor's version.
    pub candor: &'static str,
    /// The model, and its file's SHA-256.
    pub model: Named,
    /// The SAE's folder.
    pub dictionary: String,
    /// Its architecture.
    pub architecture: String,
    /// Where it reads.
    pub site: String,
    /// Width of what it reads.
    pub d_in: usize,
    /// Features.
    pub d_sae: usize,
    /// Tokens that count.
    pub span: String,
    /// Suites with their digests.
    pub suites: Vec<Named>,
    /// Texts.
    pub texts: usize,
    /// Tokens of the span.
    pub tokens: usize,
    /// Mean number of active features of a token.
    pub l0: f64,
    /// Features that are active on no token.
    pub silent: usize,
    /// Why no logits were measured, where none were.
    pub logits_absent: Option<String>,
    /// The command that makes the page again.
    pub command: String,
    /// The features.
    pub features: Vec<FeatureProfile>,
}

/// One feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureProfile {
    /// Column of the SAE.
    pub index: usize,
    /// Tokens at which it is active.
    pub active_tokens: usize,
    /// The same as a share of all tokens.
    pub density: f64,
    /// Mean activation where it is active.
    pub mean: f64,
    /// Largest activation.
    pub largest: f32,
    /// Activations that are not 0; `None` if there are none.
    pub histogram: Option<Histogram>,
    /// On which label it is active; `None` without items of both labels.
    pub lift: Option<LabelLift>,
    /// What it does to the logits; `None` where that was not measured.
    pub logits: Option<Logits>,
    /// Features that write in almost the same direction.
    pub nearest: Vec<Neighbour>,
    /// Texts with the largest activations.
    pub strongest: Vec<Context>,
    /// Texts with smaller ones, evenly spaced in their order: what the feature is about when it is not at its strongest.
    pub weaker: Vec<Context>,
}

/// Shares of items on which a feature is active at one token or more, with intervals clustered by group.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LabelLift {
    /// Of label 1.
    pub positive: Shown,
    /// Of label 0.
    pub negative: Shown,
    /// The first minus the second.
    pub difference: Bounds,
    /// The first divided by the second; `None` where the second is 0.
    pub ratio: Option<f64>,
}

/// Items on which a feature is active.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shown {
    /// Such items.
    pub active: usize,
    /// Of so many.
    pub of: usize,
    /// The share with its interval.
    pub share: Bounds,
}

/// What a feature writes, read by the unembedding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Logits {
    /// Tokens whose logits rise most above the mean change of all tokens.
    pub raised: Vec<LogitEffect>,
    /// Tokens whose logits fall most below it.
    pub lowered: Vec<LogitEffect>,
}

/// One token.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogitEffect {
    /// Its id.
    pub id: usize,
    /// As a person reads it.
    pub token: String,
    /// Change of its logit minus the mean change over the vocabulary.
    pub effect: f32,
}

/// A part of a text around its largest activation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Context {
    /// The suite; empty for a plain prompt.
    pub suite: String,
    /// The item's id, or the prompt's number.
    pub id: String,
    /// Label of the item.
    pub label: Option<bool>,
    /// Position of the largest activation in the text.
    pub peak: usize,
    /// The largest activation.
    pub largest: f32,
    /// Position of the first token that is shown, and how many tokens the text has.
    pub from: usize,
    /// Tokens of the text.
    pub length: usize,
    /// Tokens and their activations; 0 outside the span.
    pub tokens: Vec<(String, f32)>,
}
