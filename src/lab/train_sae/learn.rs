//! Step after step over the shards, with metrics and checkpoints.

use ndarray::{Array2, ArrayView2, s};
use serde::{Deserialize, Serialize};

use super::folder::{Folder, Manifest};
use super::shards::{Position, Reader};
use crate::detect::Sae;
use crate::detect::sae::train::{Checkpoint, Described, Settings, Step, Trainer};
use crate::fault::{Fault, Result};
use crate::interrupt;
use crate::lab::Progress;

/// Rows held out that metrics are measured on as it goes.
const MEASURED: usize = 1 << 12;
/// Rows to learn from that say where activations lie.
const SAMPLE: usize = 1 << 14;

/// How often something is done besides learning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Every {
    /// Steps between two lines of metrics.
    pub log: u64,
    /// Steps between two checkpoints.
    pub checkpoint: u64,
}

/// One line of metrics. Losses are in the units of the training, in which activations have a mean norm of √d_in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Steps done.
    pub step: u64,
    /// Rows that were learnt from, with repetition.
    pub samples: u64,
    /// The learning rate of the last step.
    pub lr: f32,
    /// All that is minimised, on the last batch.
    pub loss: f64,
    /// `‖x − x̂‖²` of the last batch, averaged over rows.
    pub mse: f64,
    /// Norm of the last gradient before it was clipped.
    pub gradient: f64,
    /// Mean active features of a row of the last batch.
    pub batch_l0: f64,
    /// Share of the features that have not been active for the window.
    pub dead: f64,
    /// Mean active features of a held-out row, as the saved SAE has them.
    pub l0: f64,
    /// The fraction of held-out rows' variance that is explained.
    pub explained_variance: f64,
    /// Share of the features that are active on none of the held-out rows that were looked at.
    pub silent: f64,
}

/// What goes into a checkpoint besides the training.
#[derive(Serialize, Deserialize)]
struct Note {
    position: Position,
    lines: Vec<Line>,
}

/// What was learnt.
pub struct Learnt {
    /// The training at its end.
    pub trainer: Trainer,
    /// The metrics.
    pub lines: Vec<Line>,
}

/// Learns from captured rows.
pub struct Learning<'a> {
    /// Where the rows are.
    pub folder: &'a Folder,
    /// What they are.
    pub manifest: &'a Manifest,
    /// How it is done.
    pub settings: &'a Settings,
    /// What the saved files will say.
    pub described: &'a Described,
    /// How often it is looked at.
    pub every: Every,
    /// Whether the folder is the user's own, in which checkpoints are kept.
    pub lasting: bool,
}

impl Learning<'_> {
    /// From the beginning, or from the folder's checkpoint, to the end.
    ///
    /// # Errors
    /// Fewer rows than a batch, no checkpoint to resume from, a loss that is not finite, or a disk that cannot be written.
    #[allow(
        clippy::cast_precision_loss,
        reason = "shares of numbers far below 2^52"
    )]
    pub fn run(&self, resume: bool, progress: &dyn Progress) -> Result<Learnt> {
        let rows = self.manifest.rows();
        let batch = self.settings.batch;
        if rows < batch {
            return Err(Fault::usage(
                "training an SAE",
                format!("{rows} rows to learn from, which do not fill a batch of {batch}"),
            )
            .expected("at least a batch")
            .hint("give more text, or a smaller --batch"));
        }
        let held_out = self.folder.held_out(self.manifest)?;
        let measured = held_out.slice(s![..held_out.nrows().min(MEASURED), ..]);
        let (mut trainer, mut reader, mut lines) = if resume {
            self.resumed()?
        } else {
            self.begun()?
        };
        let mut x = Array2::zeros((batch, self.manifest.d_in));
        let steps = self.settings.steps;
        progress.stage("training", usize::try_from(steps).unwrap_or(usize::MAX));
        progress.step(usize::try_from(trainer.steps_done()).unwrap_or(usize::MAX));
        while trainer.steps_done() < steps {
            if let Err(fault) = interrupt::check() {
                return Err(self.interrupted(fault, &trainer, &reader, &lines));
            }
            reader.fill(&mut x)?;
            let step = trainer.step(x.view())?;
            progress.step(1);
            let done = trainer.steps_done();
            if done % self.every.log == 0 || done == steps {
                let line = self.line(&trainer, step, measured)?;
                progress.note(&format!(
                    "training: {:.1} % explained",
                    100.0 * line.explained_variance
                ));
                lines.push(line);
                if self.lasting {
                    self.folder.log(&jsonl(&lines)?)?;
                }
            }
            if self.lasting && (done % self.every.checkpoint == 0 || done == steps) {
                self.keep(&trainer, &reader, &lines)?;
            }
        }
        Ok(Learnt { trainer, lines })
    }

    fn begun(&self) -> Result<(Trainer, Reader, Vec<Line>)> {
        self.folder.forget()?;
        let mut sample = Array2::zeros((self.manifest.rows().min(SAMPLE), self.manifest.d_in));
        self.reader(Position::default()).fill(&mut sample)?;
        let trainer = Trainer::new(self.settings.clone(), sample.view())?;
        Ok((trainer, self.reader(Position::default()), Vec::new()))
    }

    fn resumed(&self) -> Result<(Trainer, Reader, Vec<Line>)> {
        let (bytes, path) = self.folder.checkpoint()?;
        let checkpoint =
            Checkpoint::read(&bytes, &path, self.settings.clone(), self.manifest.d_in)?;
        let note: Note = serde_json::from_str(&checkpoint.note).map_err(|error| {
            Fault::usage(
                format!("reading the checkpoint `{}`", path.display()),
                error.to_string(),
            )
            .expected("a checkpoint of this training")
            .hint("leave out --resume to train from the beginning")
        })?;
        Ok((checkpoint.trainer, self.reader(note.position), note.lines))
    }

    fn reader(&self, position: Position) -> Reader {
        self.folder.reader(self.manifest, position)
    }

    fn keep(&self, trainer: &Trainer, reader: &Reader, lines: &[Line]) -> Result<()> {
        let note = serde_json::to_string(&Note {
            position: reader.position(),
            lines: lines.to_vec(),
        })
        .map_err(|error| Fault::failed("writing a checkpoint", error.to_string()))?;
        self.folder.keep(&Checkpoint::write(trainer, &note)?)
    }

    /// Ctrl-C keeps what was learnt, where there is a place for it.
    fn interrupted(
        &self,
        fault: Fault,
        trainer: &Trainer,
        reader: &Reader,
        lines: &[Line],
    ) -> Fault {
        if !self.lasting {
            return fault.hint("nothing was kept; with --work the training can be resumed");
        }
        match self.keep(trainer, reader, lines) {
            Ok(()) => fault.hint("run the command again with --resume to go on from here"),
            Err(fault) => fault,
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "shares of numbers far below 2^52"
    )]
    fn line(&self, trainer: &Trainer, step: Step, held_out: ArrayView2<f32>) -> Result<Line> {
        let done = trainer.steps_done();
        let d_sae = self.settings.d_sae as f64;
        let sae: Sae = trainer.sae(self.described)?;
        let measured = sae.measure(held_out)?;
        Ok(Line {
            step: done,
            samples: done * self.settings.batch as u64,
            lr: self.settings.lr_at(done - 1),
            loss: step.cost.loss,
            mse: step.cost.error,
            gradient: step.gradient,
            batch_l0: step.cost.l0,
            dead: step.dead as f64 / d_sae,
            l0: measured.l0,
            explained_variance: measured.explained_variance,
            silent: measured.silent_features as f64 / d_sae,
        })
    }
}

/// Metrics as JSON, one line each.
pub fn jsonl(lines: &[Line]) -> Result<String> {
    lines
        .iter()
        .map(|line| {
            serde_json::to_string(line)
                .map(|line| line + "\n")
                .map_err(|error| Fault::failed("writing metrics", error.to_string()))
        })
        .collect()
}
