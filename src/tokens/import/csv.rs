//! CSV and TSV as spreadsheets and pandas write them.

use super::table::{Cell, Row, Table};
use crate::fault::{Fault, Result};

/// Stands behind the last row: it is read as a row of its own unless a quotation swallows it.
const END: &str = "\u{1}candor-end\u{1}";

/// Rows of any length; a header without a name is called by its place, `column 1`.
pub fn parse(text: &str, delimiter: u8, header: bool, doing: &str) -> Result<Table> {
    let closed = format!("{text}\n{END}\n");
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(closed.as_bytes());
    let mut table = Table::default();
    let (mut record, mut last) = (csv::StringRecord::new(), 1);
    let mut ended = false;
    while reader
        .read_record(&mut record)
        .map_err(|error| Fault::usage(doing, error.to_string()).expected("rows of CSV"))?
    {
        let line = record
            .position()
            .map_or(0, |position| line_of(&closed, position));
        if record.len() == 1 && record.get(0) == Some(END) {
            ended = true;
            break;
        }
        last = line;
        let cells: Vec<&str> = record.iter().collect();
        if table.columns.is_empty() {
            table.columns = columns(&cells, header);
            if header {
                continue;
            }
        }
        let cells = cells.into_iter().map(|cell| Cell::Text(cell.to_owned()));
        table.rows.push(Row {
            line,
            cells: cells.collect(),
        });
    }
    if !ended {
        return Err(Fault::usage(
            doing,
            format!("a quotation mark in the row at line {last} that is not closed"),
        )
        .expected("every quoted cell closed, and quotation marks inside doubled"));
    }
    Ok(table)
}

fn columns(first: &[&str], header: bool) -> Vec<String> {
    let named = |(index, name): (usize, &&str)| {
        let name = name.trim();
        if header && !name.is_empty() {
            name.to_owned()
        } else {
            format!("column {}", index + 1)
        }
    };
    first.iter().enumerate().map(named).collect()
}

/// The line in which a record begins: blank lines before it are read as its beginning.
fn line_of(text: &str, position: &csv::Position) -> u64 {
    let from = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = text.as_bytes().get(from..).unwrap_or_default().iter();
    let blank = rest.take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + blank.filter(|byte| **byte == b'\n').count() as u64
}
