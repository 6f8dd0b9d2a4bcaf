//! `candor detectors page`

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use crate::cli::args::Cli;
use crate::cli::terminal::{self, Bar};
use crate::cli::{command, name_of, obtain, prompts};
use crate::detect::{Detector, card};
use crate::fault::{Fault, Result};
use crate::files;
use crate::lab::{Chosen, PageRequest, Subject, feature_page, feature_page_html};
use crate::report::counted;
use crate::tokens::Suite;

/// `candor detectors page`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("texts").required(true).multiple(true).args(["suite", "prompts"]))]
pub struct PageArgs {
    /// The SAE's folder.
    pub dir: PathBuf,
    /// Which features: `3,17`, or `top:10` for those that separate the labels best, without labels those with the largest sum of
    /// activations (default: those of the folder's card, else `top:10`).
    #[arg(long, value_name = "LIST")]
    pub features: Option<String>,
    /// The exported model.
    #[arg(long, value_name = "ONNX")]
    pub model: PathBuf,
    /// Its tokenizer.json (default: beside the model).
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// Suites whose items are read, with their labels.
    #[arg(long, visible_alias = "labels", value_name = "DIR", num_args = 1..)]
    pub suite: Vec<PathBuf>,
    /// A file of texts: one a line, or JSONL with `prompt` or `messages` (and `response`).
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
    /// Tokens that count: `prompt_last`, `response`, `response_last`, `all`.
    #[arg(long, default_value = "all")]
    pub span: String,
    /// Strongest texts of each feature.
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub contexts: usize,
    /// Bootstrap resamples of the intervals.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub resamples: usize,
    /// Seeds the bootstrap.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// The page.
    #[arg(long, value_name = "FILE.html")]
    pub out: PathBuf,
    /// Write what the page shows as JSON as well.
    #[arg(long, value_name = "FILE.json")]
    pub json: Option<PathBuf>,
}

pub fn run(args: &PageArgs, cli: &Cli) -> Result<()> {
    files::writable(&args.out)?;
    if let Some(json) = &args.json {
        files::writable(json)?;
    }
    let features = chosen(args)?;
    let span = args.span.parse()?;
    let suites = args
        .suite
        .iter()
        .map(|path| Suite::open(path))
        .collect::<Result<Vec<_>>>()?;
    let subject = Subject::open(
        &name_of(&args.model),
        &args.model,
        args.tokenizer.as_deref(),
    )?;
    let texts = match &args.prompts {
        Some(path) => prompts::read(path, &subject.tokenizer)?,
        None => Vec::new(),
    };
    let runtime = obtain(&cli.runtime)?;
    let request = PageRequest {
        features,
        suites: &suites,
        prompts: texts,
        span,
        contexts: args.contexts,
        resamples: args.resamples,
        seed: args.seed,
        command: command(),
    };
    let bar = Bar::new(cli.quiet);
    let page = feature_page(&runtime, &subject, &args.dir, request, &bar)?;
    drop(bar);
    let html = feature_page_html(&page)?;
    if let Some(json) = &args.json {
        let text = serde_json::to_string_pretty(&page)
            .map_err(|error| Fault::failed("writing the page's JSON", error.to_string()))?;
        files::write_whole(json, format!("{text}\n").as_bytes())?;
    }
    files::write_whole(&args.out, html.as_bytes())?;
    terminal::say(&format!(
        "{} on {} of {}; L0 {:.1} → {}",
        counted(page.features.len(), "feature", "features"),
        counted(page.tokens, "token", "tokens"),
        counted(page.texts, "text", "texts"),
        page.l0,
        args.out.display()
    ));
    Ok(())
}

/// What `--features` says, or the folder's card.
fn chosen(args: &PageArgs) -> Result<Chosen> {
    let Some(text) = &args.features else {
        if args.dir.join(card::FILE).is_file() {
            let features = Detector::open(&args.dir)?.card.features;
            if !features.is_empty() {
                let features = features.iter().map(|feature| feature.index);
                return Ok(Chosen::These(features.collect()));
            }
        }
        return Ok(Chosen::Top(10));
    };
    let wrong = || {
        Fault::usage("choosing SAE features", format!("--features {text}"))
            .expected("indices such as `3,17`, or `top:10`")
    };
    if let Some(most) = text.strip_prefix("top:") {
        let most = most.trim().parse().ok().filter(|most| *most > 0);
        return most.map(Chosen::Top).ok_or_else(wrong);
    }
    let features = text.split(',').map(|part| part.trim().parse().ok());
    let features: Option<Vec<usize>> = features.collect();
    features.map(Chosen::These).ok_or_else(wrong)
}
