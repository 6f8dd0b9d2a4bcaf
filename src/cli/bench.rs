//! `candor bench`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::args::{Cli, ProviderArg};
use super::terminal::{self, Bar};
use crate::bench::{Recipe, Request, Summary, certificate, markdown, page, run as try_all};
use crate::fault::{Fault, Result};
use crate::files::{prepare, write_whole};
use crate::rules::written_certificate;

/// `candor bench`
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Audit models whose answer is known, and count how often the verdict is true.
    Organisms(OrganismsArgs),
}

/// `candor bench organisms`
#[derive(Debug, Args)]
pub struct OrganismsArgs {
    /// The folder of the organisms, each with its organism.json.
    pub root: PathBuf,
    /// How detectors are trained, and the rules.
    #[arg(long, value_name = "FILE.yaml")]
    pub recipe: PathBuf,
    /// Only these families.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub family: Vec<String>,
    /// Only organisms of these seeds.
    #[arg(long, value_name = "N", num_args = 1..)]
    pub seed: Vec<u64>,
    /// Only these exports, such as fp32.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub form: Vec<String>,
    /// Cut the contrast suite to so many items; several sizes give the curve of power.
    #[arg(long, value_name = "N", num_args = 1..)]
    pub items: Vec<usize>,
    /// Runs of everything, each with its own seed of training and audit.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub repeats: u64,
    /// Trials at a time.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub jobs: usize,
    /// The folder for results; what it holds already is not made again.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

pub fn run(command: &BenchCommand, cli: &Cli) -> Result<()> {
    match command {
        BenchCommand::Organisms(args) => organisms(args, cli),
    }
}

fn organisms(args: &OrganismsArgs, cli: &Cli) -> Result<()> {
    prepare(&args.out)?;
    let recipe = Recipe::open(&args.recipe)?;
    // Fetched once, before several processes look for it.
    super::obtain(&cli.runtime)?;
    let candor = std::env::current_exe()
        .map_err(|error| Fault::failed("finding Candor's own binary", error.to_string()))?;
    let request = Request {
        root: args.root.clone(),
        recipe,
        families: args.family.clone(),
        seeds: args.seed.clone(),
        forms: args.form.clone(),
        items: args.items.clone(),
        repeats: args.repeats,
        jobs: args.jobs,
        out: args.out.clone(),
        candor,
        runtime: runtime(args, cli),
    };
    let bar = Bar::new(cli.quiet);
    let trials = try_all(&request, &bar)?;
    drop(bar);
    let summary = Summary::of(&trials);
    let failed = |error: serde_json::Error| Fault::failed("writing the results", error.to_string());
    let text = serde_json::to_string_pretty(&summary).map_err(failed)? + "\n";
    write_whole(&args.out.join("summary.json"), text.as_bytes())?;
    let shown = page(&summary, &trials)?;
    write_whole(&args.out.join("results.html"), shown.as_bytes())?;
    let today = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    let today = today.get(..10).unwrap_or_default();
    if let Some(certificate) = certificate(&request.recipe, &trials, today)? {
        let text = written_certificate(&certificate);
        write_whole(&args.out.join("certificate.yaml"), text.as_bytes())?;
    }
    let tables = markdown(&summary, &trials);
    write_whole(&args.out.join("results.md"), tables.as_bytes())?;
    terminal::say(&tables);
    Ok(())
}

/// The runtime's arguments for every command: as they were given, with the cores shared out.
fn runtime(args: &OrganismsArgs, cli: &Cli) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(file) = &cli.runtime.runtime {
        words.extend(["--runtime".to_owned(), file.display().to_string()]);
    }
    if cli.runtime.offline {
        words.push("--offline".to_owned());
    }
    if let ProviderArg::Cuda = cli.runtime.provider {
        words.extend(["--provider".to_owned(), "cuda".to_owned()]);
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = cli
        .runtime
        .threads
        .unwrap_or(cores / args.jobs.max(1))
        .max(1);
    words.extend(["--threads".to_owned(), threads.to_string()]);
    words
}
