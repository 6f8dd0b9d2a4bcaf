//! What a model writes after its prompts, with its key/value cache where it takes and returns one.

use ndarray::{ArrayD, ArrayView1};

use super::continued;
use super::read::{Extra, Reading, each_last, outputs_of};
use super::sampling::Chooser;
use super::{Budget, Sampling, Session};
use crate::fault::{Fault, Kind, Result};

/// How a text is continued.
#[derive(Clone, Copy)]
pub struct Generation<'a> {
    /// A response ends after so many tokens.
    pub max_new_tokens: usize,
    /// A response ends before the first of these, which is not part of it.
    pub stop: &'a [i64],
    /// How tokens are drawn; without it the likeliest is taken (of equals, the one with the lowest id).
    pub sampling: Option<Sampling>,
    /// Whether all prompts draw the same numbers, as the first one does; otherwise each has its own.
    pub same_draws: bool,
    /// Whether the key/value cache may be used.
    pub cache: bool,
    /// Outputs `[batch, seq, …]` to read at every token of prompt and response.
    pub outputs: &'a [&'a str],
    /// Memory.
    pub budget: Budget,
    /// Values of the inputs that instrumenting has added.
    pub extra: Option<&'a Extra<'a>>,
}

impl Default for Generation<'_> {
    /// One likeliest token, with the cache.
    fn default() -> Self {
        Self {
            max_new_tokens: 1,
            stop: &[],
            sampling: None,
            same_draws: false,
            cache: true,
            outputs: &[],
            budget: Budget::default(),
            extra: None,
        }
    }
}

/// What a model wrote after one prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The new tokens.
    pub ids: Vec<i64>,
    /// Whether the model ended the response itself.
    pub stopped: bool,
    /// For each output asked for, its values at every token of prompt and response, `[tokens, …]`: those of one run over
    /// the whole text.
    pub outputs: Vec<ArrayD<f32>>,
}

/// What the model writes after each prompt when it always takes the likeliest token (of equals, the one with the lowest id).
///
/// A response ends before the first token of `stop`, which is not part of it, or after `max_new_tokens` tokens.
///
/// # Errors
/// Those of [`generate`].
pub fn greedy(
    session: &Session,
    prompts: &[Vec<i64>],
    max_new_tokens: usize,
    stop: &[i64],
) -> Result<Vec<Vec<i64>>> {
    let how = Generation {
        max_new_tokens,
        stop,
        ..Generation::default()
    };
    let written = generate(session, prompts, &how)?;
    Ok(written.into_iter().map(|written| written.ids).collect())
}

/// Continues every prompt. Each gets the tokens that it gets alone, and the same ones with and without a cache.
///
/// # Errors
/// Those of [`super::each_output`], and of [`Sampling::check`]. Failed, if an output asked for has no value for each token.
pub fn generate(
    session: &Session,
    prompts: &[Vec<i64>],
    how: &Generation<'_>,
) -> Result<Vec<Written>> {
    if let Some(sampling) = &how.sampling {
        sampling.check()?;
    }
    session.check_context()?;
    // A single token needs no cache.
    let cached = how.cache && how.max_new_tokens > 1 && session.caching().alone.is_ok();
    let written = if cached {
        continued::generate(session, prompts, how)
    } else {
        anew(session, prompts, how)
    };
    let written = written.map_err(too_long)?;
    for (prompt, written) in prompts.iter().zip(&written) {
        by_token(prompt.len() + written.ids.len(), how.outputs, written)?;
    }
    Ok(written)
}

/// What a model does not run is most often a text that has outgrown its positions.
fn too_long(fault: Fault) -> Fault {
    if fault.kind == Kind::Failed && fault.hint.is_empty() {
        fault.hint("the text may have grown longer than the model has positions for: ask for fewer new tokens")
    } else {
        fault
    }
}

/// Refuses outputs that do not have a value for each token of a text, as of models that put out the last token's alone.
fn by_token(tokens: usize, names: &[&str], written: &Written) -> Result<()> {
    let mut outputs = names.iter().zip(&written.outputs);
    let short = outputs.find(|(_, values)| values.shape().first() != Some(&tokens));
    short.map_or(Ok(()), |(name, values)| {
        Err(Fault::failed(
            format!("reading the output `{name}` while generating"),
            format!("the shape {:?} for {tokens} tokens", values.shape()),
        )
        .expected(format!("[{tokens}, …]"))
        .hint("the export puts out the last token's alone: leave this output out"))
    })
}

/// A response under way.
pub(super) struct Text {
    chooser: Chooser,
    pub ids: Vec<i64>,
    stopped: bool,
}

impl Text {
    pub fn new(how: &Generation<'_>, prompt: usize) -> Self {
        let stream = if how.same_draws { 0 } else { prompt };
        Self {
            chooser: Chooser::new(how.sampling, stream),
            ids: Vec::new(),
            stopped: false,
        }
    }

    /// Whether another token is to come.
    pub fn is_open(&self, how: &Generation<'_>) -> bool {
        !self.stopped && self.ids.len() < how.max_new_tokens
    }

    /// Takes the next token from its logits `[vocab]`.
    pub fn take(&mut self, logits: &ArrayView1<'_, f32>, how: &Generation<'_>) {
        let token = self.chooser.choose(logits);
        if how.stop.contains(&token) {
            self.stopped = true;
        } else {
            self.ids.push(token);
        }
    }

    pub fn written(self, outputs: Vec<ArrayD<f32>>) -> Written {
        Written {
            ids: self.ids,
            stopped: self.stopped,
            outputs,
        }
    }
}

/// Without a cache: the whole text again for each token.
fn anew(session: &Session, prompts: &[Vec<i64>], how: &Generation<'_>) -> Result<Vec<Written>> {
    let mut texts: Vec<Text> = (0..prompts.len())
        .map(|prompt| Text::new(how, prompt))
        .collect();
    let so_far = |texts: &[Text], place: usize| -> Vec<i64> {
        let response = texts.get(place).map_or(&[][..], |text| &text.ids);
        [prompts.get(place).map_or(&[][..], Vec::as_slice), response].concat()
    };
    loop {
        let open: Vec<usize> = texts
            .iter()
            .enumerate()
            .filter(|(_, text)| text.is_open(how))
            .map(|(place, _)| place)
            .collect();
        if open.is_empty() {
            break;
        }
        let whole: Vec<Vec<i64>> = open.iter().map(|place| so_far(&texts, *place)).collect();
        let named = how.extra.map(|extra| renamed(extra, &open));
        let reading = Reading {
            outputs: &[],
            budget: how.budget,
            extra: named.as_deref(),
        };
        each_last(session, &whole, &reading, |row, logits| {
            if let Some(text) = open.get(row).and_then(|place| texts.get_mut(*place)) {
                text.take(&logits, how);
            }
        })?;
    }
    let whole: Vec<Vec<i64>> = (0..prompts.len())
        .map(|place| so_far(&texts, place))
        .collect();
    let outputs = if how.outputs.is_empty() {
        vec![Vec::new(); prompts.len()]
    } else {
        let reading = Reading {
            outputs: how.outputs,
            budget: how.budget,
            extra: how.extra,
        };
        outputs_of(session, &whole, &reading)?
    };
    Ok(texts
        .into_iter()
        .zip(outputs)
        .map(|(text, outputs)| text.written(outputs))
        .collect())
}

/// The same values for a choice of the prompts, which are numbered anew.
fn renamed<'a>(extra: &'a Extra<'a>, chosen: &'a [usize]) -> Box<Extra<'a>> {
    Box::new(move |cells| {
        let mut cells = cells.clone();
        for prompt in &mut cells.prompts {
            *prompt = chosen.get(*prompt).copied().unwrap_or(*prompt);
        }
        extra(&cells)
    })
}
