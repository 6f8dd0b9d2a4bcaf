//! Which tokens a detector reads, and how its token scores become one score of an item.

use std::fmt;
use std::str::FromStr;

use crate::fault::{Fault, Result};

/// Which tokens of an item are read. Special tokens and padding never count: a BOS row alone can separate two classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Span {
    /// The last token of the prompt.
    PromptLast,
    /// Every token of the response.
    Response,
    /// The last token of the response.
    ResponseLast,
    /// Every token of prompt and response.
    All,
}

impl Span {
    /// Every span with its spelling in a card.
    pub const NAMES: [(Self, &'static str); 4] = [
        (Self::PromptLast, "prompt_last"),
        (Self::Response, "response"),
        (Self::ResponseLast, "response_last"),
        (Self::All, "all"),
    ];
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(span, _)| span == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

impl FromStr for Span {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self> {
        Self::NAMES
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(span, _)| *span)
            .ok_or_else(|| {
                let known: Vec<String> = Self::NAMES
                    .iter()
                    .map(|(_, name)| format!("`{name}`"))
                    .collect();
                Fault::usage("reading a span", format!("`{text}`"))
                    .expected(format!("one of {}", known.join(", ")))
            })
    }
}

/// How the scores of a span's tokens become one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregation {
    /// Arithmetic mean.
    Mean,
    /// The largest token score.
    Max,
    /// The score of the last token.
    Last,
    /// The largest mean of `window` neighbouring tokens of the span; the mean of all if there are fewer.
    MaxRollingMean {
        /// Tokens in a window, at least 1.
        window: usize,
    },
}

const ROLLING: &str = "max_rolling_mean:";

impl Aggregation {
    /// One score from the scores at `span`, which indexes into `token_scores` in reading order.
    ///
    /// # Errors
    /// An empty span, an index beyond the tokens, or a token score that is not finite.
    pub fn of(&self, token_scores: &[f32], span: &[usize]) -> Result<f64> {
        const DOING: &str = "aggregating token scores";
        let scores: Vec<f64> = span
            .iter()
            .map(|index| match token_scores.get(*index) {
                Some(score) if score.is_finite() => Ok(f64::from(*score)),
                Some(score) => Err(Fault::failed(
                    DOING,
                    format!("the score {score} at token {index}"),
                )
                .expected("finite scores")),
                None => Err(Fault::failed(
                    DOING,
                    format!("token {index} of {}", token_scores.len()),
                )
                .expected("a span within the tokens")),
            })
            .collect::<Result<_>>()?;
        let value = match self {
            Self::Mean => crate::stats::mean(&scores),
            Self::Max => scores.iter().copied().reduce(f64::max),
            Self::Last => scores.last().copied(),
            Self::MaxRollingMean { window } => scores
                .windows((*window).clamp(1, scores.len().max(1)))
                .filter_map(crate::stats::mean)
                .reduce(f64::max),
        };
        value.ok_or_else(|| {
            Fault::failed(DOING, "an empty span")
                .expected("at least one token")
                .hint("the item has no token of the kind that the detector's span names, such as a response")
        })
    }
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => f.write_str("mean"),
            Self::Max => f.write_str("max"),
            Self::Last => f.write_str("last"),
            Self::MaxRollingMean { window } => write!(f, "{ROLLING}{window}"),
        }
    }
}

impl FromStr for Aggregation {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self> {
        let window = || {
            let window = text.strip_prefix(ROLLING)?.parse().ok()?;
            (window > 0).then_some(Self::MaxRollingMean { window })
        };
        match text {
            "mean" => Ok(Self::Mean),
            "max" => Ok(Self::Max),
            "last" => Ok(Self::Last),
            _ => window().ok_or_else(|| {
                Fault::usage("reading an aggregation", format!("`{text}`"))
                    .expected("`mean`, `max`, `last` or `max_rolling_mean:N` with N tokens, such as `max_rolling_mean:8`")
            }),
        }
    }
}
