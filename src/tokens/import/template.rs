//! Texts with places for columns: `{statement}`, `{Best Answer}`, `{#}` for the row's number.

use super::table::{Cell, Row, Table};

/// A text with places for columns.
#[derive(Debug)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Column(usize),
    /// The row's number, or that of every so many rows.
    Row(usize),
    Each,
}

/// What a template comes to in one row.
#[derive(Debug, PartialEq, Eq)]
pub enum Rendered {
    Text(String),
    /// The only place holds a list.
    List(Vec<String>),
    /// This column is blank.
    Blank(usize),
}

impl Template {
    /// Reads a template. `each`: whether `{each}` stands for a part of a list.
    ///
    /// # Errors
    /// What is wrong, in words: a brace that is not closed, or a column that the table does not have.
    pub fn parse(text: &str, table: &Table, each: bool) -> Result<Self, Wrong> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{").or(from.strip_prefix("}}")) {
                plain.push_str(&from[..1]);
                rest = after;
                continue;
            }
            let inside = from.strip_prefix('{').and_then(|from| from.split_once('}'));
            let Some((name, after)) = inside else {
                return Err(Wrong::Brace);
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::named(name.trim(), table, each)?);
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { pieces })
    }

    /// The text in one row, without blanks around it.
    pub fn render(&self, row: &Row, number: usize, each: Option<&str>) -> Rendered {
        if let [Piece::Column(column)] = self.pieces.as_slice()
            && let Some(Cell::List(parts)) = row.cells.get(*column)
        {
            let parts: Vec<String> = parts.iter().filter_map(|part| filled(part)).collect();
            return if parts.is_empty() {
                Rendered::Blank(*column)
            } else {
                Rendered::List(parts)
            };
        }
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Column(column) => match row.cells.get(*column).and_then(Cell::text) {
                    Some(cell) => text.push_str(&cell),
                    None => return Rendered::Blank(*column),
                },
                Piece::Row(every) => text.push_str(&number.div_ceil(*every).to_string()),
                Piece::Each => text.push_str(each.unwrap_or_default()),
            }
        }
        Rendered::Text(text.trim().to_owned())
    }
}

impl Piece {
    fn named(name: &str, table: &Table, each: bool) -> Result<Self, Wrong> {
        if name == "#" {
            return Ok(Self::Row(1));
        }
        if let Some(every) = name.strip_prefix("#/") {
            return match every.trim().parse() {
                Ok(every) if every > 0 => Ok(Self::Row(every)),
                _ => Err(Wrong::Every(name.to_owned())),
            };
        }
        if each && name == "each" {
            return Ok(Self::Each);
        }
        table.column(name).map(Self::Column)
    }
}

/// The text without blanks around it, unless nothing is left.
pub fn filled(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// What is wrong with a template.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// `{` without `}`, or the other way round.
    Brace,
    /// `{#/N}` without a number.
    Every(String),
    /// No column of this name.
    Unknown(String),
    /// More than one column of this name.
    Ambiguous(String),
}
