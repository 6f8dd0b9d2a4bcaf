//! `candor steer`

mod file;
mod page;

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use super::args::RuntimeArgs;
use super::inspect::paint::Surface;
use super::sampling::SamplingArgs;
use super::{obtain, prompts, terminal};
use crate::detect::Detector;
use crate::fault::{Fault, Result};
use crate::files;
use crate::lab::{At, Push, Steered, Unit, check_ids, detector_folders, select_sites, steer};
use crate::model::{Architecture, Model, SiteName};
use crate::run::{Budget, Generation};
use crate::tokens::{Encoded, Tokenizer};

/// `candor steer`
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("given").required(true).args(["prompt", "messages", "ids"])))]
pub struct SteerArgs {
    /// The exported model.
    pub model: PathBuf,
    /// The detector along whose direction the stream is pushed: a probe's weights, or a feature of an SAE.
    #[arg(long, value_name = "DIR")]
    pub detector: PathBuf,
    /// Scales, with commas: -4,0,4. The plain text is always written.
    #[arg(
        long,
        value_name = "S,…",
        required = true,
        allow_hyphen_values = true,
        value_delimiter = ','
    )]
    pub scale: Vec<String>,
    /// The text to continue.
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// A JSON file with a conversation, a list of objects with `role` and `content`, for the model's chat template.
    #[arg(long, value_name = "FILE")]
    pub messages: Option<PathBuf>,
    /// Token ids of the prompt as JSON: `[1,2,3]`.
    #[arg(long, value_name = "JSON")]
    pub ids: Option<String>,
    /// Which feature of an SAE (default: the first on its card).
    #[arg(long, value_name = "N")]
    pub feature: Option<usize>,
    /// Sites on the stream at which the vector is added, by name or glob (default: the detector's).
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    pub sites: Vec<String>,
    /// What scale 1 is.
    #[arg(long, value_enum, default_value_t = UnitArg::Raw)]
    pub unit: UnitArg,
    /// Tokens at which the vector is added.
    #[arg(long, value_enum, default_value_t = AtArg::All)]
    pub at: AtArg,
    /// Its tokenizer.json (default: beside the model).
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// At most so many new tokens.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub max_new_tokens: usize,
    /// How tokens are drawn.
    #[command(flatten)]
    pub sampling: SamplingArgs,
    /// Read the whole text again for each token, without the model's key/value cache.
    #[arg(long)]
    pub no_cache: bool,
    /// Memory for the logits, activations and attention scores of one run; a longer text is read in chunks or refused.
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    pub run_memory: usize,
    /// Write everything to a file: texts, tokens, scores, what each push does to the plain text.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Units of a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnitArg {
    /// A vector of length 1 along a probe's weights; the decoder's row of a feature, which is one unit of its activation.
    Raw,
    /// A vector as long as activations at the site are (their median over the prompt).
    Norm,
}

/// Tokens that are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AtArg {
    /// Prompt and response.
    All,
    /// The response alone.
    Response,
}

/// What was asked and what came of it.
struct Seen<'a> {
    args: &'a SteerArgs,
    detector: &'a Detector,
    feature: Option<usize>,
    sha256: &'a str,
    prompt: &'a Encoded,
    /// Text and tokens of each response, in the order of the texts.
    responses: Vec<(String, Vec<String>)>,
    steered: Steered,
}

pub fn run(args: &SteerArgs, runtime: &RuntimeArgs) -> Result<()> {
    if let Some(json) = &args.json {
        files::writable(json)?;
    }
    let scales = args.scale.iter().map(|text| scale(text));
    let scales = scales.collect::<Result<Vec<f32>>>()?;
    let sampling = args.sampling.chosen()?;
    let detector = detector(args)?;
    let direction = detector.direction(args.feature)?;
    let feature = direction.feature;
    let model = Model::open(&args.model)?;
    let arch = Architecture::find(&model)?;
    let digests = model.digests()?;
    let sha256 = digests.first().map_or("", |file| &file.sha256);
    detector.fits(&arch, sha256)?;
    let tokenizer = match args.ids {
        Some(_) => None,
        None => Some(prompts::tokenizer(
            args.tokenizer.as_deref(),
            &args.model,
            arch.vocab_size,
        )?),
    };
    let prompt = prompt(args, tokenizer.as_ref())?;
    check_ids(&arch, std::slice::from_ref(&prompt.ids))?;
    let stop = tokenizer
        .as_ref()
        .map_or_else(|| Ok(Vec::new()), Tokenizer::stop_ids)?;
    let push = Push {
        direction,
        sites: sites(args, &arch, &detector)?,
        scales,
        unit: match args.unit {
            UnitArg::Raw => Unit::Raw,
            UnitArg::Norm => Unit::Norm,
        },
        at: match args.at {
            AtArg::All => At::All,
            AtArg::Response => At::Response,
        },
    };
    let how = Generation {
        max_new_tokens: args.max_new_tokens,
        stop: &stop,
        sampling,
        cache: !args.no_cache,
        budget: Budget {
            run: args.run_memory.saturating_mul(1 << 20),
            ..Budget::default()
        },
        ..Generation::default()
    };
    let runtime = obtain(runtime)?;
    let steered = steer(&runtime, &model, &arch, &detector, push, &prompt.ids, &how)?;
    let responses = steered
        .texts
        .iter()
        .map(|text| said(tokenizer.as_ref(), &text.ids));
    let seen = Seen {
        args,
        detector: &detector,
        feature,
        sha256,
        prompt: &prompt,
        responses: responses.collect::<Result<_>>()?,
        steered,
    };
    terminal::say(&page::page(&seen, Surface::of_stdout()));
    if let Some(json) = &args.json {
        files::write_whole(json, &file::json(&seen)?)?;
    }
    Ok(())
}

fn scale(text: &str) -> Result<f32> {
    let number = text.trim().parse::<f32>().ok();
    number.filter(|scale| scale.is_finite()).ok_or_else(|| {
        Fault::usage("reading the scales", format!("`{text}`"))
            .expected("finite numbers with commas, such as -4,0,4")
    })
}

fn detector(args: &SteerArgs) -> Result<Detector> {
    let folders = detector_folders(std::slice::from_ref(&args.detector))?;
    match folders.as_slice() {
        [folder] => Detector::open(folder),
        several => Err(Fault::usage(
            format!("choosing a direction from `{}`", args.detector.display()),
            format!("{} detectors", several.len()),
        )
        .expected("the folder of one")),
    }
}

/// The sites that were named, or the detector's own.
fn sites(args: &SteerArgs, arch: &Architecture, detector: &Detector) -> Result<Vec<SiteName>> {
    if args.sites.is_empty() {
        Ok(vec![detector.card.site])
    } else {
        select_sites(arch, &args.sites)
    }
}

fn prompt(args: &SteerArgs, tokenizer: Option<&Tokenizer>) -> Result<Encoded> {
    match (&args.ids, tokenizer, &args.prompt, &args.messages) {
        (Some(ids), ..) => Ok(prompts::bare(prompts::parse_one(ids)?)),
        (_, Some(tokenizer), Some(prompt), _) => tokenizer.encode(prompt),
        (_, Some(tokenizer), _, Some(file)) => prompts::read_messages(file, tokenizer),
        _ => Err(Fault::usage("reading the prompt", "none").expected("--prompt TEXT")),
    }
}

/// A response as text, and each of its tokens.
fn said(tokenizer: Option<&Tokenizer>, ids: &[i64]) -> Result<(String, Vec<String>)> {
    let Some(tokenizer) = tokenizer else {
        let tokens = ids.iter().map(ToString::to_string).collect();
        return Ok((format!("{ids:?}"), tokens));
    };
    let token =
        |&id: &i64| u32::try_from(id).map_or_else(|_| String::new(), |id| tokenizer.token_text(id));
    Ok((tokenizer.decode(ids)?, ids.iter().map(token).collect()))
}
