//! `candor detectors find`

use std::path::PathBuf;

use clap::Args;

use super::describe;
use crate::cli::args::{Cli, LabelledArgs};
use crate::cli::{command, name_of, obtain, terminal};
use crate::detect::Selection;
use crate::fault::Result;
use crate::lab::{FeatureSearch, Subject, find_features};
use crate::tokens::Suite;

/// `candor detectors find`
#[derive(Debug, Args)]
pub struct FindArgs {
    /// The SAE's folder, as SAELens writes it; the card is written into it.
    pub dir: PathBuf,
    /// What is read.
    #[command(flatten)]
    pub labelled: LabelledArgs,
    /// A suite of unrelated text that the threshold is set on.
    #[arg(long, value_name = "DIR")]
    pub control: PathBuf,
    /// Tokens that are read.
    #[arg(long, default_value = "prompt_last")]
    pub span: String,
    /// What the features are for; rules refer to it.
    #[arg(long, default_value = "features")]
    pub role: String,
    /// Name of the detector.
    #[arg(long)]
    pub id: String,
    /// At most so many features.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub most: usize,
    /// Smallest AUROC that the lower bound must reach.
    #[arg(long, value_name = "X", default_value_t = 0.7)]
    pub least_auroc: f64,
    /// Seeds the bootstrap.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

pub fn run(args: &FindArgs, cli: &Cli) -> Result<()> {
    let span = args.span.parse()?;
    let (suite, control) = (
        Suite::open(&args.labelled.suite)?,
        Suite::open(&args.control)?,
    );
    let subject = Subject::open(
        &name_of(&args.labelled.model),
        &args.labelled.model,
        args.labelled.tokenizer.as_deref(),
    )?;
    let runtime = obtain(&cli.runtime)?;
    let search = FeatureSearch {
        id: args.id.clone(),
        role: args.role.clone(),
        span,
        suite: &suite,
        control: &control,
        selection: Selection {
            min_auroc: args.least_auroc,
            at_most: args.most,
            seed: args.seed,
            ..Selection::default()
        },
        command: command(),
    };
    let detector = find_features(&runtime, &subject, &args.dir, &search)?;
    detector.write_card(&args.dir)?;
    terminal::say(&describe(&detector));
    Ok(())
}
