//! Lets the model answer, and measures what the instrumentation changes.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use ndarray::Array2;

use super::study::Study;
use crate::causal::{Engine, Row, Runs as _};
use crate::fault::{Fault, Result};
use crate::instrument::{Plan, instrument};
use crate::lab::respond;
use crate::run::{Runtime, Session, last_logits};
use crate::tokens::Suite;

impl Study<'_> {
    /// Asks every suite on the plain model, which is closed again; its logits after every prompt wait on the disk.
    ///
    /// # Errors
    /// A run fails, or the disk is full.
    pub(super) fn ask(&mut self, runtime: &Runtime) -> Result<Logits> {
        let (bench, prepared) = (self.bench, self.prepared);
        let subject = &bench.subject;
        super::score::check(bench, &prepared.rules)?;
        self.stage("asking", prepared.suites.len());
        let plain = instrument(&subject.model, &subject.arch, &Plan::default())?;
        let session = Session::open(runtime, &plain.bytes, &plain.folder, &subject.arch)?;
        session.check_context()?;
        let mut said = Logits::new(subject.arch.vocab_size)?;
        for suite in &prepared.suites {
            let responses = respond(subject, &session, suite)?;
            self.evidence.responses.extend(responses);
            let logits = last_logits(&session, &subject.arch, &self.prompts(suite)?)?;
            said.put(&logits)?;
            self.progress.step(1);
        }
        Ok(said)
    }

    /// Compares the instrumented model's logits with what the plain one has said.
    ///
    /// # Errors
    /// A run fails, or the disk cannot be read.
    pub(super) fn compare(&mut self, engine: &Engine, mut said: Logits) -> Result<()> {
        let (mut difference, mut before): (f64, _) = (0.0, 0);
        for suite in &self.prepared.suites {
            let prompts = self.prompts(suite)?;
            let rows: Vec<Row<'_>> = prompts.iter().map(|ids| Row::plain(ids)).collect();
            engine.each_logits(&rows, &mut |row, _, logits| {
                for (a, b) in logits.iter().zip(said.row(before + row)?) {
                    difference = difference.max(f64::from((a - b).abs()));
                }
                Ok(())
            })?;
            before += rows.len();
        }
        self.evidence.instrument_difference = Some(difference);
        Ok(())
    }

    fn prompts(&self, suite: &Suite) -> Result<Vec<Vec<i64>>> {
        let items = suite.items.iter();
        items
            .map(|item| Ok(self.bench.subject.tokenizer.encode(&item.prompt)?.ids))
            .collect()
    }
}

/// Logits on their way through a file without a name: those of every prompt of an audit may take more memory than the model.
pub(super) struct Logits {
    file: std::fs::File,
    vocab: usize,
}

impl Logits {
    fn new(vocab: usize) -> Result<Self> {
        let file = tempfile::tempfile().map_err(|error| kept(&error))?;
        Ok(Self { file, vocab })
    }

    /// Adds rows `[prompts, vocab]`.
    fn put(&mut self, rows: &Array2<f32>) -> Result<()> {
        for row in rows.rows() {
            let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
            self.file.write_all(&bytes).map_err(|error| kept(&error))?;
        }
        Ok(())
    }

    /// One of all rows so far.
    fn row(&mut self, row: usize) -> Result<Vec<f32>> {
        let mut bytes = vec![0; self.vocab * size_of::<f32>()];
        let start = SeekFrom::Start((row * bytes.len()) as u64);
        let read = self
            .file
            .seek(start)
            .and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(|error| kept(&error))?;
        let (words, _) = bytes.as_chunks::<4>();
        Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
    }
}

fn kept(error: &std::io::Error) -> Fault {
    Fault::failed(
        "keeping the plain model's logits on the disk",
        error.to_string(),
    )
    .expected("room in the folder for temporary files")
    .hint("set TMPDIR to a folder with more room")
}
