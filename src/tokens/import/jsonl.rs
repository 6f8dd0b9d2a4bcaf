//! JSON objects, one a line; objects inside are columns of their own (`meta.source`).

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::table::{Cell, Row, Table};
use crate::fault::{Fault, Result};

/// Bounds what a row takes: each is as wide as the last of its keys.
const MOST_KEYS: usize = 1024;

/// Columns are the keys of all lines, in the order in which they are met.
pub fn parse(text: &str, doing: &str) -> Result<Table> {
    let mut table = Table::default();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| {
            let found = error
                .to_string()
                .replace(" at line 1 column ", " at column ");
            let fault = Fault::usage(doing, format!("line {}: {found}", index + 1))
                .expected("one JSON object a line");
            if line.trim_start().starts_with('[') {
                fault.hint("a list of objects becomes lines by `jq -c '.[]'`")
            } else {
                fault
            }
        })?;
        let mut row = Row {
            line: index as u64 + 1,
            cells: Vec::new(),
        };
        let mut put = |name: String, cell: Cell| {
            let next = places.len();
            let place = *places.entry(name.clone()).or_insert_with(|| {
                table.columns.push(name);
                next
            });
            while row.cells.len() <= place {
                row.cells.push(Cell::Text(String::new()));
            }
            if let Some(slot) = row.cells.get_mut(place) {
                *slot = cell;
            }
        };
        flatten("", object, &mut put);
        if table.columns.len() > MOST_KEYS {
            return Err(Fault::usage(
                doing,
                format!("line {}: more than {MOST_KEYS} different keys", index + 1),
            )
            .expected("rows that share their keys"));
        }
        table.rows.push(row);
    }
    Ok(table)
}

fn flatten(prefix: &str, object: Map<String, Value>, put: &mut impl FnMut(String, Cell)) {
    for (key, value) in object {
        let name = if prefix.is_empty() {
            key
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Object(inside) => flatten(&name, inside, put),
            Value::Array(parts) => put(name, Cell::List(parts.into_iter().map(scalar).collect())),
            other => put(name, Cell::Text(scalar(other))),
        }
    }
}

fn scalar(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
