//! What the model says to a suite, greedily, and how that compares with the facts.

use super::subject::Subject;
use crate::evidence::{Outcome, Response};
use crate::fault::Result;
use crate::run::{Session, greedy};
use crate::tokens::{Item, Judge, StoredItems, Suite};

/// Asks a model what a suite asks.
pub struct Asking<'a> {
    subject: &'a Subject,
    session: &'a Session,
    suite: &'a Suite<StoredItems>,
    judge: Judge,
    stop: Vec<i64>,
}

impl<'a> Asking<'a> {
    /// Prepares to ask.
    ///
    /// # Errors
    /// The tokenizer does not know the tokens that end a text, or the suite cannot be read.
    pub fn new(
        subject: &'a Subject,
        session: &'a Session,
        suite: &'a Suite<StoredItems>,
    ) -> Result<Self> {
        Ok(Self {
            subject,
            session,
            suite,
            judge: Judge::of_items(&suite.items)?,
            stop: subject.tokenizer.stop_ids()?,
        })
    }

    /// Lets the model answer some items of the suite; those that state a response keep it.
    ///
    /// # Errors
    /// A prompt cannot be tokenized or a run fails.
    pub fn responses(&self, items: &[Item]) -> Result<Vec<Response>> {
        let tokenizer = &self.subject.tokenizer;
        let asked = items.iter().filter(|item| item.response.is_none());
        let prompts = asked
            .map(|item| Ok(tokenizer.encode(&item.prompt)?.ids))
            .collect::<Result<Vec<_>>>()?;
        let written = greedy(
            self.session,
            &prompts,
            self.suite.max_new_tokens,
            &self.stop,
        )?;
        let mut written = written.iter();
        items
            .iter()
            .map(|item| {
                let text = match &item.response {
                    Some(stated) => stated.clone(),
                    None => tokenizer.decode(written.next().map_or(&[][..], Vec::as_slice))?,
                };
                Ok(self.response(item, self.judge.outcome(item, &text), text))
            })
            .collect()
    }

    /// An item that the model could not be run on.
    #[must_use]
    pub fn failed(&self, item: &Item) -> Response {
        self.response(item, Outcome::Failed, String::new())
    }

    fn response(&self, item: &Item, outcome: Outcome, text: String) -> Response {
        Response {
            suite: self.suite.id.clone(),
            item: item.id.clone(),
            group: item.group.clone(),
            condition: item.condition.clone(),
            pair: item.pair.clone(),
            prompt: item.prompt.to_string(),
            answer: item.answer.clone(),
            outcome,
            text,
        }
    }
}
