//! Which tokens a detector reads.

use std::fmt;
use std::str::FromStr;

use crate::fault::{Fault, Result};

/// Which tokens of an item are read. Special tokens and padding never count: a BOS row alone can separate two classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Span {
    /// The last token of the prompt.
    PromptLast,
    /// Every token of the response.
    Response,
    /// The last token of the response.
    ResponseLast,
    /// Every token of prompt and response.
    All,
}

impl Span {
    /// Every span with its spelling in a card.
    pub const NAMES: [(Self, &'static str); 4] = [
        (Self::PromptLast, "prompt_last"),
        (Self::Response, "response"),
        (Self::ResponseLast, "response_last"),
        (Self::All, "all"),
    ];
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(span, _)| span == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

impl FromStr for Span {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self> {
        Self::NAMES
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(span, _)| *span)
            .ok_or_else(|| {
                let known: Vec<String> = Self::NAMES
                    .iter()
                    .map(|(_, name)| format!("`{name}`"))
                    .collect();
                Fault::usage("reading a span", format!("`{text}`"))
                    .expected(format!("one of {}", known.join(", ")))
            })
    }
}
