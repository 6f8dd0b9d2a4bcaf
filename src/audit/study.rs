//! One model under audit: its bench, and the shelf that its evidence goes to.

use std::ops::Range;

use super::config::AuditConfig;
use super::preflight::{Bench, Prepared};
use crate::archive::Shelf;
use crate::causal::Engine;
use crate::fault::Result;
use crate::lab::Progress;
use crate::run::Runtime;
use crate::tokens::{Item, StoredItems, Suite};

/// Items that are asked and read before their evidence is written: what an interruption costs, and what is in memory at a time.
const CHUNK: usize = 256;

/// One model under audit.
pub struct Study<'a> {
    /// What the audit was told.
    pub config: &'a AuditConfig,
    /// Suites and rules.
    pub prepared: &'a Prepared,
    /// The model and its detectors.
    pub bench: &'a Bench,
    /// Told where the work stands.
    pub progress: &'a dyn Progress,
    /// Where evidence goes as it is made, and what is there already is not made again.
    pub shelf: Shelf<'a>,
}

/// Some items of a suite.
#[derive(Clone)]
pub struct Chunk<'a> {
    /// The suite.
    pub suite: &'a Suite<StoredItems>,
    /// Its number in the audit, from 1.
    pub number: usize,
    /// The chunk's number in the suite, from 0.
    pub index: usize,
    /// Where its items stand in the suite.
    pub places: Range<usize>,
}

impl Chunk<'_> {
    /// Its items.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn items(&self) -> Result<Vec<Item>> {
        self.suite.items.range(self.places.clone())
    }
}

/// The chunks of a suite. `number` is the suite's in the audit, from 1.
pub fn chunks(suite: &Suite<StoredItems>, number: usize) -> impl Iterator<Item = Chunk<'_>> {
    let starts = (0..suite.items.len()).step_by(CHUNK).enumerate();
    starts.map(move |(index, start)| Chunk {
        suite,
        number,
        index,
        places: start..(start + CHUNK).min(suite.items.len()),
    })
}

/// The chunk in which an item stands, and the item's place in it.
pub fn chunk_of(place: usize) -> (usize, usize) {
    (place / CHUNK, place % CHUNK)
}

impl<'a> Study<'a> {
    /// The instrumented graph: taps and writes where rules patch and detectors read, detector heads.
    ///
    /// # Errors
    /// A site is missing or cannot be written, or the runtime refuses the graph.
    pub fn instrument(&self, runtime: &Runtime) -> Result<Engine> {
        self.stage("instrumenting", 1);
        let engine = super::score::instrument(runtime, self.bench, &self.prepared.judging.rules)?;
        self.progress.step(1);
        Ok(engine)
    }

    /// Every item of every suite, some at a time.
    pub fn chunks(&self) -> Vec<Chunk<'a>> {
        let suites = self.prepared.suites.iter().zip(1..);
        suites
            .flat_map(|(suite, number)| chunks(suite, number))
            .collect()
    }

    /// A stage of the work on this model begins.
    pub fn stage(&self, what: &str, steps: usize) {
        self.progress
            .stage(&format!("{}: {what}", self.bench.subject.name), steps);
    }
}
