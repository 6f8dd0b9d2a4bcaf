//! What the model said, a row for each item.

use super::Stamp;
use super::table::Columns;
use crate::evidence::{Outcome, Response};
use crate::fault::Result;

pub(super) fn bytes(stamp: &Stamp, rows: &[Response]) -> Result<Vec<u8>> {
    stamp
        .table(rows.len())
        .text("suite", rows.iter().map(|row| row.suite.as_str()))
        .text("item", rows.iter().map(|row| row.item.as_str()))
        .text("group", rows.iter().map(|row| row.group.as_str()))
        .text("condition", rows.iter().map(|row| row.condition.as_str()))
        .maybe_text("pair", rows.iter().map(|row| row.pair.as_deref()))
        .text("prompt", rows.iter().map(|row| row.prompt.as_str()))
        .text("said", rows.iter().map(|row| row.text.as_str()))
        .maybe_text("answer", rows.iter().map(|row| row.answer.as_deref()))
        .text("outcome", rows.iter().map(|row| name(row.outcome)))
        .bytes()
}

/// Reads a part. Prompts are read only where they are wanted: they may be long, and no verdict hangs on them.
pub(super) fn read(file: &str, bytes: Vec<u8>, prompts: bool) -> Result<Vec<Response>> {
    let mut wanted = vec![
        "suite",
        "item",
        "group",
        "condition",
        "pair",
        "said",
        "answer",
        "outcome",
    ];
    wanted.extend(prompts.then_some("prompt"));
    let table = Columns::read(file, bytes, &wanted)?;
    let text = |name: &str| table.all(name, table.texts(name)?);
    let [suite, item, group, condition] = [
        text("suite")?,
        text("item")?,
        text("group")?,
        text("condition")?,
    ];
    let (pair, answer) = (table.texts("pair")?, table.texts("answer")?);
    let (said, outcome) = (text("said")?, text("outcome")?);
    let mut prompt = if prompts {
        text("prompt")?
    } else {
        vec![String::new(); table.rows()]
    }
    .into_iter();
    let mut rows = Vec::with_capacity(table.rows());
    let ids = suite.into_iter().zip(item).zip(group).zip(condition);
    for (((((suite, item), group), condition), (pair, answer)), (said, outcome)) in ids
        .zip(pair.into_iter().zip(answer))
        .zip(said.into_iter().zip(outcome))
    {
        rows.push(Response {
            suite,
            item,
            group,
            condition,
            pair,
            prompt: prompt.next().unwrap_or_default(),
            text: said,
            outcome: outcome_named(&outcome)
                .ok_or_else(|| table.wrong("outcome", &format!("`{outcome}`")))?,
            answer,
        });
    }
    Ok(rows)
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::True => "true",
        Outcome::False => "false",
        Outcome::Unclear => "unclear",
        Outcome::Unjudged => "unjudged",
        Outcome::Failed => "failed",
    }
}

fn outcome_named(text: &str) -> Option<Outcome> {
    [
        Outcome::True,
        Outcome::False,
        Outcome::Unclear,
        Outcome::Unjudged,
        Outcome::Failed,
    ]
    .into_iter()
    .find(|outcome| name(*outcome) == text)
}
