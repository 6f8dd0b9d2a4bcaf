//! `candor suites`

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use serde_json::json;

use super::terminal;
use crate::fault::{Fault, Result};
use crate::report::counted;
use crate::tokens::{Source, Suite, suite_schema};

/// `candor suites`
#[derive(Debug, Subcommand)]
pub enum SuitesCommand {
    /// Read suites and show for every source: rows, items, what was left out and why, labels, groups, repetitions.
    Check {
        /// Suite folders, or suite.yaml files.
        #[arg(required = true, value_name = "DIR")]
        paths: Vec<PathBuf>,
        /// How to show it.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Print the JSON Schema of suite.yaml.
    Schema,
}

/// Renderings of `suites check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

pub fn run(command: &SuitesCommand) -> Result<()> {
    match command {
        SuitesCommand::Schema => print(&suite_schema()),
        SuitesCommand::Check { paths, format } => {
            let suites = paths
                .iter()
                .map(|path| Suite::open(path))
                .collect::<Result<Vec<_>>>()?;
            match format {
                Format::Json => print(&suites.iter().map(as_json).collect()),
                Format::Text => {
                    let shown: Vec<String> = suites.iter().map(as_text).collect();
                    terminal::say(&shown.join("\n\n"));
                    Ok(())
                }
            }
        }
    }
}

fn print(value: &serde_json::Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Fault::failed("writing JSON", error.to_string()))?;
    terminal::say(&text);
    Ok(())
}

fn as_json(suite: &Suite) -> serde_json::Value {
    json!({
        "id": suite.id,
        "title": suite.title,
        "purpose": suite.purpose.name(),
        "path": suite.path,
        "digest": suite.digest,
        "items": suite.items.len(),
        "groups": suite.groups(),
        "sources": suite.sources,
    })
}

/// A table of the sources, then what was left out and what stands there twice.
fn as_text(suite: &Suite) -> String {
    let mut lines = vec![
        format!(
            "{} · {} · {} in {} · sha256 {}",
            suite.id,
            suite.purpose.name(),
            counted(suite.items.len(), "item", "items"),
            counted(suite.groups(), "group", "groups"),
            suite.digest.get(..12).unwrap_or_default()
        ),
        table(suite),
    ];
    for source in &suite.sources {
        let told = source.skipped.iter();
        lines.extend(told.map(|skipped| format!("  {}: {skipped}", source.dataset)));
    }
    let sum = |of: fn(&Source) -> usize| suite.sources.iter().map(of).sum::<usize>();
    let repeated = sum(|source| source.repeated.within + source.repeated.across);
    if repeated > 0 {
        let contradicting = sum(|source| source.repeated.contradicting);
        lines.push(format!(
            "  {} in an earlier item too{}{}",
            match repeated {
                1 => "1 item whose text stands".to_owned(),
                _ => format!("{repeated} items whose text stands"),
            },
            if suite.sources.iter().all(|source| source.dataset.is_empty()) {
                ""
            } else {
                ": they share its group"
            },
            match contradicting {
                0 => String::new(),
                _ => format!("; {contradicting} of them with another label"),
            }
        ));
    }
    lines.join("\n")
}

fn table(suite: &Suite) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "  source", "rows", "left out", "items", "label 1", "label 0", "no label", "groups",
        "repeated", "longest",
    ]);
    for source in &suite.sources {
        let name = if source.dataset.is_empty() {
            source
                .file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
        } else {
            source.dataset.as_str().into()
        };
        let longest = source.longest.as_ref();
        let mut row = vec![Cell::new(format!("  {name}"))];
        row.extend(
            [
                source.rows,
                source.left_out(),
                source.items,
                source.labels.one,
                source.labels.zero,
                source.labels.none,
                source.groups,
                source.repeated.within + source.repeated.across,
            ]
            .map(|count| match count {
                0 => Cell::new("–"),
                _ => Cell::new(count),
            }),
        );
        row.push(Cell::new(longest.map_or_else(
            || "–".to_owned(),
            |longest| format!("{} characters, {}", longest.characters, longest.id),
        )));
        table.add_row(row);
    }
    for index in 1..9 {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}
