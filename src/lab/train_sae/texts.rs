//! What the model reads while its activations are captured: given texts, or texts that it writes itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest;
use crate::fault::{Fault, Result};
use crate::lab::{Progress, Subject};
use crate::model::encode;
use crate::run::{Generation, Runtime, Sampling, Session, generate};
use crate::tokens::{Encoded, Tokenizer};

/// A text as tokens, and which of them count. The first token of a text and special ones do not: their activations are of a
/// kind and a size of their own, which a dictionary would be spent on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Text {
    /// Token ids.
    pub ids: Vec<i64>,
    /// Whether a token's activation is a row, for each token.
    pub keep: Vec<bool>,
}

impl Text {
    /// A text that was given.
    #[must_use]
    pub fn of(encoded: &Encoded) -> Self {
        let special = encoded.special.iter().copied();
        Self {
            ids: encoded.ids.clone(),
            keep: special
                .chain(std::iter::repeat(false))
                .take(encoded.ids.len())
                .enumerate()
                .map(|(place, special)| place > 0 && !special)
                .collect(),
        }
    }

    /// Tokens that count.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.keep.iter().filter(|keep| **keep).count()
    }

    fn digest(&self) -> String {
        let ids = self.ids.iter().flat_map(|id| id.to_le_bytes());
        let keep = self.keep.iter().map(|keep| u8::from(*keep));
        digest::sha256_of(&ids.chain(keep).collect::<Vec<u8>>())
    }
}

/// SHA-256 over texts in their order.
#[must_use]
pub fn digest_of(texts: &[Text]) -> String {
    let all: Vec<String> = texts.iter().map(Text::digest).collect();
    digest::sha256_of(all.join("\n").as_bytes())
}

/// What a model is to write by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Own {
    /// Tokens that count, over all texts.
    pub tokens: usize,
    /// Tokens of a text, with the one that it begins with.
    pub context: usize,
    /// What logits are divided by before a token is drawn.
    pub temperature: f32,
}

/// Texts that are written at once.
const TEXTS: usize = 256;

/// Lets the model write texts from the token that begins one, until they hold enough. Each draws its own numbers.
///
/// # Errors
/// The tokenizer has no token to begin with, the model ends every text at once, or a run fails.
pub fn write(
    runtime: &Runtime,
    subject: &Subject,
    own: Own,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Vec<Text>> {
    let doing = "letting the model write text";
    if own.context < 2 || own.tokens == 0 {
        return Err(Fault::usage(
            doing,
            format!("{} tokens in texts of {}", own.tokens, own.context),
        )
        .expected("at least one token (--own) in texts of at least two (--context)"));
    }
    let session = Session::open(
        runtime,
        &encode(subject.model.proto()),
        subject.model.folder(),
        &subject.arch,
    )?;
    let start = start(&subject.tokenizer)?;
    let stop = subject.tokenizer.stop_ids()?;
    let mut texts: Vec<Text> = Vec::new();
    let mut rows = 0;
    progress.stage("writing text", own.tokens);
    for round in 0_u64.. {
        // The last round writes no more than is needed, which changes no other text.
        let wanted = (own.tokens - rows).div_ceil(own.context - 1).min(TEXTS);
        let how = Generation {
            max_new_tokens: own.context - 1,
            stop: &stop,
            sampling: Some(Sampling {
                temperature: own.temperature,
                top_k: None,
                top_p: None,
                seed: mixed(seed, round),
            }),
            ..Generation::default()
        };
        let before = rows;
        for written in generate(&session, &vec![vec![start]; wanted], &how)? {
            let length = written.ids.len().min(own.tokens - rows);
            if length == 0 {
                continue;
            }
            let ids: Vec<i64> = std::iter::once(start)
                .chain(written.ids.into_iter().take(length))
                .collect();
            let keep = (0..ids.len()).map(|place| place > 0).collect();
            texts.push(Text { ids, keep });
            rows += length;
        }
        progress.step(rows - before);
        if rows == own.tokens {
            return Ok(texts);
        }
        if rows == before {
            return Err(
                Fault::failed(doing, format!("{wanted} texts that end at once"))
                    .expected("a model that goes on after the token that begins a text")
                    .hint("give texts with --prompts or --suite"),
            );
        }
    }
    Ok(texts)
}

/// The token that the tokenizer puts in front; where it puts none, the one that texts end with, with which GPT-2 and its kin begin.
fn start(tokenizer: &Tokenizer) -> Result<i64> {
    let begins = tokenizer.encode("").ok();
    let begins = begins.and_then(|empty| empty.ids.first().copied());
    let ends = tokenizer.stop_ids()?;
    begins.or_else(|| ends.first().copied()).ok_or_else(|| {
        Fault::usage(
            "letting the model write text",
            format!(
                "no token in `{}` that a text begins with",
                tokenizer.path().display()
            ),
        )
        .expected("a tokenizer that puts a token in front, or says which one ends a text")
        .hint("give texts with --prompts or --suite")
    })
}

/// A seed for each round.
fn mixed(seed: u64, round: u64) -> u64 {
    seed ^ round.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Which texts are held out: a share of the different ones, at least one, by the digest of seed and text. Equal texts are on
/// one side.
///
/// # Errors
/// There are not two different texts with a token that counts.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a number of texts"
)]
pub fn held_out(texts: &[Text], share: f64, seed: u64) -> Result<Vec<bool>> {
    let doing = "holding texts out";
    if !(share > 0.0 && share < 1.0) {
        return Err(Fault::usage(doing, format!("a share of {share}"))
            .expected("--held-out between 0 and 1"));
    }
    let digests: Vec<String> = texts.iter().map(Text::digest).collect();
    let different: BTreeSet<&String> = texts
        .iter()
        .zip(&digests)
        .filter(|(text, _)| text.rows() > 0)
        .map(|(_, digest)| digest)
        .collect();
    if different.len() < 2 {
        let found = match different.len() {
            0 => "no text with a token that counts".to_owned(),
            _ => "a single text".to_owned(),
        };
        return Err(Fault::no_inputs(doing, found)
            .expected("at least two different texts of more than one token: one to learn from, one to measure on"));
    }
    let by_rank: BTreeMap<String, &String> = different
        .iter()
        .map(|&digest| {
            (
                digest::sha256_of(format!("{seed} {digest}").as_bytes()),
                digest,
            )
        })
        .collect();
    let count = (share * different.len() as f64).round() as usize;
    let count = count.clamp(1, different.len() - 1);
    let chosen: BTreeSet<&String> = by_rank.into_values().take(count).collect();
    Ok(digests
        .iter()
        .map(|digest| chosen.contains(digest))
        .collect())
}
