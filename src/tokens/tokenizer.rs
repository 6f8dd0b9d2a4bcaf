//! A Hugging Face `tokenizer.json` and what Candor needs of it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::chat::ChatTemplate;
use super::config;
use super::prompt::Given;
use crate::fault::{Fault, Result};
use crate::files;

/// A Hugging Face tokenizer, with the chat template that lies beside it.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    path: PathBuf,
    sha256: String,
    chat: OnceLock<ChatTemplate>,
}

/// A prompt, and the response that follows it, as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids `[seq]`.
    pub ids: Vec<i64>,
    /// The text of each token, as a person reads it.
    pub tokens: Vec<String>,
    /// Whether a token is a special one (BOS and the like): left out of every span.
    pub special: Vec<bool>,
    /// Index of the first token of the response; equal to `ids.len()` when there is none.
    pub response_start: usize,
}

impl Encoded {
    /// Position whose logits predict the first token of the response: the last token of the prompt.
    #[must_use]
    pub fn prompt_last(&self) -> usize {
        self.response_start.saturating_sub(1)
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// The file is missing or is not a tokenizer.
    pub fn open(path: &Path) -> Result<Self> {
        let doing = || format!("reading the tokenizer `{}`", path.display());
        files::protect(path);
        let bytes = std::fs::read(path).map_err(|error| {
            Fault::usage(doing(), error.to_string())
                .expected("a Hugging Face tokenizer.json")
                .hint("give the file with --tokenizer, or lay it beside the model")
        })?;
        let mut inner = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|error| {
            Fault::usage(doing(), error.to_string())
                .expected("a Hugging Face tokenizer.json")
                .hint("a slow tokenizer is converted by `AutoTokenizer.from_pretrained(..., use_fast=True).save_pretrained(...)`")
        })?;
        // What was set for training would cut long prompts, or fill short ones up, without a word.
        inner
            .with_padding(None)
            .with_truncation(None)
            .map_err(|error| Fault::failed(doing(), error.to_string()))?;
        Ok(Self {
            inner,
            path: path.to_owned(),
            sha256: crate::digest::sha256_of(&bytes),
            chat: OnceLock::new(),
        })
    }

    /// The tokenizer that lies beside a model, where Hugging Face and its exporters put it.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn beside(model: &Path) -> Result<Self> {
        Self::open(&model.with_file_name("tokenizer.json"))
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the file, in hex.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Refuses a tokenizer that can produce ids which the model has no embedding for.
    ///
    /// # Errors
    /// The largest id is not below `vocab_size`.
    pub fn fits(&self, vocab_size: usize) -> Result<()> {
        let largest = self.inner.get_vocab(true).into_values().max();
        let doing = || {
            format!(
                "checking that the tokenizer `{}` fits the model",
                self.path.display()
            )
        };
        match largest {
            None => Err(Fault::usage(doing(), "an empty vocabulary")
                .expected("at least one token")
                .hint("give the tokenizer.json that the model was trained with")),
            Some(largest) if largest as usize >= vocab_size => {
                Err(Fault::usage(doing(), format!("token ids up to {largest}"))
                    .expected(format!("ids below {vocab_size}, the model's vocabulary"))
                    .hint("give the tokenizer.json that the model was trained with"))
            }
            Some(_) => Ok(()),
        }
    }

    /// Encodes a prompt, with the special tokens that the tokenizer's post-processor puts in front. A conversation is
    /// rendered by the chat template.
    ///
    /// A text that begins with a special token of its own, as rendered conversations do, is taken as it is written: nothing
    /// is put in front a second time.
    ///
    /// # Errors
    /// The tokenizer or the template fails, or the prompt yields no token.
    pub fn encode<'a>(&self, prompt: impl Into<Given<'a>>) -> Result<Encoded> {
        self.encode_text(&self.text(prompt.into())?)
    }

    /// The text of a prompt.
    ///
    /// # Errors
    /// There is no chat template for a conversation, or it fails.
    pub fn text<'a>(&self, prompt: impl Into<Given<'a>>) -> Result<Cow<'a, str>> {
        match prompt.into() {
            Given::Text(text) => Ok(Cow::Borrowed(text)),
            Given::Chat(messages) => Ok(Cow::Owned(self.chat()?.render(messages)?)),
        }
    }

    fn chat(&self) -> Result<&ChatTemplate> {
        if let Some(chat) = self.chat.get() {
            return Ok(chat);
        }
        let chat = ChatTemplate::beside(&self.path)?;
        Ok(self.chat.get_or_init(|| chat))
    }

    /// Whether an id is that of a special token (BOS and the like).
    #[must_use]
    pub fn is_special(&self, id: u32) -> bool {
        let added = self.inner.get_added_tokens_decoder();
        added.get(&id).is_some_and(|token| token.special)
    }

    fn encode_text(&self, text: &str) -> Result<Encoded> {
        let doing = || format!("tokenizing the prompt {text:?}");
        let encode = |special: bool| {
            self.inner
                .encode(text, special)
                .map_err(|error| Fault::usage(doing(), error.to_string()))
        };
        let plain = encode(false)?;
        // Written as such: a word that the tokenizer does not know gives a special token too.
        let added = self.inner.get_added_tokens_decoder();
        let is_special = |id: &u32| {
            let token = added.get(id).filter(|token| token.special);
            token.is_some_and(|token| text.contains(&token.content))
        };
        let begins_so = |id: &u32| {
            let token = added.get(id).filter(|token| token.special);
            token.is_some_and(|token| text.trim_start().starts_with(&token.content))
        };
        let (mut ids, mut special);
        if plain.get_ids().first().is_some_and(begins_so) {
            ids = plain.get_ids().to_vec();
            special = ids.iter().map(is_special).collect::<Vec<_>>();
            // What the answer follows is read like any other token.
            if let Some(last) = special.last_mut() {
                *last = false;
            }
        } else {
            let encoding = encode(true)?;
            ids = encoding.get_ids().to_vec();
            special = encoding
                .get_special_tokens_mask()
                .iter()
                .map(|&flag| flag == 1)
                .collect();
            // A closing special token (`</s>`, `[SEP]`) would end the text that the model is to continue.
            while special.last() == Some(&true) && special.iter().any(|flag| !flag) {
                special.pop();
                ids.pop();
            }
        }
        if ids.is_empty() {
            return Err(Fault::usage(doing(), "no token")
                .expected("at least one token")
                .hint("the prompt is empty, or made of characters that the tokenizer drops"));
        }
        Ok(Encoded {
            tokens: ids.iter().map(|&id| self.token_text(id)).collect(),
            response_start: ids.len(),
            ids: ids.into_iter().map(i64::from).collect(),
            special,
        })
    }

    /// Encodes a prompt followed by a response.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`]; also when the response adds no token of its own.
    pub fn encode_with_response<'a>(
        &self,
        prompt: impl Into<Given<'a>>,
        response: &str,
    ) -> Result<Encoded> {
        let prompt = self.text(prompt)?;
        let alone = self.encode_text(&prompt)?;
        let gap =
            if prompt.ends_with(char::is_whitespace) || response.starts_with(char::is_whitespace) {
                ""
            } else {
                " "
            };
        let mut whole = self.encode_text(&format!("{prompt}{gap}{response}"))?;
        // A tokenizer may merge across the seam; the response then starts at the first token that differs.
        whole.response_start = alone
            .ids
            .iter()
            .zip(&whole.ids)
            .take_while(|(a, b)| a == b)
            .count();
        if whole.response_start == 0 || whole.response_start >= whole.ids.len() {
            return Err(Fault::usage(
                format!("tokenizing the response {response:?} after the prompt {prompt:?}"),
                "no token that belongs to the response alone",
            )
            .expected("at least one token of the prompt and one of the response"));
        }
        if let Some(last) = whole.special.get_mut(whole.response_start - 1) {
            *last = *last && alone.special.last() == Some(&true);
        }
        Ok(whole)
    }

    /// The first token of `answer` as it would follow `prompt`.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_with_response`].
    pub fn first_token_after<'a>(&self, prompt: impl Into<Given<'a>>, answer: &str) -> Result<i64> {
        let whole = self.encode_with_response(prompt, answer)?;
        Ok(whole.ids[whole.response_start])
    }

    /// All tokens of `answer` as they would follow `prompt`.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_with_response`].
    pub fn tokens_after<'a>(&self, prompt: impl Into<Given<'a>>, answer: &str) -> Result<Vec<i64>> {
        let whole = self.encode_with_response(prompt, answer)?;
        Ok(whole.ids[whole.response_start..].to_vec())
    }

    /// The text of a run of tokens, special ones left out.
    ///
    /// # Errors
    /// The tokenizer's decoder fails.
    pub fn decode(&self, ids: &[i64]) -> Result<String> {
        let ids: Vec<u32> = ids
            .iter()
            .filter_map(|&id| u32::try_from(id).ok())
            .collect();
        self.inner
            .decode(&ids, true)
            .map(|text| text.trim().to_owned())
            .map_err(|error| Fault::failed("decoding the model's response", error.to_string()))
    }

    /// Ids of tokens at which a response ends: as `generation_config.json`, `genai_config.json`, `config.json` or
    /// `tokenizer_config.json` beside the tokenizer says, otherwise the tokens that models commonly end with.
    ///
    /// # Errors
    /// One of these files is malformed.
    pub fn stop_ids(&self) -> Result<Vec<i64>> {
        let id_of = |token: &str| self.inner.token_to_id(token).map(i64::from);
        let stated = config::end_ids(&self.path, id_of)?;
        if !stated.is_empty() {
            return Ok(stated);
        }
        let common = [
            "</s>",
            "<|endoftext|>",
            "<|im_end|>",
            "<eos>",
            "<end_of_turn>",
            "<|eot_id|>",
            "[EOS]",
            "[SEP]",
        ];
        Ok(common.into_iter().filter_map(id_of).collect())
    }

    /// One token as a person reads it: byte-level and SentencePiece blanks become blanks.
    #[must_use]
    pub fn token_text(&self, id: u32) -> String {
        self.inner
            .id_to_token(id)
            .unwrap_or_else(|| format!("<{id}>"))
            .replace(['Ġ', '▁'], " ")
            .replace('Ċ', "\n")
    }
}
