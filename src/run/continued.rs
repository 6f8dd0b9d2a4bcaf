//! Generation from the key/value cache: each prompt is read once, then one token at a time.

use ndarray::{Array2, Axis};

use super::batch::{Batch, Side, batches};
use super::cache::Cache;
use super::generate::{Generation, Text, Written};
use super::read::{Part, Pieces, Reading, alone, in_chunks, parts};
use super::{Feed, Session};
use crate::fault::Result;
use crate::interrupt;

/// Continues every prompt. The session's cache must be sound.
pub(super) fn generate(
    session: &Session,
    prompts: &[Vec<i64>],
    how: &Generation<'_>,
) -> Result<Vec<Written>> {
    let mut all: Vec<Option<Written>> = (0..prompts.len()).map(|_| None).collect();
    let mut names: Vec<&str> = how.outputs.to_vec();
    if !names.contains(&session.logits.as_str()) {
        names.push(&session.logits);
    }
    let reading = Reading {
        outputs: &names,
        budget: how.budget,
        extra: how.extra,
    };
    for batch in plan(session, prompts, &reading) {
        interrupt::check()?;
        let together = Group::new(session, &batch, how, &reading).write();
        let written = match together {
            Err(_) if batch.is_padded() => {
                interrupt::check()?;
                // Far more padding than was measured may make NaN of a softmax over nothing, which spreads.
                let mut written = Vec::new();
                for batch in alone(&batch) {
                    written.extend(Group::new(session, &batch, how, &reading).write()?);
                }
                written
            }
            together => together?,
        };
        for (prompt, written) in batch.rows.iter().zip(written) {
            if let Some(place) = all.get_mut(*prompt) {
                *place = Some(written);
            }
        }
    }
    // Every prompt is in one batch.
    Ok(all.into_iter().flatten().collect())
}

/// Batches that change nothing, as far as was measured.
fn plan(session: &Session, prompts: &[Vec<i64>], reading: &Reading<'_>) -> Vec<Batch> {
    let caching = session.caching();
    if prompts.len() < 2 || caching.together.is_err() {
        return batches(prompts, false, 0);
    }
    let cells = reading.budget.cells(reading.width(session));
    let padded = |side| {
        batches(prompts, true, cells)
            .iter()
            .map(|batch| batch.padded_on(side))
            .collect()
    };
    match (&caching.left, &caching.right) {
        (Ok(()), _) => padded(Side::Left),
        (_, Ok(())) => padded(Side::Right),
        _ => batches(prompts, false, cells),
    }
}

/// Prompts that are continued together.
struct Group<'a> {
    session: &'a Session,
    batch: &'a Batch,
    how: &'a Generation<'a>,
    reading: &'a Reading<'a>,
    texts: Vec<Text>,
    pieces: Pieces<'a>,
    /// The logits after the last token of each text, `[rows, vocab]`.
    last: Array2<f32>,
    /// For each row, whether the tokens under way are its own; a response that has ended is fed on for the others' sake.
    fed: Vec<bool>,
}

impl<'a> Group<'a> {
    fn new(
        session: &'a Session,
        batch: &'a Batch,
        how: &'a Generation<'a>,
        reading: &'a Reading<'a>,
    ) -> Self {
        let rows = batch.rows.len();
        Self {
            session,
            batch,
            how,
            reading,
            texts: batch
                .rows
                .iter()
                .map(|prompt| Text::new(how, *prompt))
                .collect(),
            pieces: Pieces::new(rows, how.outputs),
            last: Array2::zeros((rows, session.size().vocab)),
            fed: vec![true; rows],
        }
    }

    fn write(mut self) -> Result<Vec<Written>> {
        let mut cache = Cache::new();
        self.read_prompts(&mut cache)?;
        loop {
            self.fed = self
                .texts
                .iter()
                .map(|text| text.is_open(self.how))
                .collect();
            for (row, text) in self.texts.iter_mut().enumerate() {
                if text.is_open(self.how) {
                    let before = text.ids.len();
                    text.take(&self.last.row(row), self.how);
                    if let Some(fed) = self.fed.get_mut(row) {
                        *fed = text.ids.len() > before;
                    }
                }
            }
            let goes_on = self.texts.iter().any(|text| text.is_open(self.how));
            // What was written last is read once more where its activations are asked for.
            let is_read = !self.how.outputs.is_empty() && self.fed.contains(&true);
            if !goes_on && !is_read {
                break;
            }
            interrupt::check()?;
            self.read_new(&mut cache)?;
        }
        let outputs = if self.how.outputs.is_empty() {
            vec![Vec::new(); self.texts.len()]
        } else {
            self.pieces.join()?
        };
        Ok(self
            .texts
            .into_iter()
            .zip(outputs)
            .map(|(text, outputs)| text.written(outputs))
            .collect())
    }

    fn read_prompts(&mut self, cache: &mut Cache) -> Result<()> {
        let (session, batch, reading) = (self.session, self.batch, self.reading);
        let (rows, tokens) = batch.ids.dim();
        let width = reading.width(session);
        if rows == 1 && !reading.budget.fits(session.size(), width, tokens) {
            return in_chunks(session, batch, reading, cache, &mut |part| self.keep(part));
        }
        let feed = reading.feed(batch, &[])?;
        self.extend(cache, &feed, batch, &[])
    }

    /// Reads the newest token of every text.
    fn read_new(&mut self, cache: &mut Cache) -> Result<()> {
        let newest = |text: &Text| text.ids.last().copied().unwrap_or(0);
        let ids: ndarray::Array1<i64> = self.texts.iter().map(newest).collect();
        let ids = ids.insert_axis(Axis(1));
        let step = Batch {
            rows: self.batch.rows.clone(),
            mask: Array2::ones(ids.dim()),
            ids,
        };
        let starts: Vec<usize> = self
            .texts
            .iter()
            .enumerate()
            .map(|(row, text)| (self.batch.columns(row).len() + text.ids.len()).saturating_sub(1))
            .collect();
        let feed = self.reading.feed(&step, &starts)?;
        self.extend(cache, &feed, &step, &starts)
    }

    fn extend(
        &mut self,
        cache: &mut Cache,
        feed: &Feed,
        batch: &Batch,
        starts: &[usize],
    ) -> Result<()> {
        let session = self.session;
        session.extend(cache, feed, self.reading.outputs, |name, values| {
            parts(batch, starts, name, values, &mut |part| self.keep(part))
        })
    }

    fn keep(&mut self, part: Part<'_>) -> Result<()> {
        let row = self.batch.rows.iter().position(|row| *row == part.prompt);
        let Some(row) = row.filter(|row| self.fed.get(*row) == Some(&true)) else {
            return Ok(());
        };
        if part.name == self.session.logits {
            let last = part.values.len_of(Axis(0)).saturating_sub(1);
            let logits = self.session.logits_at(&part.values, last)?;
            self.last.row_mut(row).assign(&logits);
        }
        self.pieces.add(&Part {
            prompt: row,
            ..part
        });
        Ok(())
    }
}
