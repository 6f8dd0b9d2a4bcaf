//! What a model is given: a text, or a conversation that its chat template turns into one.

use std::fmt;

use serde_json::{Map, Value};

use crate::fault::{Fault, Result};

/// What a model is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// A text as it is.
    Text(String),
    /// A conversation, which the tokenizer's chat template renders.
    Chat(Vec<Message>),
}

/// One message of a conversation: `role`, `content`, and whatever else the template reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(pub(super) Map<String, Value>);

/// A prompt that is lent to a tokenizer.
#[derive(Debug, Clone, Copy)]
pub enum Given<'a> {
    /// A text as it is.
    Text(&'a str),
    /// A conversation.
    Chat(&'a [Message]),
}

impl Message {
    /// A message that says `content`.
    #[must_use]
    pub fn new(role: &str, content: &str) -> Self {
        let entry = |key: &str, value: &str| (key.to_owned(), Value::from(value));
        Self(Map::from_iter([
            entry("role", role),
            entry("content", content),
        ]))
    }

    /// Who speaks.
    #[must_use]
    pub fn role(&self) -> &str {
        self.0.get("role").and_then(Value::as_str).unwrap_or("")
    }

    /// What is said, without anything that is no text.
    #[must_use]
    pub fn content(&self) -> String {
        match self.0.get("content") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => parts
                .iter()
                .filter_map(|part| part.get("text").and_then(Value::as_str))
                .collect(),
            _ => String::new(),
        }
    }
}

impl Prompt {
    /// A conversation from the JSON of its messages.
    ///
    /// # Errors
    /// Usage: no list of messages with a role and a content, or nobody asks anything.
    pub fn chat(messages: Value, doing: &str) -> Result<Self> {
        let wrong = |found: String| {
            Fault::usage(doing, found).expected(
                "`messages`: a list of objects with `role` and `content`, the last one not the assistant's",
            )
        };
        let Value::Array(messages) = messages else {
            return Err(wrong("`messages` that are no list".into()));
        };
        let messages = messages
            .into_iter()
            .enumerate()
            .map(|(index, message)| {
                let Value::Object(message) = message else {
                    return Err(wrong(format!("message {index} is no object")));
                };
                if !message.get("role").is_some_and(Value::is_string) {
                    return Err(wrong(format!("message {index} without a role")));
                }
                let content = message.get("content");
                if !content.is_some_and(|content| content.is_string() || content.is_array()) {
                    return Err(wrong(format!("message {index} without a content")));
                }
                Ok(Message(message))
            })
            .collect::<Result<Vec<_>>>()?;
        match messages.last().map(Message::role) {
            None => Err(wrong("no message".into())),
            Some("assistant") => Err(wrong("a conversation that ends with the assistant".into())
                .hint("what the assistant says last is `response`")),
            Some(_) => Ok(Self::Chat(messages)),
        }
    }
}

impl fmt::Display for Prompt {
    /// The text, or `role: content` of each message on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Given::from(self).fmt(f)
    }
}

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Chat(messages) => {
                for (index, message) in messages.iter().enumerate() {
                    let line = if index == 0 { "" } else { "\n" };
                    write!(f, "{line}{}: {}", message.role(), message.content())?;
                }
                Ok(())
            }
        }
    }
}

impl<'a> From<&'a str> for Given<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Given<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Prompt> for Given<'a> {
    fn from(prompt: &'a Prompt) -> Self {
        match prompt {
            Prompt::Text(text) => Self::Text(text),
            Prompt::Chat(messages) => Self::Chat(messages),
        }
    }
}
