//! The pairs: two prompts on the command line, or a file of many.

use std::path::Path;

use serde::Deserialize;

use super::super::prompts;
use super::args::{MetricArg, PatchArgs};
use crate::causal::{Pair, equal_length};
use crate::fault::{Fault, Result};
use crate::lab::check_ids;
use crate::model::Architecture;
use crate::tokens::{Encoded, Tokenizer};

/// A text or token ids.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a text or a list of token ids")]
enum Given {
    Text(String),
    Ids(Vec<i64>),
}

/// A text or a token id.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a text of one token or a token id")]
enum Side {
    Id(i64),
    Text(String),
}

/// One line of a file of pairs.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a JSON object", deny_unknown_fields)]
struct Line {
    clean: Given,
    corrupt: Given,
    #[serde(default)]
    answer: Option<Side>,
    #[serde(default)]
    foil: Option<Side>,
    #[serde(default)]
    group: String,
    #[serde(default)]
    id: Option<String>,
}

/// Reads pairs for one model.
pub struct Reader<'a> {
    pub args: &'a PatchArgs,
    pub arch: &'a Architecture,
    tokenizer: Option<Tokenizer>,
}

impl<'a> Reader<'a> {
    pub fn new(args: &'a PatchArgs, arch: &'a Architecture) -> Self {
        Self {
            args,
            arch,
            tokenizer: None,
        }
    }

    /// The tokenizer, opened when it is first of use.
    pub fn tokenizer(&mut self) -> Result<&Tokenizer> {
        if self.tokenizer.is_none() {
            let given = self.args.tokenizer.as_deref();
            let vocab = self.arch.vocab_size;
            self.tokenizer = Some(prompts::tokenizer(given, &self.args.model, vocab)?);
        }
        self.tokenizer
            .as_ref()
            .ok_or_else(|| Fault::failed("opening the tokenizer", "none"))
    }

    /// The pairs that the arguments name.
    pub fn pairs(&mut self) -> Result<Vec<Pair>> {
        let args = self.args;
        if let Some(file) = &args.pairs {
            return self.file(file);
        }
        let text = |text: &Option<String>| text.clone().map(Given::Text);
        let ids = |ids: &Option<String>| -> Result<Option<Given>> {
            let ids = ids.as_deref().map(prompts::parse_one).transpose()?;
            Ok(ids.map(Given::Ids))
        };
        let side = |text: &Option<String>, id: Option<i64>| {
            id.map(Side::Id).or_else(|| text.clone().map(Side::Text))
        };
        let clean = ids(&args.clean_ids)?.or_else(|| text(&args.clean));
        let corrupt = ids(&args.corrupt_ids)?.or_else(|| text(&args.corrupt));
        let (Some(clean), Some(corrupt)) = (clean, corrupt) else {
            return Err(Fault::usage("reading the pair", "no prompts")
                .expected("--clean and --corrupt, --clean-ids and --corrupt-ids, or --pairs"));
        };
        let line = Line {
            clean,
            corrupt,
            answer: side(&args.answer, args.answer_id),
            foil: side(&args.foil, args.foil_id),
            group: String::new(),
            id: None,
        };
        Ok(vec![self.pair(line, ("clean", "corrupt"))?])
    }

    fn file(&mut self, path: &Path) -> Result<Vec<Pair>> {
        let doing = format!("reading the pairs `{}`", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| {
            Fault::usage(&doing, error.to_string()).expected("a UTF-8 file of JSON lines")
        })?;
        let mut pairs = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let number = index + 1;
            let parsed: Line = serde_json::from_str(line).map_err(|error| {
                let found = error.to_string();
                let found = found.replace(" at line 1 column ", " at column ");
                Fault::usage(format!("{doing}, line {number}"), found)
                    .expected("a JSON object with `clean` and `corrupt`, and `answer` and `foil` where the metric reads them")
            })?;
            let id = parsed
                .id
                .clone()
                .unwrap_or_else(|| format!("line {number}"));
            let counterpart = format!("{id}, clean");
            let pair = self.pair(parsed, (&counterpart, &id));
            pairs.push(pair.map_err(|fault| Fault {
                doing: format!("{doing}, line {number}: {}", fault.doing),
                ..fault
            })?);
        }
        if pairs.is_empty() {
            return Err(Fault::no_inputs(doing, "no pair").expected("at least one line"));
        }
        Ok(pairs)
    }

    fn pair(&mut self, line: Line, names: (&str, &str)) -> Result<Pair> {
        let prompt = match &line.clean {
            Given::Text(text) => text.clone(),
            Given::Ids(_) => String::new(),
        };
        let clean = self.encoded(line.clean)?;
        let corrupt = self.encoded(line.corrupt)?;
        let (answer, answer_text) = self.side("answer", line.answer, &prompt)?;
        let (foil, foil_text) = self.side("foil", line.foil, &prompt)?;
        if answer == foil && self.reads("foil") {
            return Err(Fault::usage(
                "reading the metric",
                format!("token id {answer} as answer and as foil"),
            )
            .expected("two tokens, of which the two prompts favour one each"));
        }
        check_ids(self.arch, &[clean.ids.clone(), corrupt.ids.clone()])?;
        equal_length((names.0, &clean), (names.1, &corrupt))?;
        Ok(Pair {
            item: names.1.to_owned(),
            counterpart: names.0.to_owned(),
            group: line.group,
            clean,
            corrupt,
            answer,
            foil,
            answer_text,
            foil_text,
        })
    }

    fn encoded(&mut self, given: Given) -> Result<Encoded> {
        match given {
            Given::Text(text) => self.tokenizer()?.encode(&text),
            Given::Ids(ids) => Ok(prompts::bare(ids)),
        }
    }

    /// Whether the metric reads an answer or a foil.
    fn reads(&self, what: &str) -> bool {
        match self.args.metric {
            MetricArg::LogitDifference => true,
            MetricArg::LogProbability | MetricArg::Rank => what == "answer",
            MetricArg::Kl | MetricArg::Detector => false,
        }
    }

    /// A side of the metric, which is read at one position and so is one token; 0 and no text where it is not read.
    fn side(&mut self, what: &str, side: Option<Side>, prompt: &str) -> Result<(i64, String)> {
        let (id, text) = match side {
            Some(Side::Id(id)) => (id, id.to_string()),
            Some(Side::Text(text)) => (self.single(prompt, &text)?, text),
            None if self.reads(what) => {
                return Err(
                    Fault::usage("reading the metric", format!("no {what}")).expected(
                        match self.args.metric {
                            MetricArg::LogitDifference => {
                                "an answer and a foil, as texts or as token ids"
                            }
                            _ => "an answer, as a text or as a token id",
                        },
                    ),
                );
            }
            None => return Ok((0, String::new())),
        };
        if usize::try_from(id).map_or(true, |id| id >= self.arch.vocab_size) {
            return Err(Fault::usage("reading the metric", format!("token id {id}"))
                .expected(format!("ids from 0 to {}", self.arch.vocab_size - 1)));
        }
        Ok((id, text))
    }

    fn single(&mut self, prompt: &str, answer: &str) -> Result<i64> {
        let prompt = if prompt.is_empty() { "x" } else { prompt };
        match self.tokenizer()?.tokens_after(prompt, answer)?.as_slice() {
            [id] => Ok(*id),
            several => Err(Fault::usage(
                format!("reading the answer {answer:?}"),
                format!("{} tokens", several.len()),
            )
            .expected("one token")
            .hint(match self.args.pairs {
                Some(_) => "give the first token as an id, a number instead of a text",
                None => "give the first token with --answer-id and --foil-id",
            })),
        }
    }
}
