//! The files that Hugging Face lays beside a tokenizer: its special tokens, and where a response ends.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::fault::{Fault, Result};

/// A JSON object beside the tokenizer; empty where there is no such file.
pub(super) fn beside(tokenizer: &Path, name: &str) -> Result<(PathBuf, Map<String, Value>)> {
    let path = tokenizer.with_file_name(name);
    let doing = || format!("reading `{}`", path.display());
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((path, Map::new()));
        }
        Err(error) => return Err(Fault::usage(doing(), error.to_string())),
    };
    let object = serde_json::from_slice(&bytes).map_err(|error| {
        Fault::usage(doing(), error.to_string())
            .expected("a JSON object, as transformers writes it")
    })?;
    Ok((path, object))
}

/// The text of a token that is written as a string, or as an object with `content`.
pub(super) fn token_text(value: &Value) -> Option<&str> {
    value
        .as_str()
        .or_else(|| value.get("content").and_then(Value::as_str))
}

/// The special tokens of `tokenizer_config.json` by their key, such as `bos_token`.
pub(super) fn special_tokens(config: &Map<String, Value>) -> Vec<(&str, &str)> {
    config
        .iter()
        .filter(|(key, _)| key.ends_with("_token"))
        .filter_map(|(key, value)| Some((key.as_str(), token_text(value)?)))
        .collect()
}

/// The ids at which a response ends, from the first file that states any.
///
/// # Errors
/// A file is malformed.
pub(super) fn end_ids(tokenizer: &Path, id_of: impl Fn(&str) -> Option<i64>) -> Result<Vec<i64>> {
    let ids = |value: Option<&Value>| -> Vec<i64> {
        match value {
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_i64).collect(),
            Some(one) => one.as_i64().into_iter().collect(),
            None => Vec::new(),
        }
    };
    for name in ["generation_config.json", "genai_config.json", "config.json"] {
        let (_, config) = beside(tokenizer, name)?;
        // onnxruntime-genai keeps it one level down.
        let inner = config
            .get("model")
            .and_then(|model| model.get("eos_token_id"));
        let found = ids(config.get("eos_token_id").or(inner));
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let (_, config) = beside(tokenizer, "tokenizer_config.json")?;
    let token = config.get("eos_token").and_then(token_text);
    Ok(token.and_then(id_of).into_iter().collect())
}
