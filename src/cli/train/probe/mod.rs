//! `candor train probe`

mod layers;
mod shown;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use self::layers::of_layers;
use crate::cli::args::Cli;
use crate::cli::terminal::Bar;
use crate::cli::{command, name_of, obtain, terminal};
use crate::detect::train::{PROBE_KINDS, ProbeKind};
use crate::fault::{Fault, Result};
use crate::files;
use crate::lab::{ProbeRequest, Subject, select_sites, train_probe};
use crate::tokens::Suite;

/// `candor train probe`
#[derive(Debug, Args)]
pub struct TrainProbeArgs {
    /// The exported model.
    #[arg(long, value_name = "ONNX")]
    pub model: PathBuf,
    /// Its tokenizer.json (default: beside the model).
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// Labelled suites. Items of one group stay together whichever suite they stand in; each `dataset` of items, or each suite, is
    /// a row of the transfer matrix.
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    pub suite: Vec<PathBuf>,
    /// A suite of unrelated text that the threshold is set on (default: the held-out items of the unflagged label).
    #[arg(long, value_name = "DIR")]
    pub control: Option<PathBuf>,
    /// Kinds of probe, separated by commas, or `all`: `logistic_regression`, `difference_of_means`, `mass_mean`, `lda`, `ttpd`,
    /// `lat`, `ccs`, `attention`, `multimax`.
    #[arg(
        long,
        value_name = "KIND",
        value_delimiter = ',',
        default_value = "logistic_regression"
    )]
    pub kind: Vec<String>,
    /// Candidate sites, by name or glob; the earliest that is as good as the best is taken.
    #[arg(long, value_name = "GLOB", num_args = 1.., default_values_t = [String::from("blocks.*.hook_resid_post")])]
    pub sites: Vec<String>,
    /// Blocks of which --sites is searched: `all`, `last`, or numbers and ranges such as `0,2,4-7` (default: all, and sites outside
    /// of blocks).
    #[arg(long, value_name = "LAYERS")]
    pub layers: Option<String>,
    /// Tokens that are read: `prompt_last`, `response`, `response_last`, `all`.
    #[arg(long, default_value = "response")]
    pub span: String,
    /// How token scores become one: `mean`, `max`, `last`, `max_rolling_mean:N`, `ema:ALPHA`. The kinds `attention` and `multimax`
    /// bring their own.
    #[arg(long, default_value = "mean")]
    pub aggregation: String,
    /// What the probe is for; rules refer to it (`truth`, `condition`, …).
    #[arg(long)]
    pub role: String,
    /// Name of the detector.
    #[arg(long)]
    pub id: String,
    /// What a high score means.
    #[arg(long, value_name = "TEXT")]
    pub positive: String,
    /// Whether scores above or below the threshold are flagged.
    #[arg(long, value_enum, default_value_t = FlagsArg::Above)]
    pub flags: FlagsArg,
    /// Share of flagged items where the probe is to serve, for its positive predictive value.
    #[arg(long, value_name = "SHARE", default_value_t = 0.001)]
    pub prevalence: f64,
    /// Trainings on permuted labels.
    #[arg(long, value_name = "N", default_value_t = 99)]
    pub permutations: usize,
    /// Seeds splits, bootstraps, permutations and trainings.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// The detector folder to write, with report.json and report.html.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// The flagged side of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FlagsArg {
    /// Scores above it.
    Above,
    /// Scores below it.
    Below,
}

pub fn run(args: &TrainProbeArgs, cli: &Cli) -> Result<()> {
    let kinds = kinds(&args.kind)?;
    if args.out.exists() {
        return Err(Fault::usage(
            "preparing the detector's folder",
            format!("`{}` is there already", args.out.display()),
        )
        .expected("a folder that does not exist yet")
        .hint("remove it first, or give another --out"));
    }
    files::writable(&args.out)?;
    let (span, aggregation) = (args.span.parse()?, args.aggregation.parse()?);
    let suites = args.suite.iter().map(|suite| Suite::open(suite));
    let suites = suites.collect::<Result<Vec<_>>>()?;
    let control = args.control.as_deref().map(Suite::open).transpose()?;
    let subject = Subject::open(
        &name_of(&args.model),
        &args.model,
        args.tokenizer.as_deref(),
    )?;
    let sites = select_sites(&subject.arch, &args.sites)?;
    let sites = match &args.layers {
        Some(layers) => of_layers(sites, layers, subject.arch.n_layers)?,
        None => sites,
    };
    let runtime = obtain(&cli.runtime)?;
    let request = ProbeRequest {
        id: args.id.clone(),
        role: args.role.clone(),
        kinds,
        sites,
        span,
        aggregation,
        positive: args.positive.clone(),
        flags_below: args.flags == FlagsArg::Below,
        suites: suites.iter().collect(),
        control: control.as_ref(),
        prevalence: args.prevalence,
        permutations: args.permutations,
        seed: args.seed,
        command: command(),
    };
    let bar = Bar::new(cli.quiet);
    let trained = train_probe(&runtime, &subject, &request, &bar)?;
    drop(bar);
    trained.write(&args.out)?;
    terminal::say(&shown::shown(&trained.report, &args.out));
    Ok(())
}

/// The kinds of these names, each once; `all` is every kind.
fn kinds(names: &[String]) -> Result<Vec<&'static ProbeKind>> {
    let mut kinds: Vec<&'static ProbeKind> = Vec::new();
    for name in names {
        let meant: Vec<&'static ProbeKind> = match name.trim() {
            "all" => PROBE_KINDS.iter().collect(),
            name => ProbeKind::named(name).into_iter().collect(),
        };
        if meant.is_empty() {
            let known: Vec<&str> = PROBE_KINDS.iter().map(|kind| kind.name).collect();
            return Err(
                Fault::usage("choosing a kind of probe", format!("`{name}`"))
                    .expected(format!("`all`, or one of {}", known.join(", "))),
            );
        }
        for kind in meant {
            if !kinds.iter().any(|known| known.name == kind.name) {
                kinds.push(kind);
            }
        }
    }
    Ok(kinds)
}
