//! Lets the model answer, and measures what the instrumentation changes.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use ndarray::Array2;
use rand::SeedableRng as _;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;

use super::study::Study;
use crate::causal::{Engine, Row, Runs as _};
use crate::evidence::{Response, Unmeasured};
use crate::fault::{Fault, Result};
use crate::instrument::{Plan, instrument};
use crate::interrupt;
use crate::lab::Asking;
use crate::run::{Runtime, Session, last_logits};
use crate::tokens::Item;

/// Prompts of each suite on which the instrumented model is compared with the plain one.
const COMPARED: usize = 256;

impl Study<'_> {
    /// Asks every suite on the plain model, which is closed again. What was asked before is not asked again. Gives the plain model's
    /// logits after the prompts that the instrumented one is compared on, if it was not compared before.
    ///
    /// # Errors
    /// A run fails, or the disk is full.
    pub(super) fn ask(&mut self, runtime: &Runtime) -> Result<Option<Logits>> {
        let (bench, prepared) = (self.bench, self.prepared);
        let subject = &bench.subject;
        super::score::check(bench, &prepared.judging.rules)?;
        let chunks = self.chunks();
        self.stage("asking", chunks.len());
        let asked =
            |chunk: &super::study::Chunk<'_>| self.shelf.has_responses(chunk.number, chunk.index);
        if self.shelf.has_difference() && chunks.iter().all(asked) {
            return Ok(None);
        }
        let plain = instrument(&subject.model, &subject.arch, &Plan::default())?;
        let session = Session::open(runtime, &plain.bytes, &plain.folder, &subject.arch)?;
        session.check_context()?;
        let mut asking: Option<(usize, Asking<'_>)> = None;
        for chunk in &chunks {
            if !self.shelf.has_responses(chunk.number, chunk.index) {
                let same = asking.take_if(|(number, _)| *number == chunk.number);
                let (_, one) = match same {
                    Some(same) => asking.insert(same),
                    None => {
                        asking.insert((chunk.number, Asking::new(subject, &session, chunk.suite)?))
                    }
                };
                let (responses, failed) = one_by_one_if_need_be(one, &chunk.items()?)?;
                if !failed.is_empty() {
                    let step = format!("asking-{}-{}", chunk.number, chunk.index);
                    self.shelf.put_unmeasured(&step, &failed)?;
                }
                self.shelf
                    .put_responses(chunk.number, chunk.index, &responses)?;
            }
            self.progress.step(1);
        }
        if self.shelf.has_difference() {
            return Ok(None);
        }
        let mut said = Logits::new(subject.arch.vocab_size)?;
        for prompts in self.compared()? {
            said.put(&last_logits(&session, &subject.arch, &prompts)?)?;
        }
        Ok(Some(said))
    }

    /// Compares the instrumented model's logits with what the plain one has said.
    ///
    /// # Errors
    /// A run fails, or the disk cannot be read.
    pub(super) fn compare(&mut self, engine: &Engine, mut said: Logits) -> Result<()> {
        let (mut difference, mut before): (f64, _) = (0.0, 0);
        for prompts in self.compared()? {
            let rows: Vec<Row<'_>> = prompts.iter().map(|ids| Row::plain(ids)).collect();
            engine.each_logits(&rows, &mut |row, _, logits| {
                for (a, b) in logits.iter().zip(said.row(before + row)?) {
                    difference = difference.max(f64::from((a - b).abs()));
                }
                Ok(())
            })?;
            before += rows.len();
        }
        self.shelf.put_difference(difference)
    }

    /// Prompts of each suite, at most so many, drawn by the seed.
    fn compared(&self) -> Result<Vec<Vec<Vec<i64>>>> {
        let encode = |item: &Item| Ok(self.bench.subject.tokenizer.encode(&item.prompt)?.ids);
        let mut all = Vec::new();
        for suite in &self.prepared.suites {
            let mut random = ChaCha8Rng::seed_from_u64(self.config.seed);
            let n = suite.items.len();
            let mut drawn = sample(&mut random, n, n.min(COMPARED)).into_vec();
            drawn.sort_unstable();
            let ids = drawn
                .into_iter()
                .map(|place| encode(&suite.items.get(place)?));
            all.push(ids.collect::<Result<_>>()?);
        }
        Ok(all)
    }
}

/// Asks items together. If that fails each is asked alone, so that an item that the model cannot be run on is a failed item and not a failed
/// audit; if none can be run, it is the audit that failed.
fn one_by_one_if_need_be(
    asking: &Asking<'_>,
    items: &[Item],
) -> Result<(Vec<Response>, Vec<Unmeasured>)> {
    let together = match asking.responses(items) {
        Ok(responses) => return Ok((responses, Vec::new())),
        Err(fault) => fault,
    };
    let (mut responses, mut failed) = (Vec::new(), Vec::new());
    for item in items {
        interrupt::check()?;
        match asking.responses(std::slice::from_ref(item)) {
            Ok(one) => responses.extend(one),
            Err(fault) => {
                failed.push(Unmeasured {
                    what: format!("the response to `{}`", item.id),
                    why: fault.found,
                });
                responses.push(asking.failed(item));
            }
        }
    }
    if failed.len() == items.len() {
        return Err(together);
    }
    Ok((responses, failed))
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
