//! Lets the model answer, and measures what the instrumentation changes.

use super::preflight::Bench;
use crate::causal::{Engine, Row};
use crate::evidence::Evidence;
use crate::fault::Result;
use crate::instrument::{Plan, instrument};
use crate::lab::{Progress, respond};
use crate::run::{Runtime, Session};
use crate::tokens::Suite;

/// Asks every suite on the plain model, and compares the instrumented model's logits on the same prompts.
///
/// # Errors
/// A run fails.
pub fn ask(
    runtime: &Runtime,
    bench: &Bench,
    suites: &[Suite],
    engine: &Engine,
    evidence: &mut Evidence,
    progress: &dyn Progress,
) -> Result<()> {
    let subject = &bench.subject;
    let plain = instrument(&subject.model, &subject.arch, &Plan::default())?;
    let session = Session::open(runtime, &plain.bytes, &plain.folder, &subject.arch)?;
    let mut difference: f64 = 0.0;
    for suite in suites {
        evidence
            .responses
            .extend(respond(subject, &session, suite)?);
        let prompts = suite
            .items
            .iter()
            .map(|item| Ok(subject.tokenizer.encode(&item.prompt)?.ids))
            .collect::<Result<Vec<_>>>()?;
        let plain = crate::run::last_logits(&session, &subject.arch, &prompts)?;
        let rows: Vec<Row<'_>> = prompts
            .iter()
            .map(|ids| Row {
                ids,
                edit: None,
                read: ids.len().saturating_sub(1),
            })
            .collect();
        engine.each_logits(&rows, |row, logits| {
            for (a, b) in logits.iter().zip(plain.row(row)) {
                difference = difference.max(f64::from((a - b).abs()));
            }
            Ok(())
        })?;
        progress.step(1);
    }
    evidence.instrument_difference = Some(difference);
    Ok(())
}
