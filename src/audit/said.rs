//! What the model said to single items of a suite, found again on the disk.

use super::study::{chunk_of, chunks};
use crate::archive::Answers;
use crate::evidence::Response;
use crate::fault::{Fault, Result};
use crate::tokens::{StoredItems, Suite};

/// Passes over what was said to a suite, in the order of its items. `number` is the suite's in the audit, from 1.
///
/// # Errors
/// A part of the evidence cannot be read or was changed.
pub(super) fn each(
    answers: &Answers<'_>,
    suite: &Suite<StoredItems>,
    number: usize,
    see: &mut dyn FnMut(usize, Response),
) -> Result<()> {
    for chunk in chunks(suite, number) {
        let responses = answers.chunk(number, chunk.index)?;
        for (place, response) in chunk.places.zip(responses) {
            see(place, response);
        }
    }
    Ok(())
}

/// Responses to single items; the chunk that was read last is kept.
pub(super) struct Lookup<'a> {
    answers: Answers<'a>,
    last: Option<((usize, usize), Vec<Response>)>,
}

impl<'a> Lookup<'a> {
    pub fn new(answers: Answers<'a>) -> Self {
        Self {
            answers,
            last: None,
        }
    }

    /// What was said to the item at a place of a suite.
    ///
    /// # Errors
    /// The part of the evidence cannot be read or was changed.
    pub fn text(&mut self, suite: usize, place: usize) -> Result<String> {
        let (index, within) = chunk_of(place);
        let last = self.last.take_if(|(chunk, _)| *chunk == (suite, index));
        let last = match last {
            Some(last) => last,
            None => ((suite, index), self.answers.chunk(suite, index)?),
        };
        let (_, responses) = self.last.insert(last);
        let response = responses.get(within).ok_or_else(|| {
            Fault::failed(
                "reading what was said",
                format!("no response to item {place} of suite {suite}"),
            )
            .expected("a response to every item")
        })?;
        Ok(response.text.clone())
    }
}
