//! Rows that wait until a batch is worth a run.

use super::measure::{Metric, Question};
use super::row::{Row, Runs};
use crate::fault::Result;

/// Sees the index of a row's question, what the row is, and its metric.
pub(super) type See<'s, T> = dyn FnMut(usize, T, f64) + 's;

/// Rows with their questions, run together whatever pair they belong to.
pub(super) struct Queue<'q, T> {
    runs: &'q dyn Runs,
    metric: &'q Metric<'q>,
    questions: &'q [Question],
    rows: Vec<Row<'q>>,
    tags: Vec<(usize, T)>,
    floats: usize,
    most: usize,
    done: &'q dyn Fn(usize),
}

impl<'q, T: Copy> Queue<'q, T> {
    /// `budget` is what waiting rows may hold, in bytes; `done` hears of each row that has run.
    pub fn new(
        runs: &'q dyn Runs,
        metric: &'q Metric<'q>,
        questions: &'q [Question],
        budget: usize,
        done: &'q dyn Fn(usize),
    ) -> Self {
        Self {
            runs,
            metric,
            questions,
            rows: Vec::new(),
            tags: Vec::new(),
            floats: 0,
            most: budget / size_of::<f32>(),
            done,
        }
    }

    /// Adds a row that answers one of the questions, and runs all if they have become many.
    pub fn push(
        &mut self,
        question: usize,
        tag: T,
        row: Row<'q>,
        see: &mut See<'_, T>,
    ) -> Result<()> {
        self.floats += row.floats();
        self.rows.push(row);
        self.tags.push((question, tag));
        if self.floats < self.most {
            return Ok(());
        }
        self.flush(see)
    }

    /// Runs what waits.
    pub fn flush(&mut self, see: &mut See<'_, T>) -> Result<()> {
        let (rows, tags) = (
            std::mem::take(&mut self.rows),
            std::mem::take(&mut self.tags),
        );
        self.floats = 0;
        let question = |row: usize| tags.get(row).map_or(usize::MAX, |(question, _)| *question);
        let reads = std::cell::RefCell::new(vec![0_usize; rows.len()]);
        let tick = |row: usize| {
            let mut reads = reads.borrow_mut();
            if let (Some(reads), Some(row)) = (reads.get_mut(row), rows.get(row)) {
                *reads += 1;
                if *reads == row.read.len() {
                    (self.done)(1);
                }
            }
        };
        let values =
            self.metric
                .measure_with(self.runs, &rows, self.questions, &question, &tick)?;
        for ((question, tag), value) in tags.iter().zip(values) {
            see(*question, *tag, value);
        }
        Ok(())
    }
}
