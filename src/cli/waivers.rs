//! `candor waivers`

use std::path::PathBuf;

use clap::Subcommand;

use super::terminal;
use crate::audit;
use crate::fault::{Fault, Result};
use crate::report::counted;
use crate::rules::{self, Day, Level};

/// `candor waivers`
#[derive(Debug, Subcommand)]
pub enum WaiversCommand {
    /// Report everything that is wrong in waiver files, with file, line and column, and which waivers are over.
    Check {
        /// Waiver files or folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Print the JSON Schema of waiver files.
    Schema,
}

pub fn run(command: &WaiversCommand) -> Result<()> {
    match command {
        WaiversCommand::Schema => {
            let schema = serde_json::to_string_pretty(&rules::waivers_schema())
                .map_err(|error| Fault::failed("writing the schema", error.to_string()))?;
            terminal::say(&schema);
            Ok(())
        }
        WaiversCommand::Check { paths } => check(paths),
    }
}

fn check(paths: &[PathBuf]) -> Result<()> {
    let (read, found) = rules::check_waivers(paths);
    if !found.is_empty() {
        terminal::note(&rules::render(&found));
    }
    let Some(read) = read else {
        let wrong = found.iter().filter(|one| one.severity == Level::Error);
        let wrong = counted(wrong.count(), "error", "errors");
        return Err(Fault::usage("checking waivers", wrong)
            .expected("no error")
            .hint("`candor waivers schema` prints a JSON Schema that editors complete from"));
    };
    let today = Day::of_time(&audit::now());
    for waiver in &read.waivers {
        if today.is_some_and(|today| today > waiver.expires) {
            terminal::note(&format!(
                "{}:{}: the waiver of `{}` expired on {}: its findings are live again",
                waiver.file.display(),
                waiver.line,
                waiver.rule,
                waiver.expires
            ));
        }
    }
    let waivers = counted(read.waivers.len(), "waiver", "waivers");
    terminal::say(&format!("{waivers}, no error"));
    Ok(())
}
