//! A file of rows, whatever its format: columns, and cells as text.

use std::path::Path;

use super::template::{Wrong, filled};
use super::wire::{FormatWire, SourceWire};
use super::{csv, jsonl};
use crate::fault::{Fault, Result};
use crate::files;

/// A suite lies in memory as a whole; a file beyond this is refused.
const LARGEST: u64 = 256 << 20;

/// Columns and rows of a file.
#[derive(Debug, Default)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

/// One row, with the line of the file that it begins in.
#[derive(Debug, Default)]
pub struct Row {
    pub line: u64,
    pub cells: Vec<Cell>,
}

/// What stands in one column of one row.
#[derive(Debug, PartialEq, Eq)]
pub enum Cell {
    Text(String),
    List(Vec<String>),
}

impl Cell {
    /// The cell as one text, lists joined by `; `; `None` where there is nothing but blanks.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => filled(text).map(|_| text.clone()),
            Self::List(parts) => filled(&parts.join("; ")),
        }
    }
}

impl Table {
    /// Reads the text of a file by the format that is stated, or that its name ends in.
    pub fn parse(text: &str, wire: &SourceWire, doing: &str) -> Result<Self> {
        let format = wire.format().ok_or_else(|| {
            Fault::usage(doing, "a file name that does not tell its format")
                .expected("a name that ends in .csv, .tsv or .jsonl, or the key `format`")
        })?;
        let delimiter = match (format, wire.delimiter) {
            (FormatWire::Jsonl, None) => {
                if !wire.header {
                    return Err(Fault::usage(doing, "`header: false` for JSONL")
                        .expected("`header` for CSV and TSV only"));
                }
                return jsonl::parse(text, doing);
            }
            (FormatWire::Jsonl, Some(_)) => {
                return Err(Fault::usage(doing, "a `delimiter` for JSONL")
                    .expected("`delimiter` for CSV and TSV only"));
            }
            (FormatWire::Csv, None) => b',',
            (FormatWire::Tsv, None) => b'\t',
            (_, Some(sign)) => u8::try_from(sign)
                .ok()
                .filter(|sign| sign.is_ascii() && !b"\"\r\n\0".contains(sign))
                .ok_or_else(|| {
                    Fault::usage(doing, format!("the delimiter {sign:?}"))
                        .expected("one ASCII character, such as \";\"")
                })?,
        };
        csv::parse(text, delimiter, wire.header, doing)
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> std::result::Result<usize, Wrong> {
        let mut found = self.columns.iter().enumerate();
        let mut found = found.by_ref().filter(|(_, column)| *column == name);
        match (found.next(), found.next()) {
            (Some((index, _)), None) => Ok(index),
            (None, _) => Err(Wrong::Unknown(name.to_owned())),
            (Some(_), Some(_)) => Err(Wrong::Ambiguous(name.to_owned())),
        }
    }
}

/// The text of a file without its byte-order mark, and the bytes as they lie there.
pub fn read(path: &Path, doing: &str) -> Result<(String, Vec<u8>)> {
    let unreadable = |found: String| {
        Fault::usage(doing, format!("`{}`: {found}", path.display()))
            .expected("a file of rows: CSV, TSV or JSONL")
            .hint("a relative path begins at `root`, or else at the suite's folder")
    };
    let meta = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if !meta.is_file() {
        return Err(unreadable("not a file".to_owned()));
    }
    if meta.len() > LARGEST {
        return Err(Fault::usage(
            doing,
            format!("`{}`: {} MiB", path.display(), meta.len() >> 20),
        )
        .expected(format!("at most {} MiB", LARGEST >> 20))
        .hint("a suite lies in memory as a whole: take a sample of the rows"));
    }
    files::protect(path);
    let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        Err(error) => return Err(foreign(path, &bytes, error.valid_up_to(), doing)),
    };
    Ok((text, bytes))
}

/// Another encoding than UTF-8, with the line where that shows.
fn foreign(path: &Path, bytes: &[u8], at: usize, doing: &str) -> Fault {
    let utf16 = matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
    let before = bytes.get(..at).unwrap_or_default();
    let line = before.split(|byte| *byte == b'\n').count();
    let found = if utf16 {
        format!("`{}`: UTF-16", path.display())
    } else {
        let byte = bytes.get(at).copied().unwrap_or_default();
        format!(
            "`{}`, line {line}: the byte 0x{byte:02x}, which is not UTF-8",
            path.display()
        )
    };
    let encoding = if utf16 { "UTF-16" } else { "WINDOWS-1252" };
    Fault::usage(doing, found)
        .expected("UTF-8, with or without a byte-order mark")
        .hint(format!(
            "convert it first, such as by `iconv -f {encoding} -t UTF-8`"
        ))
}
