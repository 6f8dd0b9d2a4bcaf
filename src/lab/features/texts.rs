//! Texts that a page is made of.

use super::super::read::{encode_items, span_positions};
use super::super::subject::Subject;
use crate::detect::Span;
use crate::fault::{Fault, Result};
use crate::tokens::{Encoded, Suite};

/// A text, and which of its tokens count.
pub struct Text {
    /// The suite that it is from; empty for a plain prompt.
    pub suite: String,
    /// Its id there, or its number.
    pub id: String,
    /// Its tokens.
    pub encoded: Encoded,
    /// Positions that count, ascending.
    pub span: Vec<usize>,
    /// Whether it is of label 1.
    pub label: Option<bool>,
    /// The cluster of every interval.
    pub group: String,
}

impl Text {
    /// Items and prompts with at least one token of the span.
    ///
    /// # Errors
    /// The tokenizer fails, or no text is left.
    pub fn all(
        subject: &Subject,
        suites: &[Suite],
        prompts: Vec<Encoded>,
        span: Span,
    ) -> Result<Vec<Self>> {
        let mut texts = Vec::new();
        for suite in suites {
            for reading in encode_items(&subject.tokenizer, suite)? {
                texts.push(Self {
                    suite: suite.id.clone(),
                    id: reading.item.id.clone(),
                    span: span_positions(&reading.encoded, span),
                    encoded: reading.encoded,
                    label: reading.item.label.map(|label| label == 1),
                    // Groups of two suites may have one name and nothing else in common.
                    group: format!("{}\u{0}{}", suite.id, reading.item.group),
                });
            }
        }
        texts.extend(
            prompts
                .into_iter()
                .enumerate()
                .map(|(index, encoded)| Self {
                    suite: String::new(),
                    id: (index + 1).to_string(),
                    span: span_positions(&encoded, span),
                    encoded,
                    label: None,
                    group: format!("\u{0}{index}"),
                }),
        );
        let all = texts.len();
        texts.retain(|text| !text.span.is_empty());
        if texts.is_empty() {
            return Err(Fault::no_inputs(
                "reading texts for a page of features",
                format!("{all} texts without a token of the span `{span}`"),
            )
            .expected("at least one token of the span"));
        }
        Ok(texts)
    }
}
