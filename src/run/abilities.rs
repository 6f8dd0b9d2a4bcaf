//! How a model may be run without changing what it says, measured on the model itself.
//!
//! Whether padding, batches and caches leave a text's logits as they are depends on the export: positions that are counted
//! from the left of a batch, masks that are not taken, softmaxes over nothing, activations that are quantised by a whole
//! batch's range. Small runs on fixed tokens show it; what fails is not used.

use ndarray::{Array1, Array2, ArrayView2, Axis, Ix3, s};

use super::batch::{Batch, Side, pad};
use super::cache::Cache;
use super::{Feed, Session, layout};
use crate::fault::{Fault, Result};

/// Whether something may be used; otherwise why not.
pub type Verdict = std::result::Result<(), String>;

/// Which batches leave each text's logits as they are when it runs alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batching {
    /// Texts of equal length.
    pub together: Verdict,
    /// Texts of unequal length, padded on the right.
    pub right: Verdict,
    /// Texts of unequal length, padded on the left.
    pub left: Verdict,
}

/// Which ways to use the key/value cache leave a text's logits as they are without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caching {
    /// One text, token by token.
    pub alone: Verdict,
    /// One text, several tokens at once after the first.
    pub chunks: Verdict,
    /// Texts of equal length, token by token.
    pub together: Verdict,
    /// Texts of unequal length, padded on the right before the first new token.
    pub right: Verdict,
    /// Texts of unequal length, padded on the left.
    pub left: Verdict,
}

/// Tokens of the longer and the shorter text; more padding than this shifts positions no less.
const LONG: usize = 12;
const SHORT: usize = 5;
/// Tokens that are read at once before the rest is read from the cache.
const READ: usize = 8;

impl Session {
    /// Which batches may be run. Measured when it is first asked for.
    pub fn batching(&self) -> &Batching {
        self.batching.get_or_init(|| {
            // No text runs alone then, so that there is nothing to compare with.
            if self.fixed(0).is_some_and(|rows| rows > 1) {
                let fixed = || Err("the export has a fixed number of rows".to_owned());
                return Batching {
                    together: Ok(()),
                    right: fixed(),
                    left: fixed(),
                };
            }
            let probe = Probe { session: self };
            let tolerance = self.precision().rounded;
            // What one text says must not hang on which others run beside it.
            let together = verdict(probe.together(), self.precision().format);
            let padded = |side| {
                together.clone()?;
                self.says_padding()?;
                verdict(probe.padded(side), tolerance)
            };
            Batching {
                right: padded(Side::Right),
                left: padded(Side::Left),
                together,
            }
        })
    }

    /// Refuses a model in which what comes before a token has no part in what follows it: it is fed otherwise than it was
    /// made to be. Measured when it is first asked for.
    ///
    /// # Errors
    /// Failed: the logits after a token are the same to the last bit whatever stands before it.
    pub fn check_context(&self) -> Result<()> {
        let reads = self.reads_context.get_or_init(|| {
            let probe = Probe { session: self };
            // What cannot be run here at all says so when it is run in earnest.
            probe.reads_context().unwrap_or(true)
        });
        if *reads {
            return Ok(());
        }
        Err(reads_nothing())
    }

    /// Which ways to use the cache there are. Measured when it is first asked for.
    pub fn caching(&self) -> &Caching {
        self.caching.get_or_init(|| {
            if let Err(reason) = self.has_cache() {
                return Caching {
                    alone: Err(reason.clone()),
                    chunks: Err(reason.clone()),
                    together: Err(reason.clone()),
                    right: Err(reason.clone()),
                    left: Err(reason),
                };
            }
            let probe = Probe { session: self };
            let tolerance = self.precision().rounded;
            let verdict = |measured| verdict(measured, tolerance);
            let together = self
                .batching()
                .together
                .clone()
                .and_then(|()| verdict(probe.steps(&[LONG, LONG], Side::Right)));
            let padded = |side| {
                together.clone()?;
                self.says_padding()?;
                verdict(probe.steps(&[LONG, READ], side))
            };
            Caching {
                alone: verdict(probe.steps(&[LONG], Side::Right)),
                chunks: verdict(probe.chunks()),
                right: padded(Side::Right),
                left: padded(Side::Left),
                together,
            }
        })
    }
}

/// A model to which what stands before a token is nothing.
pub(super) fn reads_nothing() -> Fault {
    Fault::failed(
        "checking that the model reads its prompts",
        "logits after a token that are the same whatever stands before it",
    )
    .expected("a model that takes token ids as [batch, seq] and attends to earlier tokens")
    .hint("if it takes them as [seq, batch], export it with the batch first")
}

fn verdict(measured: Result<f32>, tolerance: f32) -> Verdict {
    match measured {
        Ok(difference) if difference <= tolerance => Ok(()),
        Ok(difference) => Err(format!(
            "the logits then differ by {difference:.1e} of the largest"
        )),
        Err(fault) => Err(fault.found),
    }
}

struct Probe<'s> {
    session: &'s Session,
}

impl Probe<'_> {
    /// Tokens spread over the vocabulary; another text for each row.
    fn text(&self, row: usize, length: usize) -> Vec<i64> {
        let vocab = self.session.size().vocab.max(1);
        (0..length)
            .map(|place| vocab * (2 * place + 1 + row) / (2 * LONG + 2))
            .map(|id| i64::try_from(id.min(vocab - 1)).unwrap_or(0))
            .collect()
    }

    /// Whether tokens before the last one change what follows it, in a model in which that one does.
    fn reads_context(&self) -> Result<bool> {
        let (text, other) = (self.text(0, LONG), self.text(1, LONG));
        let mut mixed = other.clone();
        if let (Some(last), Some(own)) = (mixed.last_mut(), text.last()) {
            *last = *own;
        }
        let logits = self.last(&text, 1)?;
        Ok(logits != self.last(&mixed, 1)? || logits == self.last(&other, 1)?)
    }

    fn together(&self) -> Result<f32> {
        self.batch(&[self.text(0, LONG), self.text(1, LONG)], Side::Right)
    }

    fn padded(&self, side: Side) -> Result<f32> {
        self.batch(&[self.text(0, LONG), self.text(1, SHORT)], side)
    }

    /// The largest relative difference between each text in a batch and alone.
    fn batch(&self, texts: &[Vec<i64>], side: Side) -> Result<f32> {
        let rows: Vec<(usize, &[i64])> = texts.iter().map(Vec::as_slice).enumerate().collect();
        let batch = pad(&rows, side);
        let together = self.logits(&batch, None)?;
        let mut worst = 0.0_f32;
        for (row, text) in texts.iter().enumerate() {
            let here = said(&together, &batch, row);
            let expected = self.last(text, here.nrows())?;
            worst = largest(worst, difference(here.view(), expected.view()));
        }
        Ok(worst)
    }

    /// The logits after the last tokens of a text alone. Models that put out those of the last one are run for each.
    fn last(&self, text: &[i64], tokens: usize) -> Result<Array2<f32>> {
        let logits = self.logits(&pad(&[(0, text)], Side::Right), None)?;
        let (_, said, vocab) = logits.dim();
        if said == text.len() {
            return Ok(logits
                .slice(s![0, said - tokens.min(said).., ..])
                .to_owned());
        }
        let mut all = Array2::zeros((tokens, vocab));
        for (place, mut row) in all.rows_mut().into_iter().enumerate() {
            let end = (text.len() + place + 1).saturating_sub(tokens);
            let part = text.get(..end).unwrap_or(text);
            let logits = self.logits(&pad(&[(0, part)], Side::Right), None)?;
            let last = logits.slice(s![0, -1, ..]);
            if last.len() != vocab {
                return Err(Fault::failed(
                    format!("reading the logits `{}`", self.session.logits),
                    format!(
                        "{} values after one text and {vocab} after another",
                        last.len()
                    ),
                )
                .expected("one vocabulary"));
            }
            row.assign(&last);
        }
        Ok(all)
    }

    /// Texts of these lengths, of which the last tokens are read one by one, and the shorter ones' as far as they go.
    fn steps(&self, lengths: &[usize], side: Side) -> Result<f32> {
        const STEPS: usize = LONG - READ;
        let texts: Vec<Vec<i64>> = (0..)
            .zip(lengths)
            .map(|(row, length)| self.text(row, *length))
            .collect();
        let first: Vec<(usize, &[i64])> = texts
            .iter()
            .map(|text| text.get(..text.len() - STEPS).unwrap_or(text))
            .enumerate()
            .collect();
        let batch = pad(&first, side);
        let mut cache = Cache::new();
        let read = self.logits(&batch, Some(&mut cache))?;
        let mut worst = 0.0_f32;
        for (row, (_, text)) in first.iter().enumerate() {
            let read = said(&read, &batch, row);
            let expected = self.last(text, read.nrows())?;
            worst = largest(worst, difference(read.view(), expected.view()));
        }
        let whole = texts
            .iter()
            .map(|text| self.last(text, STEPS))
            .collect::<Result<Vec<_>>>()?;
        for step in 0..STEPS {
            let next = |text: &Vec<i64>| text.get(text.len() - STEPS + step).copied();
            let ids: Array1<i64> = texts.iter().filter_map(next).collect();
            let feed = self.session.neutral(ids.insert_axis(Axis(1)));
            let logits = self.run(&feed, Some(&mut cache))?;
            for (row, whole) in whole.iter().enumerate() {
                let expected = whole.slice(s![step..=step, ..]);
                worst = largest(worst, difference(logits.index_axis(Axis(0), row), expected));
            }
        }
        Ok(worst)
    }

    /// One text, of which the last tokens are read at once.
    fn chunks(&self) -> Result<f32> {
        let text = self.text(0, LONG);
        let mut cache = Cache::new();
        let mut worst = 0.0_f32;
        let (first, rest) = text.split_at(READ);
        for (chunk, so_far) in [(first, first), (rest, text.as_slice())] {
            let batch = pad(&[(0, chunk)], Side::Right);
            let logits = said(&self.logits(&batch, Some(&mut cache))?, &batch, 0);
            let expected = self.last(so_far, logits.nrows())?;
            worst = largest(worst, difference(logits.view(), expected.view()));
        }
        Ok(worst)
    }

    fn logits(&self, batch: &Batch, cache: Option<&mut Cache>) -> Result<ndarray::Array3<f32>> {
        let mut feed = self.session.neutral(batch.ids.clone());
        feed.mask.clone_from(&batch.mask);
        self.run(&feed, cache)
    }

    fn run(&self, feed: &Feed, cache: Option<&mut Cache>) -> Result<ndarray::Array3<f32>> {
        let name = self.session.logits.as_str();
        let mut logits = None;
        let see = |_: &str, values: ndarray::ArrayViewD<'_, f32>| {
            logits = values.to_owned().into_dimensionality::<Ix3>().ok();
            Ok(())
        };
        match cache {
            Some(cache) => self.session.extend(cache, feed, &[name], see)?,
            None => self.session.visit(feed, &[name], see)?,
        }
        logits.ok_or_else(|| {
            Fault::failed(format!("reading the logits `{name}`"), "no three axes")
                .expected("[batch, seq, vocab]")
        })
    }
}

/// What a model says of the tokens of a row: logits of each, or of the last alone.
fn said(logits: &ndarray::Array3<f32>, batch: &Batch, row: usize) -> Array2<f32> {
    let of_row = logits.index_axis(Axis(0), row);
    if layout::of_last(logits.shape(), batch.ids.dim()) {
        return of_row.to_owned();
    }
    of_row.slice(s![batch.columns(row), ..]).to_owned()
}

/// The largest difference relative to the largest finite value expected; NaN where a value is.
fn difference(found: ArrayView2<'_, f32>, expected: ArrayView2<'_, f32>) -> f32 {
    if found.dim() != expected.dim() {
        return f32::NAN;
    }
    let scale = expected
        .iter()
        .filter(|value| value.is_finite())
        .fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let pairs = found.iter().zip(expected);
    // Infinities that are masked in are equal, and their difference would be NaN.
    let apart = pairs.filter(|(a, b)| !(a.is_infinite() && a.total_cmp(b).is_eq()));
    apart.fold(0.0, |most, (a, b)| largest(most, (a - b).abs() / scale))
}

/// The larger of two; NaN is the largest.
fn largest(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}
