//! `candor train`

mod probe;

use clap::Subcommand;

use super::args::Cli;
use crate::fault::Result;

/// `candor train`
#[derive(Debug, Subcommand)]
pub enum TrainCommand {
    /// A linear probe on a site's activations.
    Probe(probe::TrainProbeArgs),
}

pub fn run(command: &TrainCommand, cli: &Cli) -> Result<()> {
    match command {
        TrainCommand::Probe(args) => probe::run(args, cli),
    }
}
