//! Metrics over runs: one number for each row.

use ndarray::{ArrayView1, Axis};

use super::metric::{divergence_from, log_probability, logit_difference, rank};
use super::pair::Pair;
use super::row::{Row, Runs};
use crate::detect::{Detector, Loaded, Sae};
use crate::fault::{Fault, Result};
use crate::model::SiteName;

/// The score of an activation `[width]`.
pub type TokenScore<'a> = dyn Fn(ArrayView1<f32>) -> Result<f64> + Sync + 'a;

/// What is read of a run: the mean over the positions that the row reads.
pub enum Metric<'a> {
    /// `logits[answer] − logits[foil]`, in logits.
    LogitDifference,
    /// ln p(answer), in nats.
    LogProbability,
    /// KL(clean run ‖ this run) of the next-token distributions, in nats.
    Divergence,
    /// How many tokens have a larger logit than the answer.
    Rank,
    /// What a detector says of an activation of this run.
    Score {
        /// Detector id.
        name: String,
        /// What it reads.
        site: SiteName,
        /// Its token score of an activation `[width]`.
        score: Box<TokenScore<'a>>,
    },
}

/// What a metric has to know of the prompts.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Token id; read by [`Metric::LogitDifference`], [`Metric::LogProbability`] and [`Metric::Rank`].
    pub answer: usize,
    /// Token id; read by [`Metric::LogitDifference`].
    pub foil: usize,
    /// The clean run's log-probabilities `[vocab]` at each position that is read; read by [`Metric::Divergence`].
    pub reference: Vec<(usize, Vec<f64>)>,
}

impl Question {
    /// The answer and the foil of a pair.
    #[must_use]
    pub fn of(pair: &Pair) -> Self {
        let index = |id: i64| usize::try_from(id).unwrap_or(usize::MAX);
        Self {
            answer: index(pair.answer),
            foil: index(pair.foil),
            reference: Vec::new(),
        }
    }
}

impl<'a> Metric<'a> {
    /// A detector's score: of a probe, or of one feature of an SAE. `feature` may be left out where the card has only one.
    ///
    /// # Errors
    /// Usage: an SAE of several features without a choice, or a feature that the card lacks.
    pub fn of_detector(detector: &'a Detector, feature: Option<usize>) -> Result<Self> {
        let doing = || format!("reading the detector `{}`", detector.card.id);
        let features = detector.features();
        let column = match (&detector.weights, feature) {
            (Loaded::Probe(_), None) => 0,
            (Loaded::Probe(_), Some(_)) => {
                return Err(Fault::usage(doing(), "a feature of a probe").expected("an SAE"));
            }
            (Loaded::Sae(_), Some(feature)) => features
                .iter()
                .position(|one| *one == feature)
                .ok_or_else(|| {
                    Fault::usage(doing(), format!("feature {feature}"))
                        .expected(format!("one of its card's features: {features:?}"))
                })?,
            (Loaded::Sae(_), None) if features.len() == 1 => 0,
            (Loaded::Sae(_), None) => {
                return Err(Fault::usage(
                    doing(),
                    format!("an SAE with {} features", features.len()),
                )
                .expected(format!("one feature to read, out of {features:?}"))
                .hint("name it with --feature"));
            }
        };
        Ok(Self::Score {
            name: detector.card.id.clone(),
            site: detector.card.site,
            score: Box::new(move |x| {
                let scores = detector.token_scores(x.insert_axis(Axis(0)))?;
                let of_token = detector.item_scores(scores.view(), &[0])?;
                Ok(of_token.get(column).map_or(f64::NAN, |score| score.value))
            }),
        })
    }

    /// The activation of one feature of an SAE that was trained at `site`.
    ///
    /// # Errors
    /// Usage: a feature that the SAE lacks.
    pub fn of_feature(sae: &'a Sae, site: SiteName, feature: usize) -> Result<Self> {
        if feature >= sae.d_sae() {
            return Err(Fault::usage("reading an SAE", format!("feature {feature}"))
                .expected(format!("an index below d_sae = {}", sae.d_sae())));
        }
        Ok(Self::Score {
            name: format!("feature {feature}"),
            site,
            score: Box::new(move |x| {
                let acts = sae.encode(x.insert_axis(Axis(0)))?;
                Ok(acts.get((0, feature)).copied().map_or(f64::NAN, f64::from))
            }),
        })
    }

    /// Its name in files.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::LogitDifference => "logit_difference",
            Self::LogProbability => "log_probability",
            Self::Divergence => "kl",
            Self::Rank => "rank",
            Self::Score { .. } => "detector",
        }
    }

    /// What a number of it counts.
    #[must_use]
    pub const fn unit(&self) -> &'static str {
        match self {
            Self::LogitDifference => "logits",
            Self::LogProbability | Self::Divergence => "nats",
            Self::Rank => "tokens",
            Self::Score { .. } => "score",
        }
    }

    /// What `(metric − corrupt)/(clean − corrupt)` says of it; `None` where it says nothing.
    #[must_use]
    pub const fn recovery(&self) -> Option<&'static str> {
        match self {
            Self::LogitDifference | Self::LogProbability | Self::Score { .. } => {
                Some("0 is the corrupt run and 1 the clean one; not clipped")
            }
            Self::Divergence => Some(
                "the clean run's divergence from itself is 0, so recovery is 1 − kl/kl of the corrupt run: 1 is the clean distribution and nothing is above it, below 0 is further away than the corrupt run",
            ),
            Self::Rank => None,
        }
    }

    fn of_logits(&self, question: &Question, position: usize, logits: ArrayView1<f32>) -> f64 {
        match self {
            Self::LogProbability => log_probability(logits, question.answer),
            Self::Divergence => {
                let mut reference = question.reference.iter();
                let reference = reference.find(|(at, _)| *at == position);
                reference.map_or(f64::NAN, |(_, clean)| divergence_from(clean, logits))
            }
            #[allow(clippy::cast_precision_loss, reason = "a vocabulary is far below 2^52")]
            Self::Rank => rank(logits, question.answer) as f64,
            Self::LogitDifference | Self::Score { .. } => f64::NAN,
        }
    }

    /// The metric of every row; `of_row` tells which question a row answers.
    ///
    /// # Errors
    /// A question about a token that the model lacks, an activation that the detector cannot read, or a failed run.
    pub fn measure(
        &self,
        runs: &dyn Runs,
        rows: &[Row<'_>],
        questions: &[Question],
        of_row: &dyn Fn(usize) -> usize,
    ) -> Result<Vec<f64>> {
        self.measure_with(runs, rows, questions, of_row, &|_| ())
    }

    /// The same; `tick` is called with the index of each row as one of its positions has been read.
    pub(super) fn measure_with(
        &self,
        runs: &dyn Runs,
        rows: &[Row<'_>],
        questions: &[Question],
        of_row: &dyn Fn(usize) -> usize,
        tick: &dyn Fn(usize),
    ) -> Result<Vec<f64>> {
        let vocab = runs.arch().vocab_size;
        let mut chosen: Vec<usize> = questions
            .iter()
            .flat_map(|one| [one.answer, one.foil])
            .collect();
        chosen.sort_unstable();
        chosen.dedup();
        if let Some(id) = chosen.last().filter(|id| **id >= vocab) {
            return Err(Fault::usage("reading a metric", format!("token id {id}"))
                .expected(format!("an id below {vocab}, the model's vocabulary")));
        }
        let mut sums = vec![0.0; rows.len()];
        let mut add = |index: usize, value: f64| {
            if let (Some(sum), Some(row)) = (sums.get_mut(index), rows.get(index)) {
                #[allow(clippy::cast_precision_loss, reason = "a count of positions")]
                let n = row.read.len() as f64;
                *sum += value / n;
                tick(index);
            }
        };
        match self {
            Self::Score { site, score, .. } => {
                runs.each_activation(rows, &[*site], &mut |row, _, _, x| {
                    add(row, score(x)?);
                    Ok(())
                })?;
            }
            // Two logits of a whole vocabulary are read.
            Self::LogitDifference => runs.each_of(rows, &chosen, &mut |row, _, logits| {
                let at = |id: usize| chosen.binary_search(&id).unwrap_or(usize::MAX);
                if let Some(one) = questions.get(of_row(row)) {
                    add(row, logit_difference(logits, at(one.answer), at(one.foil)));
                }
                Ok(())
            })?,
            _ => runs.each_logits(rows, &mut |row, position, logits| {
                if let Some(question) = questions.get(of_row(row)) {
                    add(row, self.of_logits(question, position, logits));
                }
                Ok(())
            })?,
        }
        Ok(sums)
    }
}
