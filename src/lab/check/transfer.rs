//! What another run of the same tokens (PyTorch in float32, another export) gives a detector to read, beside this model.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use super::candidate::Candidate;
use super::reference::{Recorded, Reference};
use super::{Reader, TOKENS_AT_ONCE};
use crate::detect::card::Declares;
use crate::detect::sae::{Measured, Measuring};
use crate::detect::{Agreement, Calibration, Detector, Sae, Span, flip_agreement, sae_agreements};
use crate::fault::{Fault, Result};
use crate::lab::Progress;
use crate::lab::chunks::chunks;
use crate::model::{Architecture, Layout};
use crate::stats::{Estimate, mean, pearson, proportion, spearman};

/// What a detector loses between a reference run and this model.
#[derive(Debug, Clone, PartialEq)]
pub struct Transfer {
    /// Tokens that were compared.
    pub tokens: usize,
    /// Mean cosine between the activations of both runs.
    pub cosine: f64,
    /// Mean of `‖x − x_ref‖ / ‖x_ref‖`.
    pub relative_difference: f64,
    /// The token scores: of a probe, or of each feature on the card.
    pub scores: Vec<Columns>,
    /// How texts were read, where the detector's span cannot be told from ids.
    pub note: Option<&'static str>,
    /// How an SAE fares on both.
    pub dictionaries: Option<Dictionaries>,
    /// An SAE's quality here beside that on the reference run, and a threshold's flips beside the false alarms that its card declares.
    pub agreements: Vec<Agreement>,
}

/// Token scores of both runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    /// The feature of an SAE.
    pub feature: Option<usize>,
    /// Pearson's correlation; `None` without variation.
    pub pearson: Option<f64>,
    /// Spearman's.
    pub spearman: Option<f64>,
    /// Mean of `|score − score_ref|`.
    pub mean_difference: f64,
    /// The largest.
    pub largest_difference: f64,
    /// Tokens whose score changes sides of the threshold, of the score that it was set on.
    pub token_flips: Option<Flips>,
    /// Texts whose aggregated score does.
    pub text_flips: Option<Flips>,
}

/// What changes sides of the threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flips {
    /// Flagged here and not in the reference run.
    pub on: usize,
    /// Flagged in the reference run and not here.
    pub off: usize,
    /// Share of both, with its exact interval, each its own cluster.
    pub share: Estimate,
}

/// One SAE on both runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dictionaries {
    /// Mean over tokens of the shared part of all features that are active in either run (Jaccard).
    pub jaccard: f64,
    /// On the reference run.
    pub reference: Measured,
    /// On this model.
    pub here: Measured,
}

impl Dictionaries {
    fn agreements(&self) -> Vec<Agreement> {
        let declared = Declares {
            l0: Some(self.reference.l0),
            explained_variance: Some(self.reference.explained_variance),
            ..Declares::default()
        };
        sae_agreements(&declared, &self.here)
    }
}

/// Compares every candidate on the reference run and on the model.
pub(super) fn compare(
    reader: &Reader<'_>,
    reference: &Reference,
    progress: &dyn Progress,
) -> Result<Vec<Transfer>> {
    let mut all = reader
        .request
        .candidates
        .iter()
        .map(|candidate| Comparison::begin(candidate, reference, reader.request.arch))
        .collect::<Result<Vec<_>>>()?;
    let special = |id: i64| {
        let tokenizer = reader.request.tokenizer;
        tokenizer
            .is_some_and(|tokenizer| u32::try_from(id).is_ok_and(|id| tokenizer.is_special(id)))
    };
    let mut text = 0;
    for some in chunks(reference.ids(), TOKENS_AT_ONCE, Vec::len) {
        let prompts: Vec<&[i64]> = some.iter().map(Vec::as_slice).collect();
        for (ids, of_prompt) in prompts.iter().zip(reader.activations(&prompts)?) {
            let plain: Vec<usize> = (0..ids.len()).filter(|&at| !special(ids[at])).collect();
            for one in &mut all {
                let x = reader.at(one.candidate.site(), &of_prompt)?;
                let y = reader.at(one.candidate.site_out(), &of_prompt)?;
                one.add(text, &plain, x, y)?;
            }
            text += 1;
            progress.step(1);
        }
    }
    all.into_iter().map(Comparison::finish).collect()
}

/// A comparison in the making.
struct Comparison<'a> {
    candidate: &'a Candidate,
    inputs: Recorded<'a>,
    outputs: Recorded<'a>,
    measuring: Option<[Measuring<'a>; 2]>,
    jaccard: f64,
    cosine: f64,
    relative: f64,
    tokens: usize,
    /// Of each column and run: token scores.
    scores: Vec<[Vec<f64>; 2]>,
    /// Aggregated scores of each text, in both runs.
    texts: Vec<[f64; 2]>,
}

impl<'a> Comparison<'a> {
    fn begin(
        candidate: &'a Candidate,
        reference: &'a Reference,
        arch: &Architecture,
    ) -> Result<Self> {
        let width = |site| {
            let layout = arch.site(site).map(|site| site.layout);
            layout.and_then(Layout::per_position).unwrap_or(0)
        };
        let recorded = |site| reference.at(site, width(site));
        let columns = candidate
            .detector()
            .map_or(0, |detector| match candidate.sae() {
                Some(_) => detector.features().len(),
                None => 1,
            });
        Ok(Self {
            candidate,
            inputs: recorded(candidate.site())?,
            outputs: recorded(candidate.site_out())?,
            measuring: candidate
                .sae()
                .map(|sae| [Measuring::new(sae), Measuring::new(sae)]),
            jaccard: 0.0,
            cosine: 0.0,
            relative: 0.0,
            tokens: 0,
            scores: vec![[Vec::new(), Vec::new()]; columns],
            texts: Vec::new(),
        })
    }

    /// Adds a text: its activations `[seq, width]` here, of which those at `plain` count.
    fn add(
        &mut self,
        text: usize,
        plain: &[usize],
        x: ArrayView2<f32>,
        y: ArrayView2<f32>,
    ) -> Result<()> {
        if plain.is_empty() {
            return Ok(());
        }
        let of = |values: ArrayView2<f32>| values.select(Axis(0), plain);
        let theirs = of(self.inputs.text(text)?.view());
        let ours = of(x);
        for (theirs, ours) in theirs.rows().into_iter().zip(ours.rows()) {
            let (product, a, b) = products(theirs, ours);
            self.cosine += if a > 0.0 && b > 0.0 {
                product / (a * b).sqrt()
            } else {
                1.0
            };
            let off = squares((&ours - &theirs).view());
            self.relative += if a > 0.0 { (off / a).sqrt() } else { 0.0 };
        }
        self.tokens += plain.len();
        if let (Some(measuring), Some(sae)) = (&mut self.measuring, self.candidate.sae()) {
            let outputs = [of(self.outputs.text(text)?.view()), of(y)];
            let acts = encoded(sae, [&theirs, &ours])?;
            for (((measuring, acts), x), y) in measuring
                .iter_mut()
                .zip(&acts)
                .zip([&theirs, &ours])
                .zip(&outputs)
            {
                let decoded = sae.decode(acts.view(), x.view())?;
                measuring.observe(acts.view(), decoded.view(), y.view())?;
            }
            let [theirs, ours] = &acts;
            let rows = theirs.rows().into_iter().zip(ours.rows());
            self.jaccard += rows.map(|(a, b)| jaccard(a, b)).sum::<f64>();
        }
        if let (Some(detector), false) = (self.candidate.detector(), self.scores.is_empty()) {
            let mut aggregated = [0.0; 2];
            for (run, x) in [&theirs, &ours].into_iter().enumerate() {
                let scores = detector.token_scores(x.view())?;
                let all: Vec<usize> = (0..plain.len()).collect();
                let tokens = detector.item_scores(scores.view(), &all)?;
                for (into, score) in self.scores.iter_mut().zip(tokens) {
                    into[run].extend(score.tokens.into_iter().map(f64::from));
                }
                let read = detector.item_scores(scores.view(), read(detector, &all))?;
                let first = read.first().map_or(0.0, |score| score.value);
                aggregated[run] = factor(detector) * first;
            }
            self.texts.push(aggregated);
        }
        Ok(())
    }

    fn finish(self) -> Result<Transfer> {
        if self.tokens == 0 {
            return Err(Fault::no_inputs(
                "comparing with the reference",
                "no token but special ones",
            )
            .expected("at least one"));
        }
        #[allow(clippy::cast_precision_loss, reason = "a count of tokens")]
        let n = self.tokens as f64;
        let detector = self.candidate.detector();
        let features = detector.map_or_else(Vec::new, Detector::features);
        let calibration = detector.and_then(|detector| detector.card.calibration.as_ref());
        let factor = detector.map_or(1.0, factor);
        // What a token adds to a pooled score is not what its threshold speaks of.
        let pools = detector.is_some_and(|detector| detector.card.aggregation.pools());
        let columns = self
            .scores
            .iter()
            .enumerate()
            .map(|(column, [theirs, ours])| {
                let differences: Vec<f64> = theirs
                    .iter()
                    .zip(ours)
                    .map(|(a, b)| (a - b).abs())
                    .collect();
                // A threshold is that of the first feature's score.
                let calibration = calibration.filter(|_| column == 0);
                let of_tokens = calibration.filter(|_| !pools);
                let tokens = || {
                    theirs
                        .iter()
                        .zip(ours)
                        .map(|(a, b)| [factor * a, factor * b])
                };
                Columns {
                    feature: features.get(column).copied(),
                    pearson: pearson(theirs, ours),
                    spearman: spearman(theirs, ours),
                    mean_difference: mean(&differences).unwrap_or(0.0),
                    largest_difference: differences.iter().copied().fold(0.0, f64::max),
                    token_flips: of_tokens.and_then(|own| flips(own, tokens())),
                    text_flips: calibration.and_then(|own| flips(own, self.texts.iter().copied())),
                }
            });
        let span = detector.map(|detector| detector.card.span);
        let columns: Vec<Columns> = columns.collect();
        let dictionaries = match &self.measuring {
            Some([reference, here]) => Some(Dictionaries {
                jaccard: self.jaccard / n,
                reference: reference.finish()?,
                here: here.finish()?,
            }),
            None => None,
        };
        let mut agreements = dictionaries
            .as_ref()
            .map_or_else(Vec::new, Dictionaries::agreements);
        let flips = columns.iter().find_map(|columns| columns.text_flips);
        if let (Some(calibration), Some(flips)) = (calibration, flips) {
            agreements.push(flip_agreement(&calibration.control, &flips.share));
        }
        Ok(Transfer {
            tokens: self.tokens,
            cosine: self.cosine / n,
            relative_difference: self.relative / n,
            scores: columns,
            note: span.and_then(read_as),
            dictionaries,
            agreements,
        })
    }
}

fn encoded(sae: &Sae, [a, b]: [&Array2<f32>; 2]) -> Result<[Array2<f32>; 2]> {
    Ok([sae.encode(a.view())?, sae.encode(b.view())?])
}

/// What a feature's score is multiplied by.
fn factor(detector: &Detector) -> f64 {
    let first = detector.card.features.first();
    first.map_or(1.0, |feature| feature.sign.factor())
}

/// The tokens that a text's score is taken over.
fn read<'a>(detector: &Detector, all: &'a [usize]) -> &'a [usize] {
    match detector.card.span {
        Span::PromptLast | Span::ResponseLast => &all[all.len().saturating_sub(1)..],
        Span::Response | Span::All => all,
    }
}

/// Where a response begins does not stand in a file of ids.
fn read_as(span: Span) -> Option<&'static str> {
    match span {
        Span::Response => Some(
            "each text was read from its first token to its last: a reference does not say where a response begins",
        ),
        Span::PromptLast | Span::ResponseLast => Some("each text was read at its last token"),
        Span::All => None,
    }
}

fn flips(calibration: &Calibration, scores: impl Iterator<Item = [f64; 2]>) -> Option<Flips> {
    let (mut on, mut off, mut n) = (0, 0, 0);
    for [theirs, ours] in scores {
        n += 1;
        match (calibration.flag(theirs), calibration.flag(ours)) {
            (false, true) => on += 1,
            (true, false) => off += 1,
            _ => {}
        }
    }
    Some(Flips {
        on,
        off,
        share: proportion(on + off, n)?,
    })
}

/// The share of active features that is active in both; 1 where none is active in either.
#[allow(clippy::cast_precision_loss, reason = "counts of features")]
fn jaccard(a: ArrayView1<f32>, b: ArrayView1<f32>) -> f64 {
    let (mut both, mut either) = (0_usize, 0_usize);
    for (a, b) in a.iter().zip(&b) {
        both += usize::from(*a != 0.0 && *b != 0.0);
        either += usize::from(*a != 0.0 || *b != 0.0);
    }
    if either == 0 {
        1.0
    } else {
        both as f64 / either as f64
    }
}

fn squares(values: ArrayView1<f32>) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum()
}

/// `a·b`, `a·a` and `b·b`.
fn products(a: ArrayView1<f32>, b: ArrayView1<f32>) -> (f64, f64, f64) {
    let product = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b));
    (product.sum(), squares(a), squares(b))
}
