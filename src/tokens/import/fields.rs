//! What an item is made of, bound to the columns of one table.

use super::table::{Row, Table};
use super::template::{Rendered, Template, Wrong, filled};
use super::wire::{FieldWire, FilterWire, MapWire, Pairs};
use crate::fault::{Fault, Result};

/// Why a row gives no item.
pub type Reason = String;

/// Characters of a cell that a reason shows.
const SHOWN: usize = 40;

/// One part of an item.
#[derive(Debug)]
pub struct Field {
    name: &'static str,
    template: Template,
    split: Option<String>,
    part: usize,
    values: Option<Pairs>,
    columns: Vec<String>,
}

impl Field {
    /// Binds a field to the columns.
    ///
    /// # Errors
    /// A template that is malformed, an unknown column, or an empty `split`.
    pub fn bind(
        name: &'static str,
        wire: &FieldWire,
        table: &Table,
        each: bool,
        doing: &str,
    ) -> Result<Self> {
        let template = Template::parse(&wire.from, table, each)
            .map_err(|wrong| refused(&wrong, &format!("{name}: {:?}", wire.from), table, doing))?;
        if wire.split.as_deref().is_some_and(str::is_empty) {
            return Err(
                Fault::usage(doing, format!("`{name}` with an empty `split`"))
                    .expected("the text between two parts, such as \";\""),
            );
        }
        if wire.part == Some(0) || (wire.part.is_some() && wire.split.is_none()) {
            return Err(Fault::usage(
                doing,
                format!("`{name}` with `part: 0`, or without `split`"),
            )
            .expected("`part` from 1 on, beside `split`"));
        }
        Ok(Self {
            name,
            template,
            split: wire.split.clone(),
            part: wire.part.unwrap_or(1),
            values: wire.values.clone(),
            columns: table.columns.clone(),
        })
    }

    /// All parts of what the field holds in this row; empty where a column is blank.
    pub fn list(
        &self,
        row: &Row,
        number: usize,
        each: Option<&str>,
    ) -> std::result::Result<Vec<String>, Reason> {
        let whole = match self.template.render(row, number, each) {
            Rendered::Blank(_) => return Ok(Vec::new()),
            Rendered::List(parts) => parts,
            Rendered::Text(text) => vec![text],
        };
        let parts = whole.iter().flat_map(|text| match &self.split {
            Some(sign) => text.split(sign.as_str()).filter_map(filled).collect(),
            None => Vec::from_iter(filled(text)),
        });
        parts.map(|part| self.meaning(&part)).collect()
    }

    /// One text, or nothing where a column is blank.
    pub fn optional(
        &self,
        row: &Row,
        number: usize,
        each: Option<&str>,
    ) -> std::result::Result<Option<String>, Reason> {
        let parts = self.list(row, number, each)?;
        if self.split.is_some() {
            return Ok(parts.into_iter().nth(self.part - 1));
        }
        Ok(Some(parts.join("; ")).filter(|text| !text.is_empty()))
    }

    /// One text, which has to be there.
    pub fn needed(
        &self,
        row: &Row,
        number: usize,
        each: Option<&str>,
    ) -> std::result::Result<String, Reason> {
        if let Rendered::Blank(column) = self.template.render(row, number, each) {
            let column = self.columns.get(column).map_or("?", String::as_str);
            return Err(format!("`{column}` is empty"));
        }
        self.optional(row, number, each)?
            .ok_or_else(|| format!("`{}` is empty", self.name))
    }

    fn meaning(&self, text: &str) -> std::result::Result<String, Reason> {
        let Some(Pairs(values)) = &self.values else {
            return Ok(text.to_owned());
        };
        let exact = values.iter().find(|(key, _)| key == text);
        let near = || values.iter().find(|(key, _)| normal(key) == normal(text));
        match exact.or_else(near) {
            Some((_, meaning)) => Ok(meaning.clone()),
            None => Err(format!(
                "{} {:?} is not in `values`",
                self.name,
                shown(text)
            )),
        }
    }
}

/// `1`, `1.0` and `01` are one number; `True` and `true` are one truth value.
pub fn normal(text: &str) -> String {
    let text = text.trim();
    match text.parse::<f64>() {
        // A zero has no sign.
        Ok(number) if number.is_finite() => (number + 0.0).to_string(),
        _ if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") => {
            text.to_ascii_lowercase()
        }
        _ => text.to_owned(),
    }
}

/// The beginning of a text.
pub fn shown(text: &str) -> String {
    let mut start: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        start.push('…');
    }
    start
}

/// A wrong template as an error that lists the columns.
pub fn refused(wrong: &Wrong, place: &str, table: &Table, doing: &str) -> Fault {
    let all = table.columns.join(", ");
    match wrong {
        Wrong::Brace => Fault::usage(doing, format!("{place}: a brace that stands alone"))
            .expected("columns as `{name}`, and `{{` or `}}` for the braces themselves"),
        Wrong::Every(name) => Fault::usage(doing, format!("{place}: `{{{name}}}`"))
            .expected("`{#}` for the row's number, `{#/2}` for that of every two rows"),
        Wrong::Ambiguous(name) => {
            Fault::usage(doing, format!("{place}: more than one column `{name}`"))
                .expected("column names that differ")
        }
        Wrong::Unknown(name) => {
            let allowed = (name.chars().count() / 3).max(1);
            let close = table
                .columns
                .iter()
                .map(|column| {
                    (
                        strsim::damerau_levenshtein(&name.to_lowercase(), &column.to_lowercase()),
                        column,
                    )
                })
                .filter(|(distance, _)| *distance <= allowed)
                .min_by_key(|(distance, _)| *distance);
            let fault = Fault::usage(doing, format!("{place}: no column `{name}`"))
                .expected(format!("one of the columns: {all}"));
            match close {
                Some((_, column)) => fault.hint(format!("did you mean `{column}`?")),
                None => fault,
            }
        }
    }
}

/// Rows that a filter speaks of.
#[derive(Debug)]
pub struct Filter {
    column: usize,
    name: String,
    values: Vec<String>,
}

impl Filter {
    /// Binds a filter to its column.
    ///
    /// # Errors
    /// No such column.
    pub fn bind(wire: &FilterWire, table: &Table, doing: &str) -> Result<Self> {
        let column = table
            .column(&wire.column)
            .map_err(|wrong| refused(&wrong, "a filter", table, doing))?;
        Ok(Self {
            column,
            name: wire.column.clone(),
            values: wire.values.iter().map(|value| normal(&value.0)).collect(),
        })
    }

    /// Whether the cell is one of the values.
    pub fn meets(&self, row: &Row) -> bool {
        let cell = row
            .cells
            .get(self.column)
            .and_then(super::table::Cell::text);
        self.values.contains(&normal(&cell.unwrap_or_default()))
    }

    /// The column.
    pub fn column(&self) -> &str {
        &self.name
    }
}

/// The fields of an entry of `explode`, and for what it leaves open those of the source.
pub fn over(base: &MapWire, own: &MapWire) -> MapWire {
    macro_rules! either {
        ($($field:ident),*) => { MapWire { $($field: own.$field.clone().or_else(|| base.$field.clone()),)* } };
    }
    let mut whole = either!(
        each, id, prompt, messages, response, label, group, template, condition, polarity, answer,
        accept, foil, pair
    );
    // One of the two is what the model is given.
    if own.prompt.is_some() {
        whole.messages.clone_from(&own.messages);
    } else if own.messages.is_some() {
        whole.prompt = None;
    }
    whole
}
