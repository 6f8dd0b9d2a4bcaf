//! Pairs of prompts from a file, for patching and circuits.
//!
//! One JSON object a line:
//!
//! ```json
//! {"clean": "The capital of France is", "corrupt": "The capital of Spain is", "answer": " Paris", "foil": " Madrid", "group": "capitals"}
//! {"clean": [464, 3139], "corrupt": [464, 3288], "answer": 6342, "foil": 14708}
//! ```
//!
//! | Key | What it is |
//! |---|---|
//! | `clean`, `corrupt` | a text, or token ids; as many tokens on both sides, but not the same ones |
//! | `answer`, `foil` | the two sides of the logit difference after the last token: a text that is one token there, or its id; may be left out where the command line gives one for all lines |
//! | `group` | optional: pairs of one template or fact, which intervals take for one observation; each line is its own otherwise |
//! | `id` | optional: what the pair is called in reports; `line N` otherwise |

use std::cell::OnceCell;
use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;

use super::capture::check_ids;
use crate::causal::{Pair, equal_length};
use crate::fault::{Fault, Result};
use crate::files;
use crate::model::Architecture;
use crate::tokens::{Encoded, Tokenizer};

/// One side of the logit difference.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Side {
    /// Its token id.
    Id(i64),
    /// A text that is one token after the prompt.
    Text(String),
}

/// What is asked of pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    /// First side of the logit difference, where a line does not say it itself.
    pub answer: Option<Side>,
    /// Second side of the logit difference, likewise.
    pub foil: Option<Side>,
    /// Whether anything reads the answer; a line may leave it out otherwise.
    pub reads_answer: bool,
    /// Whether anything reads the foil.
    pub reads_foil: bool,
}

impl Default for Sides {
    fn default() -> Self {
        Self {
            answer: None,
            foil: None,
            reads_answer: true,
            reads_foil: true,
        }
    }
}

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "neither a text nor a list of token ids")]
pub enum Given {
    /// Its token ids.
    Ids(Vec<i64>),
    /// Its text.
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
struct Line {
    clean: Given,
    corrupt: Given,
    answer: Option<Side>,
    foil: Option<Side>,
    group: Option<String>,
    id: Option<String>,
}

const EXPECTED: &str = "one JSON object with `clean` and `corrupt` (a text or token ids), and optionally `answer`, `foil`, `group`, `id`";

/// Reads a file of pairs. `tokenizer` is asked for only where a line holds a text.
///
/// # Errors
/// The file cannot be read or holds no pair; a line is malformed, its prompts differ in length or not at all, a side is
/// not one token or the same as the other, an id lies outside the vocabulary, or two lines have one `id`. The message
/// has the line's number.
pub fn read_pairs(
    path: &Path,
    arch: &Architecture,
    tokenizer: &dyn Fn() -> Result<Tokenizer>,
    sides: &Sides,
) -> Result<Vec<Pair>> {
    let doing = format!("reading the pairs `{}`", path.display());
    files::protect(path);
    let text = std::fs::read_to_string(path).map_err(|error| {
        Fault::usage(&doing, error.to_string()).expected("a UTF-8 file of JSON lines")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let reader = Reader {
        arch,
        sides,
        open: tokenizer,
        opened: OnceCell::new(),
    };
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let mut pairs = Vec::new();
    let mut ids = HashSet::new();
    for (index, line) in lines {
        let number = index + 1;
        let doing = format!("{doing}, line {number}");
        let pair = reader.pair(line, number, &doing).map_err(|fault| {
            if fault.doing.starts_with(&doing) {
                fault
            } else {
                Fault {
                    doing: format!("{doing}: {}", fault.doing),
                    ..fault
                }
            }
        })?;
        if !ids.insert(pair.item.clone()) {
            return Err(
                Fault::usage(doing, format!("another pair with the id `{}`", pair.item))
                    .expected("ids that are unique in the file"),
            );
        }
        pairs.push(pair);
    }
    if pairs.is_empty() {
        return Err(Fault::no_inputs(doing, "no pair").expected(EXPECTED));
    }
    Ok(pairs)
}

/// One pair that is given otherwise than in a file; its two sides are those of `sides`.
///
/// # Errors
/// As [`read_pairs`].
pub fn one_pair(
    clean: Given,
    corrupt: Given,
    arch: &Architecture,
    tokenizer: &dyn Fn() -> Result<Tokenizer>,
    sides: &Sides,
) -> Result<Pair> {
    let reader = Reader {
        arch,
        sides,
        open: tokenizer,
        opened: OnceCell::new(),
    };
    let line = Line {
        clean,
        corrupt,
        answer: None,
        foil: None,
        group: Some(String::new()),
        id: Some("corrupt".to_owned()),
    };
    let pair = reader.made(line, "corrupt", "reading the pair")?;
    Ok(Pair {
        counterpart: "clean".to_owned(),
        ..pair
    })
}

/// The one token that a side is after a prompt; `prompt` is `None` where only ids are known of it.
///
/// # Errors
/// The text is several tokens there, or none.
pub fn single_token(tokenizer: &Tokenizer, prompt: Option<&str>, side: &str) -> Result<i64> {
    // A prompt of ids has no text that could change where the side begins.
    let prompt = prompt.filter(|prompt| !prompt.is_empty()).unwrap_or("x");
    match tokenizer.tokens_after(prompt, side)?.as_slice() {
        [id] => Ok(*id),
        several => Err(Fault::usage(
            format!("reading the answer {side:?}"),
            format!("{} tokens", several.len()),
        )
        .expected("one token, as the logits are read at one position")
        .hint("give the id of its first token instead: with --answer-id and --foil-id, or as a number in the file")),
    }
}

/// Ids as a prompt whose tokens are shown as numbers.
#[must_use]
pub fn bare(ids: Vec<i64>) -> Encoded {
    Encoded {
        tokens: ids.iter().map(ToString::to_string).collect(),
        special: vec![false; ids.len()],
        response_start: ids.len(),
        ids,
    }
}

struct Reader<'a> {
    arch: &'a Architecture,
    sides: &'a Sides,
    open: &'a dyn Fn() -> Result<Tokenizer>,
    opened: OnceCell<Tokenizer>,
}

impl Reader<'_> {
    fn tokenizer(&self) -> Result<&Tokenizer> {
        if let Some(tokenizer) = self.opened.get() {
            return Ok(tokenizer);
        }
        let tokenizer = (self.open)()?;
        Ok(self.opened.get_or_init(|| tokenizer))
    }

    fn pair(&self, line: &str, number: usize, doing: &str) -> Result<Pair> {
        let line: Line = serde_json::from_str(line).map_err(|error| {
            // The line is a document of its own; where it stands in the file has been said.
            let found = error
                .to_string()
                .replace(" at line 1 column ", " at column ");
            Fault::usage(doing, found).expected(EXPECTED)
        })?;
        self.made(line, &format!("line {number}"), doing)
    }

    /// `own` is what the pair and its group are called where they have no name.
    fn made(&self, line: Line, own: &str, doing: &str) -> Result<Pair> {
        let prompt = match &line.clean {
            Given::Text(text) => Some(text.as_str()),
            Given::Ids(_) => None,
        };
        let sides = self.sides;
        let side = |name: &str, own: Option<&Side>, given: Option<&Side>, reads: bool| match own
            .or(given)
        {
            Some(side) => self.side(side, prompt, doing),
            None if !reads => Ok((0, String::new())),
            None => Err(
                Fault::usage(doing, format!("no `{name}`")).expected(format!(
                    "--{name} or --{name}-id, or `{name}` in each line of a file of pairs"
                )),
            ),
        };
        let (answer, answer_text) = side(
            "answer",
            line.answer.as_ref(),
            sides.answer.as_ref(),
            sides.reads_answer,
        )?;
        let (foil, foil_text) = side(
            "foil",
            line.foil.as_ref(),
            sides.foil.as_ref(),
            sides.reads_foil,
        )?;
        if answer == foil && sides.reads_foil {
            return Err(
                Fault::usage(doing, format!("token id {answer} as answer and as foil"))
                    .expected("two tokens, of which the two prompts favour one each"),
            );
        }
        let (clean, corrupt) = (self.prompt(line.clean)?, self.prompt(line.corrupt)?);
        let prompts = [clean.ids.clone(), corrupt.ids.clone()];
        check_ids(self.arch, &prompts)?;
        equal_length(("clean", &clean), ("corrupt", &corrupt))?;
        let item = line.id.unwrap_or_else(|| own.to_owned());
        Ok(Pair {
            counterpart: format!("{item}, clean"),
            item,
            group: line.group.unwrap_or_else(|| own.to_owned()),
            clean,
            corrupt,
            answer,
            foil,
            answer_text,
            foil_text,
        })
    }

    fn prompt(&self, given: Given) -> Result<Encoded> {
        match given {
            Given::Ids(ids) => Ok(bare(ids)),
            Given::Text(text) => self.tokenizer()?.encode(&text),
        }
    }

    fn side(&self, side: &Side, prompt: Option<&str>, doing: &str) -> Result<(i64, String)> {
        let (id, text) = match side {
            Side::Id(id) => (*id, id.to_string()),
            Side::Text(text) => (
                single_token(self.tokenizer()?, prompt, text)?,
                text.trim().to_owned(),
            ),
        };
        if usize::try_from(id).map_or(true, |id| id >= self.arch.vocab_size) {
            return Err(Fault::usage(doing, format!("token id {id}"))
                .expected(format!("ids from 0 to {}", self.arch.vocab_size - 1)));
        }
        Ok((id, text))
    }
}
