//! Which tokens of an item a detector reads.

use crate::detect::Span;
use crate::fault::Result;
use crate::tokens::{Encoded, Item, Suite, Tokenizer};

/// An item as tokens, with what follows its prompt.
#[derive(Debug, Clone)]
pub struct Reading<'a> {
    /// The item.
    pub item: &'a Item,
    /// Its prompt and its response.
    pub encoded: Encoded,
}

/// Encodes an item with the response that it states, or that the model gave (`said`).
///
/// A response without a token of its own (the model said nothing) leaves the prompt alone.
///
/// # Errors
/// The tokenizer fails on a prompt.
pub fn encode_item<'a>(
    tokenizer: &Tokenizer,
    item: &'a Item,
    said: Option<&str>,
) -> Result<Reading<'a>> {
    let response = item.response.as_deref().or(said);
    let response = response.filter(|text| !text.trim().is_empty());
    let encoded = match response {
        Some(response) => tokenizer
            .encode_with_response(&item.prompt, response)
            .or_else(|_| tokenizer.encode(&item.prompt))?,
        None => tokenizer.encode(&item.prompt)?,
    };
    Ok(Reading { item, encoded })
}

/// Encodes every item of a suite with the response that it states.
///
/// # Errors
/// The tokenizer fails on a prompt.
pub fn encode_items<'a>(tokenizer: &Tokenizer, suite: &'a Suite) -> Result<Vec<Reading<'a>>> {
    let items = suite.items.iter();
    items
        .map(|item| encode_item(tokenizer, item, None))
        .collect()
}

/// Positions that a span means, special tokens left out. Empty where the item has no such token.
#[must_use]
pub fn span_positions(encoded: &Encoded, span: Span) -> Vec<usize> {
    let (start, end) = (encoded.response_start, encoded.ids.len());
    let plain = |range: std::ops::Range<usize>| {
        range
            .filter(|&position| !encoded.special.get(position).copied().unwrap_or(false))
            .collect::<Vec<_>>()
    };
    match span {
        Span::PromptLast => plain(start.saturating_sub(1)..start),
        Span::Response => plain(start..end),
        Span::ResponseLast => plain(start..end)
            .into_iter()
            .next_back()
            .into_iter()
            .collect(),
        Span::All => plain(0..end),
    }
}
