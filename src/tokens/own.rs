//! A suite's own file of items, one JSON object a line, read line by line.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use super::account::Head;
use super::intake::{Intake, Store};
use super::item::Item;
use crate::digest::Running;
use crate::fault::{Fault, Result};
use crate::files;

/// Takes in the items of a file, whose bytes are added to `digest`.
pub(super) fn read<S: Store>(
    path: &Path,
    doing: &str,
    intake: &mut Intake<S>,
    digest: &mut Running,
) -> Result<Head> {
    let unreadable = |error: &std::io::Error| {
        Fault::usage(doing, format!("`{}`: {error}", path.display()))
            .expected("a file of items, one JSON object a line")
    };
    files::protect(path);
    let mut file = BufReader::new(File::open(path).map_err(|error| unreadable(&error))?);
    let mut line = String::new();
    let mut number = 0_usize;
    loop {
        line.clear();
        if file
            .read_line(&mut line)
            .map_err(|error| unreadable(&error))?
            == 0
        {
            break;
        }
        number += 1;
        // Spreadsheet programs write a byte-order mark, which is not part of the first key.
        let text = match line.strip_prefix('\u{feff}') {
            Some(rest) if number == 1 => rest,
            _ => &line,
        };
        digest.add(text.as_bytes());
        let text = text.trim_end_matches(['\n', '\r']);
        if !text.trim().is_empty() {
            let doing = || format!("reading `{}`, line {number}", path.display());
            intake.take(Item::read(text, &doing)?, 0)?;
        }
    }
    Ok(Head {
        dataset: String::new(),
        file: path.to_owned(),
        rows: intake.len(),
        skipped: Vec::new(),
    })
}
