//! `candor detectors check`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::describe;
use super::shown::shown;
use crate::cli::args::Cli;
use crate::cli::inspect::paint::Surface;
use crate::cli::terminal::Bar;
use crate::cli::{name_of, obtain, prompts, terminal};
use crate::detect::Foreign;
use crate::detect::sae::Asked;
use crate::fault::{Fault, Result};
use crate::files;
use crate::lab::{Candidate, CheckFile, CheckRequest, Conclusion, Reference, Texts, check};
use crate::model::{Architecture, Model, SiteName};
use crate::report::Exit;
use crate::tokens::{Suite, Tokenizer};

pub const LONG: &str = "Open detectors, and measure how they fit a model.

Without texts or a reference the cards are shown, and with --model it is checked that they were made on that model. With \
--suite or --prompts each detector is measured on the model and held against what its card declares; with --reference also \
against another run of the same tokens, such as one of the float32 original.

Exit code 0 if what is declared fits (or nothing was to be compared), 4 if something does not.";

/// `candor detectors check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Detector folders, folders of detector folders, or the files of SAEs.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// The model they are to be used on.
    #[arg(long, value_name = "ONNX")]
    pub model: Option<PathBuf>,
    /// Its tokenizer.json (default: beside the model).
    #[arg(long, value_name = "FILE", requires = "model")]
    pub tokenizer: Option<PathBuf>,
    /// Suites to measure on: control text, labelled items, or a contrast; may be repeated.
    #[arg(long, value_name = "DIR", num_args = 1.., requires = "model")]
    pub suite: Vec<PathBuf>,
    /// A file of prompts to measure on: one a line, or JSONL with `prompt` (and `response`).
    #[arg(
        long,
        value_name = "FILE",
        requires = "model",
        conflicts_with = "suite"
    )]
    pub prompts: Option<PathBuf>,
    /// Activations of another run, as `candor capture` writes them: the same tokens are run through this model.
    #[arg(long, value_name = "FILE.safetensors", requires = "model")]
    pub reference: Option<PathBuf>,
    /// Where an SAE reads whose files do not say so.
    #[arg(long, value_name = "SITE")]
    pub site: Option<SiteName>,
    /// What a transcoder reconstructs whose files do not say so.
    #[arg(long, value_name = "SITE")]
    pub site_out: Option<SiteName>,
    /// Do not refuse detectors that were made on another model.
    #[arg(long)]
    pub allow_foreign_detector: bool,
    /// How to show what was found.
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub format: CheckFormat,
    /// Write the JSON to a file, whatever is printed.
    #[arg(long, value_name = "FILE.json", requires = "model")]
    pub out: Option<PathBuf>,
}

/// Renderings of what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

pub fn run(args: &CheckArgs, cli: &Cli) -> Result<u8> {
    if let Some(out) = &args.out {
        files::writable(out)?;
    }
    let candidates = Candidate::open_all(
        &args.paths,
        &Asked {
            site: args.site,
            site_out: args.site_out,
        },
    )?;
    let measured = !args.suite.is_empty() || args.prompts.is_some() || args.reference.is_some();
    match &args.model {
        Some(model) if measured => measure(args, cli, model, &candidates),
        model => {
            if args.out.is_some() || args.format == CheckFormat::Json {
                return Err(
                    Fault::usage("checking detectors", "nothing to measure them on")
                        .expected("`--model` with `--suite`, `--prompts` or `--reference`"),
                );
            }
            if let Some(model) = model {
                admit(args, model, &candidates)?;
            }
            for candidate in &candidates {
                terminal::say(&card(candidate));
            }
            Ok(0)
        }
    }
}

/// Refuses what was not made on the model, without running it.
fn admit(args: &CheckArgs, model: &std::path::Path, candidates: &[Candidate]) -> Result<()> {
    let model = Model::open(model)?;
    let arch = Architecture::find(&model)?;
    let digests = model.digests()?;
    let sha256 = digests.first().map_or("", |file| &file.sha256);
    let foreign = if args.allow_foreign_detector {
        Foreign::Allowed
    } else {
        Foreign::Refused
    };
    for candidate in candidates {
        for caveat in candidate.admit(&arch, sha256, foreign)? {
            terminal::say(&format!("caveat: {}", caveat.replace('`', "")));
        }
    }
    Ok(())
}

fn card(candidate: &Candidate) -> String {
    let Some(detector) = candidate.detector() else {
        let sizes = candidate.sae().map(|sae| (sae.d_sae(), sae.d_in()));
        let (features, width) = sizes.unwrap_or_default();
        return format!(
            "{} · {} · no card · {}\n  {features} features of {width} values",
            candidate.name(),
            candidate.kind(),
            candidate.site(),
        );
    };
    describe(detector)
}

fn measure(
    args: &CheckArgs,
    cli: &Cli,
    model: &std::path::Path,
    candidates: &[Candidate],
) -> Result<u8> {
    let suites = args
        .suite
        .iter()
        .map(|path| Suite::open(path))
        .collect::<Result<Vec<_>>>()?;
    let opened = Model::open(model)?;
    let arch = Architecture::find(&opened)?;
    opened.check_finite()?;
    let tokenizer = prompts::tokenizer(args.tokenizer.as_deref(), model, arch.vocab_size);
    let with_texts = !suites.is_empty() || args.prompts.is_some();
    let tokenizer: Option<Tokenizer> = match tokenizer {
        Ok(tokenizer) => Some(tokenizer),
        // A reference holds ids.
        Err(_) if !with_texts && args.tokenizer.is_none() => None,
        Err(fault) => return Err(fault),
    };
    let texts = match (&tokenizer, &args.prompts) {
        (Some(tokenizer), Some(file)) => Some(Texts::of_prompts(prompts::read(file, tokenizer)?)),
        (Some(tokenizer), None) if !suites.is_empty() => {
            Some(Texts::of_suites(tokenizer, &suites)?)
        }
        _ => None,
    };
    let reference = args
        .reference
        .as_deref()
        .map(|path| Reference::open(path, &arch))
        .transpose()?;
    let digests = opened.digests()?;
    let sha256 = digests.first().map_or("", |file| &file.sha256);
    let runtime = obtain(&cli.runtime)?;
    let request = CheckRequest {
        runtime: &runtime,
        model: &opened,
        arch: &arch,
        sha256,
        tokenizer: tokenizer.as_ref(),
        candidates,
        texts: texts.as_ref(),
        reference: reference.as_ref(),
    };
    let bar = Bar::new(cli.quiet);
    let found = check(&request, &bar)?;
    drop(bar);
    let name = name_of(model);
    let file = CheckFile::of(
        &name,
        sha256,
        reference.as_ref().map(Reference::sha256),
        &found,
    );
    if let Some(out) = &args.out {
        files::write_whole(out, file.json()?.as_bytes())?;
    }
    match args.format {
        CheckFormat::Json => terminal::say(file.json()?.trim_end()),
        CheckFormat::Text => terminal::say(&shown(&found, Surface::of_stdout())),
    }
    let exit = match Conclusion::of_all(&found) {
        Conclusion::DoesNotFit => Exit::Inconclusive,
        Conclusion::Fits | Conclusion::Untold => Exit::Clean,
    };
    Ok(exit.code())
}
