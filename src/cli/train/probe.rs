//! `candor train probe`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::args::{Cli, LabelledArgs};
use crate::cli::terminal::Bar;
use crate::cli::{command, detectors, name_of, obtain, terminal};
use crate::detect::train::{PROBE_KINDS, ProbeKind};
use crate::fault::{Fault, Result};
use crate::files;
use crate::lab::{ProbeRequest, Subject, select_sites, train_probe};
use crate::tokens::Suite;

/// `candor train probe`
#[derive(Debug, Args)]
pub struct TrainProbeArgs {
    /// What is read.
    #[command(flatten)]
    pub labelled: LabelledArgs,
    /// A suite of unrelated text that the threshold is set on (default: the held-out items of the unflagged label).
    #[arg(long, value_name = "DIR")]
    pub control: Option<PathBuf>,
    /// Kind of probe: `logistic_regression`, `difference_of_means`, ….
    #[arg(long, default_value = "logistic_regression")]
    pub kind: String,
    /// Candidate sites, by name or glob; the earliest that is as good as the best is taken.
    #[arg(long, value_name = "GLOB", num_args = 1.., default_values_t = [String::from("blocks.*.hook_resid_post")])]
    pub sites: Vec<String>,
    /// Tokens that are read: `prompt_last`, `response`, `response_last`, `all`.
    #[arg(long, default_value = "response")]
    pub span: String,
    /// How token scores become one: `mean`, `max`, `last`.
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
    /// Seeds the grouped split.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// The detector folder to write.
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
    let kind = ProbeKind::named(&args.kind).ok_or_else(|| {
        let names: Vec<&str> = PROBE_KINDS.iter().map(|kind| kind.name).collect();
        Fault::usage("choosing a kind of probe", format!("`{}`", args.kind))
            .expected(format!("one of {}", names.join(", ")))
    })?;
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
    let suite = Suite::open(&args.labelled.suite)?;
    let control = args.control.as_deref().map(Suite::open).transpose()?;
    let subject = Subject::open(
        &name_of(&args.labelled.model),
        &args.labelled.model,
        args.labelled.tokenizer.as_deref(),
    )?;
    let sites = select_sites(&subject.arch, &args.sites)?;
    let runtime = obtain(&cli.runtime)?;
    let request = ProbeRequest {
        id: args.id.clone(),
        role: args.role.clone(),
        kind,
        sites,
        span,
        aggregation,
        positive: args.positive.clone(),
        flags_below: args.flags == FlagsArg::Below,
        suite: &suite,
        control: control.as_ref(),
        seed: args.seed,
        command: command(),
    };
    let bar = Bar::new(cli.quiet);
    let detector = train_probe(&runtime, &subject, &request, &bar)?;
    drop(bar);
    detector.write(&args.out)?;
    terminal::say(&detectors::describe(&detector));
    terminal::say(&format!("→ {}", args.out.display()));
    Ok(())
}
