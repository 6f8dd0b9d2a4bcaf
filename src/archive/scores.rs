//! What the detectors say: a row for each item, and in another table a row for each of its tokens.

use std::collections::BTreeSet;

use super::Stamp;
use super::table::Columns;
use crate::evidence::{Score, TokenScores};
use crate::fault::Result;

pub(super) fn values(stamp: &Stamp, rows: &[Score<'_>]) -> Result<Vec<u8>> {
    stamp
        .table(rows.len())
        .text("suite", rows.iter().map(|row| row.suite))
        .text("item", rows.iter().map(|row| row.item))
        .text("group", rows.iter().map(|row| row.group))
        .text("condition", rows.iter().map(|row| row.condition))
        .text("detector", rows.iter().map(|row| row.detector))
        .maybe_count("feature", rows.iter().map(|row| row.feature))
        .real("value", rows.iter().map(|row| row.value))
        .bytes()
}

pub(super) fn read_values(
    file: &str,
    bytes: Vec<u8>,
    see: &mut dyn FnMut(Score<'_>),
) -> Result<()> {
    let names = ["suite", "item", "group", "condition", "detector"];
    let mut wanted = names.to_vec();
    wanted.extend(["feature", "value"]);
    let table = Columns::read(file, bytes, &wanted)?;
    let text = |name: &str| table.all(name, table.texts(name)?);
    let [suite, item, group, condition, detector] = [
        text(names[0])?,
        text(names[1])?,
        text(names[2])?,
        text(names[3])?,
        text(names[4])?,
    ];
    let features = table.counts("feature")?;
    let values = table.all("value", table.reals("value")?)?;
    let ids = suite
        .iter()
        .zip(&item)
        .zip(&group)
        .zip(&condition)
        .zip(&detector);
    for (((((suite, item), group), condition), detector), (feature, value)) in
        ids.zip(features.into_iter().zip(values))
    {
        see(Score {
            suite,
            item,
            group,
            condition,
            detector,
            feature,
            value,
        });
    }
    Ok(())
}

pub(super) fn tokens(stamp: &Stamp, items: &[TokenScores]) -> Result<Vec<u8>> {
    let rows: Vec<(&TokenScores, usize)> = items
        .iter()
        .flat_map(|item| (0..item.scores.len()).map(move |at| (item, at)))
        .collect();
    let token = |(item, at): &(&TokenScores, usize)| item.tokens.get(*at).cloned();
    let texts: Vec<String> = rows
        .iter()
        .map(|row| token(row).unwrap_or_default())
        .collect();
    stamp
        .table(rows.len())
        .text("suite", rows.iter().map(|(item, _)| item.suite.as_str()))
        .text("item", rows.iter().map(|(item, _)| item.item.as_str()))
        .text(
            "detector",
            rows.iter().map(|(item, _)| item.detector.as_str()),
        )
        .maybe_count("feature", rows.iter().map(|(item, _)| item.feature))
        .count("position", rows.iter().map(|(_, at)| *at))
        .text("token", texts.iter().map(String::as_str))
        .flag(
            "in_span",
            rows.iter().map(|(item, at)| item.span.contains(at)),
        )
        .single(
            "score",
            rows.iter()
                .map(|(item, at)| item.scores.get(*at).copied().unwrap_or(f32::NAN)),
        )
        .bytes()
}

/// Reads the token scores of the wanted items (suite and item id).
pub(super) fn read_tokens(
    file: &str,
    bytes: Vec<u8>,
    wanted: &BTreeSet<(String, String)>,
) -> Result<Vec<TokenScores>> {
    let columns = [
        "suite", "item", "detector", "feature", "position", "token", "in_span", "score",
    ];
    let table = Columns::read(file, bytes, &columns)?;
    let text = |name: &str| table.all(name, table.texts(name)?);
    let [suite, item, detector, token] = [
        text("suite")?,
        text("item")?,
        text("detector")?,
        text("token")?,
    ];
    let features = table.counts("feature")?;
    let in_span = table.all("in_span", table.flags("in_span")?)?;
    let scores = table.all("score", table.singles("score")?)?;
    let mut read: Vec<TokenScores> = Vec::new();
    let ids = suite.into_iter().zip(item).zip(detector).zip(features);
    for ((((suite, item), detector), feature), ((token, in_span), score)) in
        ids.zip(token.into_iter().zip(in_span).zip(scores))
    {
        let key = (suite, item);
        if !wanted.contains(&key) {
            continue;
        }
        let same = read.last().is_some_and(|last| {
            (&last.suite, &last.item) == (&key.0, &key.1)
                && last.detector == detector
                && last.feature == feature
        });
        if !same {
            read.push(TokenScores {
                suite: key.0,
                item: key.1,
                detector,
                feature,
                tokens: Vec::new(),
                scores: Vec::new(),
                span: Vec::new(),
            });
        }
        if let Some(last) = read.last_mut() {
            if in_span {
                last.span.push(last.scores.len());
            }
            last.tokens.push(token);
            last.scores.push(score);
        }
    }
    Ok(read)
}
