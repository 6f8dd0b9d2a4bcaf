//! `candor rules`

use super::args::{RulesCommand, SchemaOf};
use super::terminal;
use crate::fault::{Fault, Result};
use crate::report::counted;
use crate::rules::{self, Level};

pub fn run(command: &RulesCommand) -> Result<()> {
    match command {
        RulesCommand::Schema { of } => {
            let schema = match of {
                SchemaOf::Rules => rules::schema(),
                SchemaOf::Controls => rules::controls_schema(),
                SchemaOf::Certificate => rules::certificate_schema(),
            };
            let schema = serde_json::to_string_pretty(&schema)
                .map_err(|error| Fault::failed("writing the schema", error.to_string()))?;
            terminal::say(&schema);
            Ok(())
        }
        RulesCommand::Check { paths } => {
            let (pack, diagnostics) = rules::check(paths);
            if !diagnostics.is_empty() {
                terminal::note(&rules::render(&diagnostics));
            }
            let wrong = diagnostics
                .iter()
                .filter(|diagnostic| diagnostic.severity == Level::Error)
                .count();
            if wrong > 0 {
                return Err(
                    Fault::usage("checking rules", counted(wrong, "error", "errors"))
                        .expected("no error")
                        .hint(
                            "`candor rules schema` prints a JSON Schema that editors complete from",
                        ),
                );
            }
            let pack = pack.unwrap_or_default();
            let certificates = match pack.certificates.len() {
                0 => String::new(),
                1 => " and a certificate".to_owned(),
                several => format!(" and {several} certificates"),
            };
            let rules = pack.rules.len();
            terminal::say(&format!("{rules} rules{certificates}, no error"));
            Ok(())
        }
    }
}
