//! Columns as Parquet and back. The only file that names `polars`.

use std::fs::File;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use polars::prelude::{
    Column, DataFrame, ParallelStrategy, ParquetReader, ParquetWriter, PolarsResult, SerReader as _,
};

use crate::fault::{Fault, Result};

/// A table in the making: columns of equal length.
pub(super) struct Table {
    rows: usize,
    columns: Vec<Column>,
}

impl Table {
    pub fn new(rows: usize) -> Self {
        Self {
            rows,
            columns: Vec::new(),
        }
    }

    pub fn text<'a>(self, name: &str, values: impl Iterator<Item = &'a str>) -> Self {
        let values: Vec<&str> = values.collect();
        self.with(Column::new(name.into(), values))
    }

    pub fn maybe_text<'a>(self, name: &str, values: impl Iterator<Item = Option<&'a str>>) -> Self {
        let values: Vec<Option<&str>> = values.collect();
        self.with(Column::new(name.into(), values))
    }

    pub fn real(self, name: &str, values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.collect();
        self.with(Column::new(name.into(), values))
    }

    pub fn single(self, name: &str, values: impl Iterator<Item = f32>) -> Self {
        let values: Vec<f32> = values.collect();
        self.with(Column::new(name.into(), values))
    }

    pub fn count(self, name: &str, values: impl Iterator<Item = usize>) -> Self {
        let values: Vec<u64> = values.map(|value| value as u64).collect();
        self.with(Column::new(name.into(), values))
    }

    pub fn maybe_count(self, name: &str, values: impl Iterator<Item = Option<usize>>) -> Self {
        let values: Vec<Option<u64>> = values.map(|value| Some(value? as u64)).collect();
        self.with(Column::new(name.into(), values))
    }

    pub fn flag(self, name: &str, values: impl Iterator<Item = bool>) -> Self {
        let values: Vec<bool> = values.collect();
        self.with(Column::new(name.into(), values))
    }

    fn with(mut self, column: Column) -> Self {
        self.columns.push(column);
        self
    }

    /// The table as a Parquet file. The same rows give the same bytes.
    pub fn bytes(self) -> Result<Vec<u8>> {
        let doing = "laying out evidence as Parquet";
        let mut frame = DataFrame::new(self.rows, self.columns)
            .map_err(|error| Fault::failed(doing, error.to_string()))?;
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes)
            .set_parallel(false)
            .finish(&mut frame)
            .map_err(|error| Fault::failed(doing, error.to_string()))?;
        Ok(bytes)
    }
}

/// A table that was read back.
pub(super) struct Columns {
    frame: DataFrame,
    file: String,
}

impl Columns {
    /// Reads the named columns of a Parquet file.
    pub fn read(file: &str, bytes: Vec<u8>, wanted: &[&str]) -> Result<Self> {
        let broken = |found: String| {
            Fault::usage(format!("reading the evidence `{file}`"), found)
                .expected("a table that `candor audit` wrote")
                .hint("`candor verify` names every file that was changed")
        };
        let wanted = wanted.iter().map(|&name| name.to_owned()).collect();
        // The decoder asserts what it believes of a file, and this one may come from a stranger.
        let read = catch_unwind(AssertUnwindSafe(|| frame(bytes, Some(wanted))));
        match read {
            Ok(Ok(frame)) => Ok(Self {
                frame,
                file: file.to_owned(),
            }),
            Ok(Err(error)) => Err(broken(error.to_string())),
            Err(_) => Err(broken("no Parquet that can be read".to_owned())),
        }
    }

    pub fn rows(&self) -> usize {
        self.frame.height()
    }

    pub fn texts(&self, name: &str) -> Result<Vec<Option<String>>> {
        let column = self.column(name)?;
        let texts = column.str().map_err(|error| self.wrong(name, &error))?;
        Ok(texts.iter().map(|text| text.map(str::to_owned)).collect())
    }

    pub fn reals(&self, name: &str) -> Result<Vec<Option<f64>>> {
        let column = self.column(name)?;
        let values = column.f64().map_err(|error| self.wrong(name, &error))?;
        Ok(values.iter().collect())
    }

    pub fn singles(&self, name: &str) -> Result<Vec<Option<f32>>> {
        let column = self.column(name)?;
        let values = column.f32().map_err(|error| self.wrong(name, &error))?;
        Ok(values.iter().collect())
    }

    pub fn counts(&self, name: &str) -> Result<Vec<Option<usize>>> {
        let column = self.column(name)?;
        let values = column.u64().map_err(|error| self.wrong(name, &error))?;
        let counts = values.iter().map(|value| match value {
            Some(value) => usize::try_from(value).map(Some),
            None => Ok(None),
        });
        counts
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| self.wrong(name, &error))
    }

    pub fn flags(&self, name: &str) -> Result<Vec<Option<bool>>> {
        let column = self.column(name)?;
        let values = column.bool().map_err(|error| self.wrong(name, &error))?;
        Ok(values.iter().collect())
    }

    /// A column without gaps.
    pub fn all<T>(&self, name: &str, values: Vec<Option<T>>) -> Result<Vec<T>> {
        let values: Option<Vec<T>> = values.into_iter().collect();
        values.ok_or_else(|| self.wrong(name, &"an empty cell"))
    }

    /// A fault about one column.
    pub fn wrong(&self, name: &str, found: &dyn std::fmt::Display) -> Fault {
        Fault::usage(
            format!(
                "reading the column `{name}` of the evidence `{}`",
                self.file
            ),
            found.to_string(),
        )
        .expected("a table that `candor audit` wrote")
        .hint("`candor verify` names every file that was changed")
    }

    fn column(&self, name: &str) -> Result<&Column> {
        let column = self.frame.column(name);
        column.map_err(|error| self.wrong(name, &error))
    }
}

/// Parts are small: threads would cost more than they save, and each would keep memory of its own.
fn frame(bytes: Vec<u8>, columns: Option<Vec<String>>) -> PolarsResult<DataFrame> {
    ParquetReader::new(Cursor::new(bytes))
        .with_columns(columns)
        .read_parallel(ParallelStrategy::None)
        .finish()
}

/// Writes tables of the same columns as one, a row group for each, so that one at a time is in memory.
pub(super) fn join(parts: &mut dyn Iterator<Item = Result<Vec<u8>>>, out: &mut File) -> Result<()> {
    let doing = "putting evidence tables together";
    let failed = |error: polars::prelude::PolarsError| Fault::failed(doing, error.to_string());
    let mut writer = None;
    for bytes in parts {
        let frame = frame(bytes?, None).map_err(failed)?;
        if writer.is_none() {
            let out = out
                .try_clone()
                .map_err(|error| Fault::failed(doing, error.to_string()))?;
            let begun = ParquetWriter::new(out).batched(frame.schema());
            writer = Some(begun.map_err(failed)?);
        }
        if let Some(writer) = &mut writer {
            writer.write_batch(&frame).map_err(failed)?;
        }
    }
    match writer {
        Some(writer) => writer.finish().map(drop).map_err(failed),
        None => Ok(()),
    }
}
