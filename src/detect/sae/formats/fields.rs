//! Fields of a JSON config, with messages that name them.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::fault::{Fault, Result};

/// A JSON object and the file that it stands in.
#[derive(Debug, Clone)]
pub(in crate::detect) struct Fields {
    path: PathBuf,
    top: Map<String, Value>,
}

impl Fields {
    /// Reads a file's text. `path` is only named in messages.
    ///
    /// # Errors
    /// No JSON object.
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            Fault::usage(doing(path), error.to_string()).expected("a JSON object")
        })?;
        match value {
            Value::Object(top) => Ok(Self {
                path: path.to_owned(),
                top,
            }),
            _ => Err(Fault::usage(doing(path), "no JSON object").expected("a JSON object")),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn doing(&self) -> String {
        doing(&self.path)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.top.keys().map(String::as_str)
    }

    pub(super) fn wrong(&self, name: &str, expected: &str) -> Fault {
        let found = self.get(name).map_or_else(
            || format!("no `{name}`"),
            |value| format!("`{name}`: {value}"),
        );
        Fault::usage(self.doing(), found).expected(expected)
    }

    /// A field that is there and not null; `outer.inner` for one inside another.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let mut names = name.split('.');
        let mut value = self.top.get(names.next()?)?;
        for name in names {
            value = value.get(name)?;
        }
        Some(value).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// A name; `default` where there is none.
    pub(super) fn word<'a>(&'a self, name: &str, default: &'a str) -> Result<&'a str> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::String(word)) => Ok(word),
            Some(_) => Err(self.wrong(name, "a name")),
        }
    }

    pub(super) fn size(&self, name: &str) -> Result<usize> {
        self.whole(name)?
            .filter(|size| *size > 0)
            .ok_or_else(|| self.wrong(name, "a positive whole number"))
    }

    /// A whole number from 0, if there is one.
    pub(super) fn whole(&self, name: &str) -> Result<Option<usize>> {
        self.get(name).map_or(Ok(None), |value| {
            let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
            size.map(Some)
                .ok_or_else(|| self.wrong(name, "a positive whole number"))
        })
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    /// A finite number that is not negative, if there is one.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "weights are computed with in single precision"
    )]
    pub(super) fn number(&self, name: &str) -> Result<Option<f32>> {
        self.get(name).map_or(Ok(None), |value| {
            let number = value.as_f64().map(|number| number as f32);
            number
                .filter(|number| number.is_finite() && *number >= 0.0)
                .map(Some)
                .ok_or_else(|| self.wrong(name, "a finite number from 0"))
        })
    }

    /// A finite number above 0.
    pub(super) fn positive(&self, name: &str) -> Result<f32> {
        self.number(name)?
            .filter(|number| *number > 0.0)
            .ok_or_else(|| self.wrong(name, "a positive number"))
    }

    /// These fields as they are, for the metadata of what is written.
    pub(super) fn some(&self, names: &[(&str, &str)]) -> Map<String, Value> {
        let found = names
            .iter()
            .filter_map(|(from, to)| Some(((*to).to_owned(), self.get(from)?.clone())));
        found.collect()
    }
}

fn doing(path: &Path) -> String {
    format!("reading the SAE's config `{}`", path.display())
}
