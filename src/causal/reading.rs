//! Where a metric is read, and what it is held against.

use super::grid::distinct;
use super::measure::{Metric, Question};
use super::metric::log_softmax;
use super::pair::Pair;
use super::row::{Row, Runs};
use crate::fault::{Fault, Result};

/// Where the metric is read in a pair.
pub(super) fn positions(at: Option<&[usize]>, pair: &Pair) -> Result<Vec<usize>> {
    let seq = pair.clean.ids.len();
    let Some(at) = at else {
        return Ok(vec![pair.last()]);
    };
    match at.iter().find(|at| **at >= seq) {
        None => distinct("reading the metric", at).map(|()| at.to_vec()),
        Some(outside) => Err(
            Fault::usage("reading the metric", format!("position {outside}")).expected(format!(
                "a position below {seq}, the length of `{}`",
                pair.item
            )),
        ),
    }
}

/// What the metric has to know of each pair.
pub(super) fn questions(
    runs: &dyn Runs,
    metric: &Metric<'_>,
    pairs: &[Pair],
    at: &[Vec<usize>],
) -> Result<Vec<Question>> {
    let mut questions: Vec<Question> = pairs.iter().map(Question::of).collect();
    if matches!(metric, Metric::Divergence) {
        let rows: Vec<Row<'_>> = pairs
            .iter()
            .zip(at)
            .map(|(pair, at)| Row {
                read: at.clone(),
                ..Row::plain(&pair.clean.ids)
            })
            .collect();
        runs.each_logits(&rows, &mut |row, position, logits| {
            if let Some(question) = questions.get_mut(row) {
                question.reference.push((position, log_softmax(logits)));
            }
            Ok(())
        })?;
    }
    Ok(questions)
}
