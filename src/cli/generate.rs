//! `candor generate`

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use ndarray::{Array2, ArrayD, Axis};

use super::args::RuntimeArgs;
use super::sampling::SamplingArgs;
use super::{obtain, prompts, terminal};
use crate::fault::{Fault, Result};
use crate::files;
use crate::instrument::{Plan, instrument};
use crate::lab::{Captured, check_ids, select_sites};
use crate::model::{Architecture, Model, Point, SiteName};
use crate::report::counted;
use crate::run::{Budget, Generation, Session, Written, generate};
use crate::tokens::{Encoded, Tokenizer};

/// `candor generate`
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("given").required(true).args(["prompt", "messages", "prompts", "ids"])))]
pub struct GenerateArgs {
    /// The exported model.
    pub model: PathBuf,
    /// The text to continue.
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// A JSON file with a conversation, a list of objects with `role` and `content`, for the model's chat template.
    #[arg(long, value_name = "FILE")]
    pub messages: Option<PathBuf>,
    /// A file of prompts: one a line, or JSONL with `prompt` or `messages`.
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
    /// Token ids as JSON: `[[1,2,3]]`.
    #[arg(long, value_name = "JSON")]
    pub ids: Option<String>,
    /// Its tokenizer.json (default: beside the model).
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// At most so many new tokens.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub max_new_tokens: usize,
    /// How tokens are drawn.
    #[command(flatten)]
    pub sampling: SamplingArgs,
    /// Sites to read at every token, by name or glob.
    #[arg(long, value_name = "GLOB", num_args = 1.., requires = "out")]
    pub sites: Vec<String>,
    /// The safetensors file for what the sites hold.
    #[arg(long, value_name = "FILE", requires = "sites")]
    pub out: Option<PathBuf>,
    /// Read the whole text again for each token, without the model's key/value cache.
    #[arg(long)]
    pub no_cache: bool,
    /// Memory for the logits, activations and attention scores of one run; a longer text is read in chunks or refused.
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    pub run_memory: usize,
}

pub fn run(args: &GenerateArgs, runtime: &RuntimeArgs) -> Result<()> {
    if let Some(out) = &args.out {
        files::writable(out)?;
    }
    let sampling = args.sampling.chosen()?;
    let model = Model::open(&args.model)?;
    let arch = Architecture::find(&model)?;
    let sites = select_sites(&arch, &args.sites)?;
    by_token(&sites)?;
    let tokenizer = match args.ids {
        Some(_) => None,
        None => Some(prompts::tokenizer(
            args.tokenizer.as_deref(),
            &args.model,
            arch.vocab_size,
        )?),
    };
    let texts = texts(args, tokenizer.as_ref())?;
    let ids: Vec<Vec<i64>> = texts.iter().map(|text| text.ids.clone()).collect();
    check_ids(&arch, &ids)?;
    let stop = tokenizer
        .as_ref()
        .map_or_else(|| Ok(Vec::new()), Tokenizer::stop_ids)?;

    let plan = Plan {
        taps: sites,
        ..Plan::default()
    };
    let made = instrument(&model, &arch, &plan)?;
    let runtime = obtain(runtime)?;
    let session = Session::open(&runtime, &made.bytes, &made.folder, &arch)?;
    let outputs: Vec<&str> = made
        .manifest
        .taps
        .iter()
        .map(|(_, output)| output.as_str())
        .collect();
    let how = Generation {
        max_new_tokens: args.max_new_tokens,
        stop: &stop,
        sampling,
        same_draws: false,
        cache: !args.no_cache,
        outputs: &outputs,
        budget: Budget {
            run: args.run_memory.saturating_mul(1 << 20),
            ..Budget::default()
        },
        extra: None,
    };
    let written = generate(&session, &ids, &how)?;
    for (text, written) in texts.iter().zip(&written) {
        terminal::say(&shown(text, written, tokenizer.as_ref(), texts.len())?);
    }
    if let Some(out) = &args.out {
        let names = made.manifest.taps.iter().map(|(site, _)| site.to_string());
        captured(&ids, &written, &names.collect::<Vec<_>>())?.write(out)?;
        terminal::note(&format!(
            "{} at every token of {} → {}",
            counted(outputs.len(), "site", "sites"),
            counted(ids.len(), "text", "texts"),
            out.display()
        ));
    }
    Ok(())
}

fn texts(args: &GenerateArgs, tokenizer: Option<&Tokenizer>) -> Result<Vec<Encoded>> {
    if let Some(ids) = &args.ids {
        return Ok(prompts::parse_ids(ids)?
            .into_iter()
            .map(prompts::bare)
            .collect());
    }
    let Some(tokenizer) = tokenizer else {
        return Ok(Vec::new());
    };
    match (&args.prompt, &args.messages, &args.prompts) {
        (Some(prompt), _, _) => Ok(vec![tokenizer.encode(prompt)?]),
        (_, Some(file), _) => Ok(vec![prompts::read_messages(file, tokenizer)?]),
        (_, _, Some(file)) => prompts::read(file, tokenizer),
        (None, None, None) => Ok(Vec::new()),
    }
}

/// The continuation alone, or behind its prompt where there are several.
fn shown(
    text: &Encoded,
    written: &Written,
    tokenizer: Option<&Tokenizer>,
    texts: usize,
) -> Result<String> {
    let Some(tokenizer) = tokenizer else {
        return Ok(format!("{:?}", written.ids));
    };
    let continuation = harmless(&tokenizer.decode(&written.ids)?);
    if texts == 1 {
        return Ok(continuation);
    }
    let prompt = harmless(&tokenizer.decode(&text.ids)?);
    Ok(format!(
        "{prompt}\n  → {}",
        continuation.replace('\n', "\n    ")
    ))
}

/// A model's text without what a terminal would obey.
fn harmless(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control() || matches!(character, '\n' | '\t'))
        .collect()
}

fn captured(ids: &[Vec<i64>], written: &[Written], names: &[String]) -> Result<Captured> {
    let whole: Vec<Vec<i64>> = ids
        .iter()
        .zip(written)
        .map(|(prompt, written)| [prompt.as_slice(), &written.ids].concat())
        .collect();
    let longest = whole.iter().map(Vec::len).max().unwrap_or(0);
    let at = |(row, column): (usize, usize)| whole.get(row)?.get(column).copied();
    let tensors = names
        .iter()
        .enumerate()
        .map(|(site, name)| {
            let rows: Vec<&ArrayD<f32>> = written
                .iter()
                .filter_map(|written| written.outputs.get(site))
                .collect();
            let of_token = rows.first().map_or(&[][..], |rows| &rows.shape()[1..]);
            let shape = [&[rows.len(), longest], of_token].concat();
            let mut tensor = ArrayD::zeros(shape);
            for (row, values) in rows.iter().enumerate() {
                tensor
                    .index_axis_mut(Axis(0), row)
                    .slice_axis_mut(Axis(0), (..values.len_of(Axis(0))).into())
                    .assign(values);
            }
            Ok((name.clone(), tensor))
        })
        .collect::<Result<Vec<_>>>()?;
    let shape = (whole.len(), longest);
    Ok(Captured {
        tensors,
        mask: Array2::from_shape_fn(shape, |cell| i64::from(at(cell).is_some())),
        ids: Array2::from_shape_fn(shape, |cell| at(cell).unwrap_or(0)),
    })
}

/// Refuses sites that grow with the text along more than one axis.
///
/// # Errors
/// Usage: attention patterns are among them.
fn by_token(sites: &[SiteName]) -> Result<()> {
    let pattern = sites
        .iter()
        .find(|site| matches!(site.point, Point::Pattern));
    pattern.map_or(Ok(()), |site| {
        Err(Fault::usage("reading sites while generating", format!("`{site}`"))
            .expected("sites that hold as many values at every token")
            .hint("read attention patterns with `candor capture --ids`, from the ids of prompt and response"))
    })
}
