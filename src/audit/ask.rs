//! Lets the model answer, and measures what the instrumentation changes.

use super::study::Study;
use crate::causal::{Row, Runs as _};
use crate::fault::Result;
use crate::instrument::{Plan, instrument};
use crate::lab::respond;
use crate::run::{Runtime, Session, last_logits};

impl Study<'_> {
    /// Asks every suite on the plain model, and compares the instrumented model's logits on the same prompts.
    ///
    /// # Errors
    /// A run fails.
    pub(super) fn ask(&mut self, runtime: &Runtime) -> Result<()> {
        let subject = &self.bench.subject;
        self.stage("asking", self.prepared.suites.len());
        let plain = instrument(&subject.model, &subject.arch, &Plan::default())?;
        let session = Session::open(runtime, &plain.bytes, &plain.folder, &subject.arch)?;
        let mut difference: f64 = 0.0;
        for suite in &self.prepared.suites {
            self.evidence
                .responses
                .extend(respond(subject, &session, suite)?);
            let prompts = suite
                .items
                .iter()
                .map(|item| Ok(subject.tokenizer.encode(&item.prompt)?.ids))
                .collect::<Result<Vec<_>>>()?;
            let plain = last_logits(&session, &subject.arch, &prompts)?;
            let rows: Vec<Row<'_>> = prompts.iter().map(|ids| Row::plain(ids)).collect();
            self.engine.each_logits(&rows, &mut |row, _, logits| {
                for (a, b) in logits.iter().zip(plain.row(row)) {
                    difference = difference.max(f64::from((a - b).abs()));
                }
                Ok(())
            })?;
            self.progress.step(1);
        }
        self.evidence.instrument_difference = Some(difference);
        Ok(())
    }
}
