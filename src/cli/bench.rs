//! `candor bench`

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};

use super::args::{Cli, ProviderArg};
use super::terminal::{self, Bar};
use crate::bench::{
    Heading, Lock, Recipe, Request, Summary, Trial, Tried, Verdicts, certificate, markdown, page,
    results, run as try_all, verdicts,
};
use crate::fault::{Fault, Result};
use crate::files::{prepare, write_whole};
use crate::rules::written_certificate;

const CERTIFICATE: &str = "certificate.yaml";
const VERDICTS: &str = "verdicts.csv";
const MOST_JOBS: u64 = 256;
const MOST_REPEATS: u64 = 1000;

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
    /// Cut the contrast suite to so many items, whole pairs; several sizes give the curve of power.
    #[arg(long, value_name = "N", num_args = 1..)]
    pub items: Vec<usize>,
    /// Runs of everything, each with its own seed of training and audit; shares are those of the first.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=MOST_REPEATS))]
    pub repeats: u64,
    /// Trials at a time.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = RangedU64ValueParser::<usize>::new().range(1..=MOST_JOBS))]
    pub jobs: usize,
    /// Count the trials of these other parts of the same benchmark too, made elsewhere by the same code, recipe and rules.
    #[arg(long, value_name = "trials.jsonl", num_args = 1..)]
    pub with: Vec<PathBuf>,
    /// Fail unless every verdict is the one that this verdicts.csv of another benchmark has.
    #[arg(long, value_name = "verdicts.csv")]
    pub same_as: Option<PathBuf>,
    /// The folder for results; what it holds already is not made again.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

impl OrganismsArgs {
    /// Whether nothing of the benchmark is left out.
    fn is_whole(&self) -> bool {
        self.family.is_empty()
            && self.seed.is_empty()
            && self.form.is_empty()
            && self.items.is_empty()
    }
}

pub fn run(command: &BenchCommand, cli: &Cli) -> Result<()> {
    match command {
        BenchCommand::Organisms(args) => organisms(args, cli),
    }
}

fn organisms(args: &OrganismsArgs, cli: &Cli) -> Result<()> {
    prepare(&args.out)?;
    let _lock = Lock::take(&args.out)?;
    let recipe = Recipe::open(&args.recipe)?;
    let earlier = args.same_as.as_deref().map(Verdicts::open).transpose()?;
    apart_from_results(args)?;
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
        with: args.with.clone(),
        out: args.out.clone(),
        candor,
        runtime: runtime(args, cli),
    };
    let bar = Bar::new(cli.quiet);
    let tried = try_all(&request, &bar)?;
    drop(bar);
    write(args, &request.recipe, &tried)?;
    all_ended(&tried.trials)?;
    if let Some(earlier) = earlier {
        terminal::say(&earlier.same_as(&tried.trials)?);
    }
    Ok(())
}

/// What results are compared with is not where they are written: they would be compared with themselves from then on.
fn apart_from_results(args: &OrganismsArgs) -> Result<()> {
    let Some(earlier) = &args.same_as else {
        return Ok(());
    };
    let place = |path: &Path| fs::canonicalize(path).ok();
    let own = place(&args.out.join(VERDICTS));
    if own.is_none() || own != place(earlier) {
        return Ok(());
    }
    Err(Fault::usage(
        format!("comparing with the verdicts `{}`", earlier.display()),
        "a file of `--out`, which the new verdicts replace",
    )
    .expected("a file of another benchmark")
    .hint("copy it, or name another `--out`"))
}

/// Everything that is told of trials, those that broke off too.
fn write(args: &OrganismsArgs, recipe: &Recipe, tried: &Tried) -> Result<()> {
    let trials = &tried.trials;
    let (heading, summary) = (
        Heading::of(recipe, trials, &tried.days),
        Summary::of(trials),
    );
    let put = |name: &str, text: &str| write_whole(&args.out.join(name), text.as_bytes());
    put("summary.json", &results(&heading, &summary)?)?;
    put("results.html", &page(&heading, &summary, trials)?)?;
    put(VERDICTS, &verdicts(trials))?;
    let tables = markdown(&heading, &summary, trials);
    put("results.md", &tables)?;
    terminal::say(&tables);
    match certified(args, recipe, tried)? {
        Ok(text) => put(CERTIFICATE, &text),
        Err(why) => {
            remove(&args.out.join(CERTIFICATE))?;
            terminal::say(&format!("No certificate: {why}."));
            Ok(())
        }
    }
}

/// The certificate, or why there is none: it speaks of whole benchmarks only.
fn certified(
    args: &OrganismsArgs,
    recipe: &Recipe,
    Tried { trials, days }: &Tried,
) -> Result<std::result::Result<String, &'static str>> {
    if !args.is_whole() {
        return Ok(Err(
            "--family, --seed, --form and --items leave out a part of the benchmark",
        ));
    }
    if trials.iter().any(|trial| trial.verdict.is_none()) {
        return Ok(Err("audits broke off"));
    }
    let last_day = days.last().map_or("", String::as_str);
    let certificate = certificate(recipe, trials, last_day)?;
    Ok(certificate
        .map(|certificate| written_certificate(&certificate))
        .ok_or("no planted or no harmless model was tried"))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Fault::failed(
            format!("removing `{}`, which no longer holds", path.display()),
            error.to_string(),
        )),
        _ => Ok(()),
    }
}

/// Results with trials that broke off are no success.
fn all_ended(trials: &[Trial]) -> Result<()> {
    let broken = || trials.iter().filter(|trial| trial.verdict.is_none());
    let Some(first) = broken().next() else {
        return Ok(());
    };
    Err(Fault::failed(
        "trying organisms",
        format!(
            "{} of {} audits that broke off; the first is {}: {}",
            broken().count(),
            trials.len(),
            first.name,
            first.error.as_deref().unwrap_or("no reason is known")
        ),
    )
    .expected("a verdict of each")
    .hint("the results are written; the same command tries again what broke off"))
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
