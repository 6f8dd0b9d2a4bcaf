//! `candor train`

mod probe;
mod sae;

use clap::Subcommand;

use super::args::Cli;
use crate::fault::Result;

/// `candor train`
#[derive(Debug, Subcommand)]
pub enum TrainCommand {
    /// A linear probe on a site's activations.
    Probe(Box<probe::TrainProbeArgs>),
    /// A sparse autoencoder of a site's activations, in SAELens's format.
    Sae(Box<sae::TrainSaeArgs>),
}

pub fn run(command: &TrainCommand, cli: &Cli) -> Result<()> {
    match command {
        TrainCommand::Probe(args) => probe::run(args, cli),
        TrainCommand::Sae(args) => sae::run(args, cli),
    }
}
