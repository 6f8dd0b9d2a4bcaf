//! What the model says to a suite, greedily, and how that compares with the facts.

use super::subject::Subject;
use crate::evidence::Response;
use crate::fault::Result;
use crate::run::{Session, greedy};
use crate::tokens::{Encoded, Judge, Suite};

/// Lets the model answer every item of the suite (items that state a response keep it).
///
/// # Errors
/// A prompt cannot be tokenized or a run fails.
pub fn respond(subject: &Subject, session: &Session, suite: &Suite) -> Result<Vec<Response>> {
    let _span = tracing::info_span!("respond", suite = suite.id).entered();
    let asked: Vec<usize> = (0..suite.items.len())
        .filter(|&index| suite.items[index].response.is_none())
        .collect();
    let prompts = asked
        .iter()
        .map(|&index| {
            subject
                .tokenizer
                .encode(&suite.items[index].prompt)
                .map(|encoded: Encoded| encoded.ids)
        })
        .collect::<Result<Vec<_>>>()?;
    let written = greedy(
        session,
        &prompts,
        suite.max_new_tokens,
        &subject.tokenizer.stop_ids()?,
    )?;
    let mut texts: Vec<Option<String>> = suite
        .items
        .iter()
        .map(|item| item.response.clone())
        .collect();
    for (&index, ids) in asked.iter().zip(&written) {
        texts[index] = Some(subject.tokenizer.decode(ids)?);
    }
    let judge = Judge::of(suite);
    Ok(suite
        .items
        .iter()
        .zip(texts)
        .map(|(item, text)| {
            let text = text.unwrap_or_default();
            Response {
                suite: suite.id.clone(),
                item: item.id.clone(),
                group: item.group.clone(),
                condition: item.condition.clone(),
                pair: item.pair.clone(),
                prompt: item.prompt.to_string(),
                outcome: judge.outcome(item, &text),
                answer: item.answer.clone(),
                text,
            }
        })
        .collect())
}
