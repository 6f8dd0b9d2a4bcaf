//! How what a detector says of an item's tokens becomes one score of the item.

use std::fmt;
use std::str::FromStr;

use ndarray::{Array1, ArrayView2, Axis};

use crate::fault::{Fault, Result};

/// How token scores become one score.
///
/// All but the last two speak of one column of token scores. Those pool several columns at once, and belong to the kind of probe
/// that was trained with them.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// The largest exponential moving average `e_t = α·z_t + (1 − α)·e_{t−1}`, from `e_0 = z_0`.
    MaxMovingAverage {
        /// Share of the newest token, above 0 and at most 1.
        alpha: f64,
    },
    /// `Σ_h Σ_t softmax_t(q_h)·v_h` over columns `q_0 … q_{h−1}, v_0 … v_{h−1}`.
    Attention,
    /// `Σ_h max_t v_h` over columns `v_0 … v_{h−1}`.
    SumOfMaxima,
}

const ROLLING: &str = "max_rolling_mean:";
const MOVING: &str = "ema:";
const DOING: &str = "aggregating token scores";

impl Aggregation {
    /// Whether it pools several columns.
    #[must_use]
    pub fn pools(self) -> bool {
        matches!(self, Self::Attention | Self::SumOfMaxima)
    }

    /// Whether it has something to say of that many columns.
    #[must_use]
    pub fn fits(self, columns: usize) -> bool {
        match self {
            Self::Attention => columns > 0 && columns.is_multiple_of(2),
            Self::SumOfMaxima => columns > 0,
            _ => columns == 1,
        }
    }

    /// One score from the scores at `span`, which indexes into `token_scores` in reading order.
    ///
    /// # Errors
    /// An empty span, an index beyond the tokens, a token score that is not finite, or an aggregation that pools columns.
    pub fn of(&self, token_scores: &[f32], span: &[usize]) -> Result<f64> {
        let scores: Vec<f64> = span
            .iter()
            .map(|index| {
                let score = token_scores.get(*index).copied();
                checked(score, *index, token_scores.len())
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
            Self::MaxMovingAverage { alpha } => {
                let averages = scores.iter().scan(None, |average, score| {
                    let next =
                        average.map_or(*score, |before| alpha * score + (1.0 - alpha) * before);
                    *average = Some(next);
                    Some(next)
                });
                averages.reduce(f64::max)
            }
            Self::Attention | Self::SumOfMaxima => {
                return Err(Fault::failed(DOING, "one column of scores")
                    .expected(format!("the columns that `{self}` pools")));
            }
        };
        value.ok_or_else(empty)
    }

    /// One score from the columns `[seq, c]` at `span`.
    ///
    /// # Errors
    /// As for [`Aggregation::of`], and another number of columns than [`Aggregation::fits`].
    pub fn of_columns(&self, scores: ArrayView2<f32>, span: &[usize]) -> Result<f64> {
        if self.pools() {
            return Ok(self.pooled(scores, span)?.sum());
        }
        self.columns(scores)?;
        let column: Vec<f32> = scores.iter().copied().collect();
        self.of(&column, span)
    }

    /// What is shown for each token: its score, or where columns are pooled its part of the item's score. Parts add up to that
    /// score, and are 0 outside the span.
    ///
    /// # Errors
    /// As for [`Aggregation::of_columns`].
    #[allow(
        clippy::cast_possible_truncation,
        reason = "token scores are single precision"
    )]
    pub fn by_token(&self, scores: ArrayView2<f32>, span: &[usize]) -> Result<Vec<f32>> {
        if !self.pools() {
            self.columns(scores)?;
            return Ok(scores.iter().copied().collect());
        }
        let parts = self.pooled(scores, span)?;
        let mut tokens = vec![0.0; scores.nrows()];
        for (place, part) in span.iter().zip(&parts) {
            if let Some(token) = tokens.get_mut(*place) {
                *token = *part as f32;
            }
        }
        Ok(tokens)
    }

    fn columns(self, scores: ArrayView2<f32>) -> Result<()> {
        if self.fits(scores.ncols()) {
            return Ok(());
        }
        Err(
            Fault::failed(DOING, format!("{} columns for `{self}`", scores.ncols())).expected(
                match self {
                    Self::Attention => "as many columns of queries as of values",
                    Self::SumOfMaxima => "at least one column",
                    _ => "one column",
                },
            ),
        )
    }

    /// The part of each token of the span in the pooled score.
    fn pooled(self, scores: ArrayView2<f32>, span: &[usize]) -> Result<Array1<f64>> {
        self.columns(scores)?;
        if span.is_empty() {
            return Err(empty());
        }
        for &token in span {
            for column in 0..scores.ncols() {
                let score = scores.get((token, column)).copied();
                checked(score, token, scores.nrows())?;
            }
        }
        let rows = scores.select(Axis(0), span).mapv(f64::from);
        let heads = match self {
            Self::Attention => rows.ncols() / 2,
            _ => rows.ncols(),
        };
        let mut parts = Array1::zeros(span.len());
        for head in 0..heads {
            if self == Self::Attention {
                let weights = softmax(&rows.column(head).to_owned());
                parts = parts + weights * rows.column(heads + head);
            } else {
                let values = rows.column(head);
                let largest = (0..values.len()).fold(0, |best, token| {
                    if values[token] > values[best] {
                        token
                    } else {
                        best
                    }
                });
                parts[largest] += values[largest];
            }
        }
        Ok(parts)
    }
}

/// `exp(x − max)` normalised to sum 1.
pub(super) fn softmax(values: &Array1<f64>) -> Array1<f64> {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut weights = values.mapv(|value| (value - largest).exp());
    let sum = weights.sum();
    weights /= sum;
    weights
}

fn checked(score: Option<f32>, index: usize, tokens: usize) -> Result<f64> {
    match score {
        Some(score) if score.is_finite() => Ok(f64::from(score)),
        Some(score) => Err(
            Fault::failed(DOING, format!("the score {score} at token {index}"))
                .expected("finite scores"),
        ),
        None => Err(Fault::failed(DOING, format!("token {index} of {tokens}"))
            .expected("a span within the tokens")),
    }
}

fn empty() -> Fault {
    Fault::failed(DOING, "an empty span")
        .expected("at least one token")
        .hint(
            "the item has no token of the kind that the detector's span names, such as a response",
        )
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => f.write_str("mean"),
            Self::Max => f.write_str("max"),
            Self::Last => f.write_str("last"),
            Self::MaxRollingMean { window } => write!(f, "{ROLLING}{window}"),
            Self::MaxMovingAverage { alpha } => write!(f, "{MOVING}{alpha}"),
            Self::Attention => f.write_str("attention"),
            Self::SumOfMaxima => f.write_str("sum_of_maxima"),
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
        let moving = || {
            let alpha = text.strip_prefix(MOVING)?.parse().ok()?;
            (alpha > 0.0 && alpha <= 1.0).then_some(Self::MaxMovingAverage { alpha })
        };
        match text {
            "mean" => Ok(Self::Mean),
            "max" => Ok(Self::Max),
            "last" => Ok(Self::Last),
            "attention" => Ok(Self::Attention),
            "sum_of_maxima" => Ok(Self::SumOfMaxima),
            _ => window().or_else(moving).ok_or_else(|| {
                Fault::usage("reading an aggregation", format!("`{text}`"))
                    .expected("`mean`, `max`, `last`, `max_rolling_mean:N` with N tokens, such as `max_rolling_mean:8`, `ema:ALPHA` with a share above 0 and at most 1, such as `ema:0.5`, or what a kind of probe pools with: `attention`, `sum_of_maxima`")
            }),
        }
    }
}
