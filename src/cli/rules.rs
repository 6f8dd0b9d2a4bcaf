//! `candor rules`

use super::args::RulesCommand;
use super::terminal;
use crate::fault::{Fault, Result};
use crate::rules;

pub fn run(command: &RulesCommand) -> Result<()> {
    match command {
        RulesCommand::Schema => {
            let schema = serde_json::to_string_pretty(&rules::schema()).map_err(|error| Fault::failed("writing the schema", error.to_string()))?;
            terminal::say(&schema);
            Ok(())
        }
        RulesCommand::Check { paths } => {
            let mut checked = 0;
            let mut wrong = 0;
            for path in paths {
                let (pack, diagnostics) = rules::check(path);
                for diagnostic in &diagnostics {
                    terminal::note(&diagnostic.to_string());
                }
                wrong += diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
                checked += pack.map_or(0, |pack| pack.rules.len());
            }
            if wrong > 0 {
                return Err(Fault::usage("checking rules", format!("{wrong} errors")).expected("no error").hint("`candor rules schema` prints a JSON Schema that editors complete from"));
            }
            terminal::say(&format!("{checked} rules, no error"));
            Ok(())
        }
    }
}
