//! Outputs of many prompts, whatever their lengths, each at its own tokens.

use ndarray::{Array2, ArrayD, ArrayView1, ArrayViewD, Axis, Slice, concatenate};

use super::batch::{Batch, Side, batches, pad};
use super::cache::Cache;
use super::{Budget, Feed, Session, Tensor, layout};
use crate::fault::{Fault, Result};
use crate::interrupt;
use crate::model::Architecture;

/// Values for the inputs that instrumenting has added, for each run.
pub type Extra<'a> = dyn Fn(&Cells) -> Result<Vec<(String, Tensor)>> + 'a;

/// What the cells of a run hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    /// For each row, the index of its prompt.
    pub prompts: Vec<usize>,
    /// For each cell the position in its text, from 0; `None` at padding. `[rows, tokens]`
    pub positions: Array2<Option<usize>>,
}

/// Consecutive tokens of one prompt in one output.
#[derive(Debug)]
pub struct Part<'a> {
    /// Index of the prompt.
    pub prompt: usize,
    /// The position of the first of the tokens.
    pub start: usize,
    /// Which output.
    pub name: &'a str,
    /// `[tokens, …]`
    pub values: ArrayViewD<'a, f32>,
}

/// What is read, and how.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// Outputs `[batch, seq, …]`.
    pub outputs: &'a [&'a str],
    /// Memory.
    pub budget: Budget,
    /// Values of further inputs.
    pub extra: Option<&'a Extra<'a>>,
}

impl<'a> Reading<'a> {
    /// These outputs of a graph without further inputs, within the usual memory.
    #[must_use]
    pub fn of(outputs: &'a [&'a str]) -> Self {
        Self {
            outputs,
            budget: Budget::default(),
            extra: None,
        }
    }

    /// Floats that the outputs hold for each token.
    pub(super) fn width(&self, session: &Session) -> usize {
        let size = session.size();
        let each = |name: &&str| {
            if *name == session.logits {
                size.vocab
            } else {
                size.d_model
            }
        };
        self.outputs.iter().map(each).sum()
    }

    /// A feed of a batch whose rows begin at these positions of their texts.
    pub(super) fn feed(&self, batch: &Batch, starts: &[usize]) -> Result<Feed> {
        let mut feed = batch.feed();
        if let Some(extra) = self.extra {
            feed.extra = extra(&cells(batch, starts))?;
        }
        Ok(feed)
    }
}

/// Runs prompts of any lengths in batches that leave each what it is alone, and shows every output at the prompt's own
/// tokens; what stands at padding is not shown. A prompt that is too long for one run is read in chunks, one part each, if
/// the model's cache allows it.
///
/// # Errors
/// Those of [`Session::check_context`], of [`Session::visit`] and of `see`; a prompt without tokens, or one that is too long, is
/// a usage fault.
pub fn each_output(
    session: &Session,
    prompts: &[Vec<i64>],
    reading: &Reading<'_>,
    mut see: impl FnMut(Part<'_>) -> Result<()>,
) -> Result<()> {
    session.check_context()?;
    let width = reading.width(session);
    for batch in plan(session, prompts, reading.budget.cells(width)) {
        interrupt::check()?;
        let (rows, tokens) = batch.ids.dim();
        if rows == 1 && !reading.budget.fits(session.size(), width, tokens) {
            in_chunks(session, &batch, reading, &mut Cache::new(), &mut see)?;
            continue;
        }
        let feed = reading.feed(&batch, &[])?;
        let whole = session.visit(&feed, reading.outputs, |name, values| {
            parts(&batch, &[], name, values, &mut see)
        });
        match whole {
            Err(_) if batch.is_padded() => {
                interrupt::check()?;
                // Far more padding than was measured may make NaN of a softmax over nothing, which spreads.
                for batch in alone(&batch) {
                    let feed = reading.feed(&batch, &[])?;
                    session.visit(&feed, reading.outputs, |name, values| {
                        parts(&batch, &[], name, values, &mut see)
                    })?;
                }
            }
            done => done?,
        }
    }
    Ok(())
}

/// Every output of every prompt as one array `[tokens, …]`, in the order of `reading.outputs`.
///
/// # Errors
/// Those of [`each_output`].
pub fn outputs_of(
    session: &Session,
    prompts: &[Vec<i64>],
    reading: &Reading<'_>,
) -> Result<Vec<Vec<ArrayD<f32>>>> {
    let mut pieces = Pieces::new(prompts.len(), reading.outputs);
    each_output(session, prompts, reading, |part| {
        pieces.add(&part);
        Ok(())
    })?;
    pieces.join()
}

/// The logits `[prompts, vocab]` after the last token of each prompt.
///
/// # Errors
/// Those of [`each_output`].
pub fn last_logits(
    session: &Session,
    arch: &Architecture,
    prompts: &[Vec<i64>],
) -> Result<Array2<f32>> {
    let mut last = Array2::zeros((prompts.len(), arch.vocab_size));
    let reading = Reading::of(&[]);
    each_last(session, prompts, &reading, |prompt, logits| {
        if logits.len() == last.ncols() {
            last.row_mut(prompt).assign(&logits);
        }
    })?;
    Ok(last)
}

/// Shows the logits `[vocab]` after the last token of each prompt, with the prompt's index.
pub(super) fn each_last(
    session: &Session,
    prompts: &[Vec<i64>],
    reading: &Reading<'_>,
    mut see: impl FnMut(usize, ArrayView1<'_, f32>),
) -> Result<()> {
    let outputs = [session.logits.as_str()];
    let reading = Reading {
        outputs: &outputs,
        ..*reading
    };
    each_output(session, prompts, &reading, |part| {
        let length = prompts.get(part.prompt).map_or(0, Vec::len);
        let tokens = part.values.len_of(Axis(0));
        if part.start + tokens == length && tokens > 0 {
            see(part.prompt, session.logits_at(&part.values, tokens - 1)?);
        }
        Ok(())
    })
}

impl Session {
    /// The logits `[vocab]` at one of the tokens `[tokens, vocab]`.
    pub(super) fn logits_at<'v>(
        &self,
        values: &'v ArrayViewD<'_, f32>,
        token: usize,
    ) -> Result<ArrayView1<'v, f32>> {
        let vocab = self.size().vocab;
        values
            .index_axis(Axis(0), token)
            .into_dimensionality()
            .ok()
            .filter(|logits: &ArrayView1<'_, f32>| logits.len() == vocab)
            .ok_or_else(|| {
                Fault::failed(
                    format!("reading the logits `{}`", self.logits),
                    format!("the shape {:?} for a prompt", values.shape()),
                )
                .expected(format!("[tokens, {vocab}]"))
            })
    }
}

/// One prompt, in as many runs as its length asks for.
pub(super) fn in_chunks(
    session: &Session,
    batch: &Batch,
    reading: &Reading<'_>,
    cache: &mut Cache,
    see: &mut impl FnMut(Part<'_>) -> Result<()>,
) -> Result<()> {
    let (size, width, total) = (session.size(), reading.width(session), batch.ids.ncols());
    if let Err(why) = &session.caching().chunks {
        return reading.budget.whole(size, width, total, why);
    }
    let tokens = reading.budget.chunk(size, width, total)?;
    let prompt: Vec<i64> = batch.ids.iter().copied().collect();
    let index = batch.rows.first().copied().unwrap_or(0);
    for (chunk, start) in prompt.chunks(tokens).zip((0..).step_by(tokens)) {
        interrupt::check()?;
        let batch = pad(&[(index, chunk)], Side::Right);
        let feed = reading.feed(&batch, &[start])?;
        session.extend(cache, &feed, reading.outputs, |name, values| {
            parts(&batch, &[start], name, values, see)
        })?;
    }
    Ok(())
}

/// Batches that change nothing, as far as was measured.
fn plan(session: &Session, prompts: &[Vec<i64>], cells: usize) -> Vec<Batch> {
    let Some((first, rest)) = prompts.split_first() else {
        return Vec::new();
    };
    if rest.is_empty() {
        return batches(prompts, false, 0);
    }
    let batching = session.batching();
    if batching.together.is_err() {
        return batches(prompts, false, 0);
    }
    let equal = rest.iter().all(|prompt| prompt.len() == first.len());
    match (equal, &batching.right, &batching.left) {
        (false, Ok(()), _) => batches(prompts, true, cells),
        (false, _, Ok(())) => batches(prompts, true, cells)
            .iter()
            .map(|batch| batch.padded_on(Side::Left))
            .collect(),
        _ => batches(prompts, false, cells),
    }
}

/// Each row of a batch as a batch.
pub(super) fn alone(batch: &Batch) -> Vec<Batch> {
    batch
        .rows
        .iter()
        .enumerate()
        .map(|(row, index)| {
            let prompt: Vec<i64> = batch
                .columns(row)
                .filter_map(|column| batch.ids.get((row, column)).copied())
                .collect();
            pad(&[(*index, &prompt)], Side::Right)
        })
        .collect()
}

/// Shows each row of an output without its padding.
pub(super) fn parts(
    batch: &Batch,
    starts: &[usize],
    name: &str,
    values: ArrayViewD<'_, f32>,
    see: &mut impl FnMut(Part<'_>) -> Result<()>,
) -> Result<()> {
    if layout::of_last(values.shape(), batch.ids.dim()) {
        for (row, prompt) in batch.rows.iter().enumerate() {
            let tokens = batch.columns(row).len();
            see(Part {
                prompt: *prompt,
                start: (start_of(starts, row) + tokens).saturating_sub(1),
                name,
                values: values.index_axis(Axis(0), row),
            })?;
        }
        return Ok(());
    }
    if !values.shape().starts_with(batch.ids.shape()) {
        return Err(Fault::failed(
            format!("reading the output `{name}` by token"),
            format!("the shape {:?}", values.shape()),
        )
        .expected(format!(
            "{:?} in front, the rows and tokens of the batch",
            batch.ids.shape()
        )));
    }
    for (row, prompt) in batch.rows.iter().enumerate() {
        let mut values = values.index_axis(Axis(0), row);
        values.slice_axis_inplace(Axis(0), Slice::from(batch.columns(row)));
        see(Part {
            prompt: *prompt,
            start: start_of(starts, row),
            name,
            values,
        })?;
    }
    Ok(())
}

fn cells(batch: &Batch, starts: &[usize]) -> Cells {
    let columns: Vec<_> = (0..batch.rows.len())
        .map(|row| batch.columns(row))
        .collect();
    Cells {
        prompts: batch.rows.clone(),
        positions: Array2::from_shape_fn(batch.ids.dim(), |(row, column)| {
            let columns = columns.get(row)?;
            columns
                .contains(&column)
                .then(|| start_of(starts, row) + column - columns.start)
        }),
    }
}

/// A row begins at the beginning unless something else is said.
fn start_of(starts: &[usize], row: usize) -> usize {
    starts.get(row).copied().unwrap_or(0)
}

/// Parts of outputs on their way to whole arrays.
pub(super) struct Pieces<'a> {
    names: &'a [&'a str],
    of: Vec<Vec<Vec<ArrayD<f32>>>>,
}

impl<'a> Pieces<'a> {
    pub fn new(prompts: usize, names: &'a [&'a str]) -> Self {
        Self {
            names,
            of: vec![vec![Vec::new(); names.len()]; prompts],
        }
    }

    /// Keeps a part; those of one prompt come in order, and one that begins anew replaces what there is.
    pub fn add(&mut self, part: &Part<'_>) {
        let Some(prompt) = self.of.get_mut(part.prompt) else {
            return;
        };
        for (name, pieces) in self.names.iter().zip(prompt) {
            if *name == part.name {
                if part.start == 0 {
                    pieces.clear();
                }
                pieces.push(part.values.to_owned());
            }
        }
    }

    pub fn join(self) -> Result<Vec<Vec<ArrayD<f32>>>> {
        let joined = |pieces: Vec<ArrayD<f32>>| {
            let views: Vec<_> = pieces.iter().map(|piece| piece.view()).collect();
            concatenate(Axis(0), &views).map_err(|error| {
                Fault::failed("joining an output read in parts", error.to_string())
            })
        };
        self.of
            .into_iter()
            .map(|outputs| outputs.into_iter().map(joined).collect())
            .collect()
    }
}
