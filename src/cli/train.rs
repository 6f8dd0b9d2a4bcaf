//! `candor train`

use super::args::{Cli, FlagsArg, TrainCommand, TrainProbeArgs};
use super::terminal::Bar;
use super::{obtain, terminal};
use crate::detect::train::{PROBE_KINDS, ProbeKind};
use crate::fault::{Fault, Result};
use crate::files;
use crate::lab::{ProbeRequest, Subject, select_sites, train_probe};
use crate::tokens::Suite;

pub fn run(command: &TrainCommand, cli: &Cli) -> Result<()> {
    match command {
        TrainCommand::Probe(args) => probe(args, cli),
    }
}

fn probe(args: &TrainProbeArgs, cli: &Cli) -> Result<()> {
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
        &super::name_of(&args.labelled.model),
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
        command: super::command(),
    };
    let bar = Bar::new(cli.quiet);
    let detector = train_probe(&runtime, &subject, &request, &bar)?;
    drop(bar);
    detector.write(&args.out)?;
    terminal::say(&super::detectors::describe(&detector));
    terminal::say(&format!("→ {}", args.out.display()));
    Ok(())
}
