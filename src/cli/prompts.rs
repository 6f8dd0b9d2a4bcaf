//! Prompts as they come on the command line: token ids as JSON, or a file of texts.

use std::path::Path;

use serde::Deserialize;

use crate::fault::{Fault, Result};
use crate::files;
pub use crate::lab::bare;
use crate::tokens::{Encoded, Prompt, Tokenizer};

/// `[[1,2,3],[4,5,6]]`, or one prompt as `[1,2,3]`.
///
/// # Errors
/// The text is not JSON of that shape.
pub fn parse_ids(text: &str) -> Result<Vec<Vec<i64>>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Shape {
        Many(Vec<Vec<i64>>),
        One(Vec<i64>),
    }
    match serde_json::from_str(text) {
        Ok(Shape::Many(prompts)) => Ok(prompts),
        Ok(Shape::One(prompt)) => Ok(vec![prompt]),
        Err(_) => Err(malformed(text, "a JSON list of prompts, such as [[1,2,3]]")),
    }
}

/// Exactly one prompt as ids.
///
/// # Errors
/// As [`parse_ids`], or there are several.
pub fn parse_one(text: &str) -> Result<Vec<i64>> {
    let mut prompts = parse_ids(text)?;
    match (prompts.pop(), prompts.is_empty()) {
        (Some(prompt), true) => Ok(prompt),
        _ => Err(malformed(text, "one prompt, such as [1,2,3]")),
    }
}

fn malformed(text: &str, expected: &str) -> Fault {
    Fault::usage("reading token ids", format!("`{text}`"))
        .expected(expected)
        .hint("quote the list, so that the shell leaves it alone")
}

#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Line {
    #[serde(default)]
    prompt: Option<String>,
    #[serde(default)]
    messages: Option<serde_json::Value>,
    #[serde(default)]
    response: Option<String>,
}

/// A file of prompts: plain text, one a line, or JSONL with `prompt` or `messages` and optionally `response`.
///
/// # Errors
/// The file cannot be read, a line is malformed, or there is no prompt.
pub fn read(path: &Path, tokenizer: &Tokenizer) -> Result<Vec<Encoded>> {
    let doing = || format!("reading the prompts `{}`", path.display());
    files::protect(path);
    let text = std::fs::read_to_string(path)
        .map_err(|error| Fault::usage(doing(), error.to_string()).expected("a UTF-8 text file"))?;
    let jsonl = path
        .extension()
        .is_some_and(|extension| extension == "jsonl");
    let prompts =
        text.lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(index, line)| {
                if !jsonl {
                    return tokenizer.encode(line);
                }
                let doing = || format!("{}, line {}", doing(), index + 1);
                let expected = "a JSON object with `prompt` or `messages`";
                let line: Line = serde_json::from_str(line).map_err(|error| {
                    let found = error
                        .to_string()
                        .replace(" at line 1 column ", " at column ");
                    Fault::usage(doing(), found).expected(expected)
                })?;
                let prompt = match (line.prompt, line.messages) {
                    (Some(prompt), None) => Prompt::Text(prompt),
                    (None, Some(messages)) => Prompt::chat(messages, &doing())?,
                    (None, None) => {
                        return Err(Fault::usage(doing(), "neither `prompt` nor `messages`")
                            .expected(expected));
                    }
                    (Some(_), Some(_)) => {
                        return Err(Fault::usage(doing(), "both `prompt` and `messages`")
                            .expected(expected));
                    }
                };
                match line.response {
                    Some(response) => tokenizer.encode_with_response(&prompt, &response),
                    None => tokenizer.encode(&prompt),
                }
            })
            .collect::<Result<Vec<_>>>()?;
    if prompts.is_empty() {
        return Err(Fault::no_inputs(doing(), "no prompt").expected("at least one line"));
    }
    Ok(prompts)
}

/// A file with one conversation.
///
/// # Errors
/// The file cannot be read, is no conversation, or the chat template refuses it.
pub fn read_messages(path: &Path, tokenizer: &Tokenizer) -> Result<Encoded> {
    let doing = format!("reading the messages `{}`", path.display());
    files::protect(path);
    let text = std::fs::read_to_string(path)
        .map_err(|error| Fault::usage(&doing, error.to_string()).expected("a JSON file"))?;
    let messages = serde_json::from_str(&text)
        .map_err(|error| Fault::usage(&doing, error.to_string()).expected("a list of messages"))?;
    tokenizer.encode(&Prompt::chat(messages, &doing)?)
}

/// The tokenizer that was named, or the one beside the model.
///
/// # Errors
/// It cannot be read or does not fit the model.
pub fn tokenizer(given: Option<&Path>, model: &Path, vocab_size: usize) -> Result<Tokenizer> {
    let tokenizer = match given {
        Some(path) => Tokenizer::open(path)?,
        None => Tokenizer::beside(model)?,
    };
    tokenizer.fits(vocab_size)?;
    Ok(tokenizer)
}
