//! Arguments, progress, exit codes.

mod args;
mod audit;
mod bench;
mod capture;
mod circuit;
mod detectors;
mod generate;
mod inspect;
mod keygen;
mod monitor;
mod outputs;
mod patch;
mod path;
mod prompts;
mod report;
mod rules;
mod sampling;
mod sign;
mod steer;
mod suites;
mod terminal;
mod train;
mod verify;
mod waivers;

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use self::args::{Cli, Command, ProviderArg, RuntimeArgs};
use crate::fault::Result;
use crate::interrupt;
use crate::report::Exit;
use crate::run::{Provider, Runtime, RuntimeOptions};

/// Parses the arguments, does the work and returns the exit code: 0, what an audit found (4, 11–14), or what went
/// wrong (1 failed, 2 usage, 3 no inputs).
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    trace(cli.verbose);
    if let Err(error) = ctrlc::set_handler(stop) {
        tracing::warn!("Ctrl-C will stop at once: {error}");
    }
    let ended = run(&cli).and_then(|code| terminal::all_said().map(|()| code));
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            terminal::complain(&fault);
            ExitCode::from(Exit::of_fault(&fault).code())
        }
    }
}

fn run(cli: &Cli) -> Result<u8> {
    match &cli.command {
        Command::Audit(args) => return audit::run(args, cli),
        Command::Inspect(args) => return inspect::run(args),
        Command::Capture(args) => capture::run(args, &cli.runtime)?,
        Command::Generate(args) => generate::run(args, &cli.runtime)?,
        Command::Path(args) => path::run(args, cli)?,
        Command::Circuit(args) => circuit::run(args, cli)?,
        Command::Patch(args) => patch::run(args, &cli.runtime, cli.quiet)?,
        Command::Monitor(args) => monitor::run(args, &cli.runtime)?,
        Command::Steer(args) => steer::run(args, &cli.runtime)?,
        Command::Bench(args) => bench::run(args, cli)?,
        Command::Train(args) => train::run(args, cli)?,
        Command::Rules(args) => rules::run(args)?,
        Command::Waivers(args) => waivers::run(args)?,
        Command::Suites(args) => suites::run(args)?,
        Command::Detectors(args) => return detectors::run(args, cli),
        Command::Report(args) => report::run(args)?,
        Command::Keygen(args) => keygen::run(args)?,
        Command::Verify(args) => return verify::run(args, cli),
    }
    Ok(0)
}

fn runtime_options(args: &RuntimeArgs) -> RuntimeOptions {
    RuntimeOptions {
        path: args.runtime.clone(),
        offline: args.offline,
        provider: match args.provider {
            ProviderArg::Cpu => Provider::Cpu,
            ProviderArg::Cuda => Provider::Cuda,
        },
        threads: args.threads,
    }
}

fn obtain(args: &RuntimeArgs) -> Result<Runtime> {
    Runtime::obtain(&runtime_options(args), &mut |line: &str| {
        terminal::note(line);
    })
}

/// The first Ctrl-C ends the work at the next safe point, the second one at once.
fn stop() {
    if interrupt::request() {
        std::process::exit(130);
    }
}

fn trace(verbose: u8) {
    use tracing_subscriber::fmt::format::FmtSpan;
    let level = match verbose {
        0 => "warn",
        1 => "candor=info,warn",
        _ => "candor=debug,info",
    };
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("CANDOR_LOG").unwrap_or_else(|_| level.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_timer(tracing_subscriber::fmt::time::uptime())
        .with_span_events(FmtSpan::CLOSE)
        .with_target(false)
        .init();
}

/// `organisms/liar/model.onnx` is called `liar`: exporters give every file the same name.
fn name_of(model: &Path) -> String {
    let stem = model
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let folder = model
        .parent()
        .and_then(|folder| folder.file_name())
        .map(|name| name.to_string_lossy().into_owned());
    match (stem.as_str(), folder) {
        ("model", Some(folder)) => folder,
        _ => stem,
    }
}

/// The command line, to reproduce the report; `candor` instead of wherever the binary lies, and without `--resume`: an audit that went on
/// where it was interrupted is made again by the command that began it.
fn command() -> String {
    let arguments = std::env::args().skip(1);
    std::iter::once("candor".to_owned())
        .chain(arguments.filter(|one| one != "--resume").map(|argument| {
            let plain = argument
                .chars()
                .all(|c| c.is_alphanumeric() || "-_./=:,".contains(c));
            if plain && !argument.is_empty() {
                argument
            } else {
                format!("'{}'", argument.replace('\'', r"'\''"))
            }
        }))
        .collect::<Vec<_>>()
        .join(" ")
}
