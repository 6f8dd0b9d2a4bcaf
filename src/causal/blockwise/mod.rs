//! Rows run block by block: a change at layer L starts from the plain run's stream there, rows join a growing batch as it passes
//! the place of their first change, tokens that a change cannot reach are not computed again, and the unembedding runs where logits
//! are read and nowhere else. The same operators on the same weights as a whole pass, so the results are those of whole passes.
//!
//! The plain run of each prompt goes along at the head of the batch, so that nothing of it is kept but what the next piece reads.

mod batch;
mod head;
mod making;
mod pass;
mod place;

use std::collections::HashMap;

use super::row::{Row, Runs, SeeActivation, SeeLogits};
use crate::fault::{Fault, Result};
use crate::model::{Architecture, Model, SiteName};
use crate::run::{Blocks, Memory, Runtime};
use batch::Batch;
use pass::{Pass, Wanted};
use place::Place;

/// A model in pieces, and the memory that a batch of rows may take.
pub struct Blockwise {
    blocks: Blocks,
    budget: usize,
}

/// Bytes of activations that a batch may hold where nothing else is said.
pub const DEFAULT_BUDGET: usize = 512 << 20;

impl Blockwise {
    /// Cuts a model. `budget` is in bytes, of activations and logits: weights are not counted.
    ///
    /// # Errors
    /// The graph cannot be cut at its stream; the message says why.
    pub fn open(
        runtime: &Runtime,
        model: &Model,
        arch: &Architecture,
        budget: usize,
    ) -> Result<Self> {
        let memory = Memory::of(runtime.provider());
        Self::open_in(runtime, model, arch, budget, memory)
    }

    /// As [`Blockwise::open`], with activations in that memory; the budget counts there.
    ///
    /// # Errors
    /// As [`Blockwise::open`].
    pub fn open_in(
        runtime: &Runtime,
        model: &Model,
        arch: &Architecture,
        budget: usize,
        memory: Memory,
    ) -> Result<Self> {
        Ok(Self {
            blocks: Blocks::open_in(runtime, model, arch, memory)?,
            budget,
        })
    }

    /// The pieces.
    #[must_use]
    pub fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Whether rows may be changed and read at all of these sites.
    ///
    /// # Errors
    /// The graph cannot be cut at one of them; the message says why.
    pub fn reaches(&self, sites: &[SiteName]) -> Result<()> {
        let arch = self.blocks.arch();
        let places = sites.iter().map(|site| Place::of(arch, *site));
        let places = places.collect::<Result<_>>()?;
        Pass::new(
            &self.blocks,
            &places,
            self.budget,
            &Wanted::Activations(&[], &mut |_, _, _, _| Ok(())),
        )
        .map(|_| ())
    }

    fn run(&self, rows: &[Row<'_>], wanted: &mut Wanted<'_, '_>) -> Result<()> {
        for row in rows {
            row.check(self.blocks.arch())?;
        }
        let places = Place::of_rows(self.blocks.arch(), rows, wanted.sites())?;
        let pass = Pass::new(&self.blocks, &places, self.budget, wanted)?;
        for batch in self.batches(rows, &pass)? {
            crate::interrupt::check()?;
            pass.run(batch, wanted)?;
        }
        Ok(())
    }

    /// Rows of equal length, those of one prompt side by side, as many as the budget allows.
    fn batches<'r>(&self, rows: &'r [Row<'r>], pass: &Pass<'_>) -> Result<Vec<Batch<'r>>> {
        let mut prompts: HashMap<&[i64], usize> = HashMap::new();
        let mut order: Vec<(usize, usize, usize)> = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            if row.ids.is_empty() {
                return Err(
                    Fault::usage("running a prompt", "no tokens").expected("at least one token")
                );
            }
            let next = prompts.len();
            let prompt = *prompts.entry(row.ids).or_insert(next);
            order.push((row.ids.len(), prompt, index));
        }
        order.sort_unstable();
        let mut batches: Vec<Batch<'r>> = Vec::new();
        let mut room = 0_usize;
        let mut last = None;
        for (seq, prompt, index) in order {
            let Some(row) = rows.get(index) else { continue };
            let of_row = pass.bytes_of(seq);
            let is_new = last != Some((seq, prompt));
            let needed = if is_new { 2 } else { 1 } * of_row;
            let same_length = batches.last().is_some_and(|batch| batch.seq() == seq);
            if !same_length || room < needed {
                let first = 2 * of_row;
                if first > self.budget {
                    return Err(Fault::usage(
                        format!("running rows of {seq} tokens"),
                        format!("a budget of {} MiB", self.budget >> 20),
                    )
                    .expected(format!(
                        "at least {} MiB: one row and the plain run beside it",
                        (first >> 20) + 1
                    ))
                    .hint("give more memory, or shorter prompts"));
                }
                batches.push(Batch::new(seq, pass.whole_rows()));
                room = self.budget - first;
            } else {
                room -= needed;
            }
            last = Some((seq, prompt));
            if let Some(batch) = batches.last_mut() {
                batch.add(index, row);
            }
        }
        Ok(batches)
    }
}

impl Runs for Blockwise {
    fn arch(&self) -> &Architecture {
        self.blocks.arch()
    }

    fn each_logits(&self, rows: &[Row<'_>], see: &mut SeeLogits<'_>) -> Result<()> {
        self.run(rows, &mut Wanted::Logits(None, see))
    }

    fn each_of(&self, rows: &[Row<'_>], chosen: &[usize], see: &mut SeeLogits<'_>) -> Result<()> {
        let vocab = self.blocks.arch().vocab_size;
        let ids = chosen.iter().map(|id| match i64::try_from(*id) {
            Ok(id) if chosen.iter().all(|id| *id < vocab) => Ok(id),
            _ => Err(Fault::usage("reading logits", format!("token id {id}"))
                .expected(format!("an id below {vocab}, the model's vocabulary"))),
        });
        let ids = ids.collect::<Result<Vec<_>>>()?;
        self.run(rows, &mut Wanted::Logits(Some(&ids), see))
    }

    fn each_activation(
        &self,
        rows: &[Row<'_>],
        sites: &[SiteName],
        see: &mut SeeActivation<'_>,
    ) -> Result<()> {
        self.run(rows, &mut Wanted::Activations(sites, see))
    }
}
