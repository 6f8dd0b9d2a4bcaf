//! Items from files of public data sets, as `sources:` in `suite.yaml` maps their columns.
//!
//! Nothing is lost in silence: a row that gives no item is counted with its reason and the lines where it stands.

mod csv;
mod fields;
mod groups;
mod jsonl;
mod rows;
mod table;
mod template;
pub(super) mod wire;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use self::fields::Filter;
use self::rows::Mapping;
use self::table::{Row, Table};
use self::wire::SourceWire;
use super::account::{Head, Skipped};
use super::item::Item;
use crate::fault::{Fault, Result};

/// Items that a suite holds at most, however many lists its rows are exploded into.
const MOST_ITEMS: usize = 5_000_000;

/// Items with the source that each came from, and what became of every row.
#[derive(Debug, Default)]
pub(super) struct Imported {
    pub items: Vec<Item>,
    pub source_of: Vec<usize>,
    pub heads: Vec<Head>,
    /// SHA-256 of each file, in order.
    pub digests: Vec<String>,
}

/// An item and the row that it was made of.
struct Draft {
    item: Item,
    source: usize,
    number: usize,
    line: u64,
}

/// Reads all sources; relative paths begin at `root`.
///
/// # Errors
/// A file cannot be read or is no such table, or a map names a column that is not there.
pub(super) fn import(sources: &[SourceWire], root: &Path, doing: &str) -> Result<Imported> {
    let mut imported = Imported::default();
    let mut drafts = Vec::new();
    for (index, wire) in sources.iter().enumerate() {
        let path = root.join(&wire.file);
        let doing = format!("{doing}, source `{}`", wire.file.display());
        let (text, bytes) = table::read(&path, &doing)?;
        imported.digests.push(crate::digest::sha256_of(&bytes));
        drop(bytes);
        let table = Table::parse(&text, wire, &doing)?;
        drop(text);
        let head = of_source(wire, path, index, table, &doing, &mut drafts)?;
        imported.heads.push(head);
        if drafts.len() > MOST_ITEMS {
            return Err(
                Fault::usage(&doing, format!("more than {MOST_ITEMS} items"))
                    .expected("a suite that fits in memory"),
            );
        }
    }
    drop_unpaired(&mut drafts, &mut imported.heads);
    imported.source_of = drafts.iter().map(|draft| draft.source).collect();
    imported.items = drafts.into_iter().map(|draft| draft.item).collect();
    groups::join(&mut imported.items);
    Ok(imported)
}

fn of_source(
    wire: &SourceWire,
    path: PathBuf,
    source: usize,
    table: Table,
    doing: &str,
    drafts: &mut Vec<Draft>,
) -> Result<Head> {
    let stem = || wire.file.file_stem().map(|stem| stem.to_string_lossy());
    let dataset = match &wire.dataset {
        Some(name) => name.clone(),
        None => stem().unwrap_or_default().into_owned(),
    };
    if table.columns.is_empty() {
        return Err(Fault::no_inputs(doing, "no row").expected("a header and at least one row"));
    }
    let mapping = Mapping::bind(wire, &dataset, &table, doing)?;
    let filters = |wires: &[wire::FilterWire]| -> Result<Vec<Filter>> {
        let bind = |wire| Filter::bind(wire, &table, doing);
        wires.iter().map(bind).collect()
    };
    let (only, skip) = (filters(&wire.only)?, filters(&wire.skip)?);
    let ragged_is_fine = wire.format() == Some(wire::FormatWire::Jsonl);
    let width = table.columns.len();
    let left_out = |row: &Row| -> Option<String> {
        // In JSONL a key that is missing is an empty cell.
        if !ragged_is_fine && row.cells.len() != width {
            return Some(format!("{} cells, not {width}", row.cells.len()));
        }
        let outside = only.iter().find(|filter| !filter.meets(row));
        let inside = skip.iter().find(|filter| filter.meets(row));
        let told = |filter: &Filter, key: &str| format!("`{}`, by `{key}`", filter.column());
        let outside = outside.map(|filter| told(filter, "only"));
        outside.or(inside.map(|filter| told(filter, "skip")))
    };
    let mut head = Head {
        dataset,
        file: path,
        rows: table.rows.len(),
        skipped: Vec::new(),
    };
    for (index, row) in table.rows.iter().enumerate() {
        let number = index + 1;
        let items = match left_out(row) {
            Some(reason) => Err(reason),
            None => mapping.items(row, number),
        };
        match items {
            Err(reason) => Skipped::count(&mut head.skipped, &reason, row.line),
            Ok(items) => drafts.extend(items.into_iter().map(|item| Draft {
                item,
                source,
                number,
                line: row.line,
            })),
        }
    }
    Ok(head)
}

/// Leaves out rows whose counterpart was left out, until every pair is whole.
fn drop_unpaired(drafts: &mut Vec<Draft>, heads: &mut [Head]) {
    loop {
        let ids: HashSet<&str> = drafts.iter().map(|draft| draft.item.id.as_str()).collect();
        let unpaired = |draft: &&Draft| {
            let pair = draft.item.pair.as_deref();
            pair.is_some_and(|pair| !ids.contains(pair))
        };
        let rows: Vec<(usize, usize, u64)> = drafts
            .iter()
            .filter(unpaired)
            .map(|draft| (draft.source, draft.number, draft.line))
            .collect();
        let lost: HashSet<(usize, usize)> = rows.iter().map(|row| (row.0, row.1)).collect();
        if lost.is_empty() {
            return;
        }
        let mut counted = HashSet::new();
        for (source, number, line) in rows {
            if let Some(head) = heads.get_mut(source)
                && counted.insert((source, number))
            {
                Skipped::count(&mut head.skipped, "its `pair` is not in the suite", line);
            }
        }
        drafts.retain(|draft| !lost.contains(&(draft.source, draft.number)));
    }
}
