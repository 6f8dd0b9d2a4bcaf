//! Splits that never cut through a group: items of one template, or a statement and its negation, stay together.
#![allow(clippy::cast_precision_loss, reason = "item counts are far below 2^52")]

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::fault::{Fault, Result};

const DOING: &str = "splitting items by group";

/// What a split has to know of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SplitItem<'a> {
    /// Items of one group stay together.
    pub group: &'a str,
    /// What the model reads, prompt and response: the same text on both sides of a split would be learnt by heart.
    pub content: &'a str,
    /// The same as the tokens that the model reads, which may be equal where texts are not; empty where nothing is known of them.
    pub tokens: &'a [i64],
    /// The item's number and that of its counterpart, which differs in what is tested alone.
    pub pair: Option<(usize, usize)>,
    /// The content without its negation, and whether it has one (see [`without_negation`](crate::tokens::without_negation)); empty where
    /// nothing is known.
    pub statement: (&'a str, bool),
}

/// A split in two, as indices into the items, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldOut {
    /// Items to train on.
    pub train: Vec<usize>,
    /// Items to measure on.
    pub held_out: Vec<usize>,
}

/// The fold (`0..k`) of each item. Groups are dealt in random order to the fold with the fewest items so far; the result
/// depends on group names and the seed, not on the order of the items.
///
/// # Errors
/// Fewer than two folds, fewer groups than folds, or the same content in two folds.
pub fn folds(items: &[SplitItem<'_>], k: usize, seed: u64) -> Result<Vec<usize>> {
    let groups = shuffled(items, seed);
    if k < 2 || groups.len() < k {
        return Err(
            Fault::usage(DOING, format!("{} groups for {k} folds", groups.len()))
                .expected("at least two folds, and as many groups as folds")
                .hint("give items of different templates or facts different `group`s"),
        );
    }
    let mut fold_of = vec![0; items.len()];
    let mut sizes = vec![0_usize; k];
    for rows in groups {
        let smallest = sizes.iter().min().copied().unwrap_or_default();
        let fold = sizes
            .iter()
            .position(|size| *size == smallest)
            .unwrap_or_default();
        if let Some(size) = sizes.get_mut(fold) {
            *size += rows.len();
        }
        for row in rows {
            if let Some(slot) = fold_of.get_mut(row) {
                *slot = fold;
            }
        }
    }
    refuse_leaks(items, &fold_of)?;
    Ok(fold_of)
}

/// Holds out random groups until they make up at least `fraction` of the items, leaving at least one group to train on.
///
/// # Errors
/// A fraction outside (0, 1), fewer than two groups, or the same content on both sides.
pub fn hold_out(items: &[SplitItem<'_>], fraction: f64, seed: u64) -> Result<HoldOut> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(Fault::usage(DOING, format!("a fraction of {fraction}"))
            .expected("a fraction between 0 and 1, such as 0.3"));
    }
    let groups = shuffled(items, seed);
    if groups.len() < 2 {
        return Err(Fault::usage(DOING, format!("{} groups", groups.len()))
            .expected("at least two: one to train on and one to hold out")
            .hint("give items of different templates or facts different `group`s"));
    }
    let wanted = fraction * items.len() as f64;
    let mut side = vec![0; items.len()];
    let mut held = 0_usize;
    for rows in groups.iter().skip(1) {
        if held as f64 >= wanted {
            break;
        }
        held += rows.len();
        for row in rows {
            if let Some(slot) = side.get_mut(*row) {
                *slot = 1;
            }
        }
    }
    refuse_leaks(items, &side)?;
    let of = |wanted: usize| {
        (0..items.len())
            .filter(|row| side.get(*row) == Some(&wanted))
            .collect()
    };
    Ok(HoldOut {
        train: of(0),
        held_out: of(1),
    })
}

/// Rows of each group, groups in random order.
fn shuffled(items: &[SplitItem<'_>], seed: u64) -> Vec<Vec<usize>> {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (row, item) in items.iter().enumerate() {
        members.entry(item.group).or_default().push(row);
    }
    let mut groups: Vec<Vec<usize>> = members.into_values().collect();
    groups.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    groups
}

/// Refuses parts that share what would be learnt by heart, or a statement on one side with its negation on another.
fn refuse_leaks(items: &[SplitItem<'_>], part: &[usize]) -> Result<()> {
    let mut contents: BTreeMap<&str, usize> = BTreeMap::new();
    let mut tokens: BTreeMap<&[i64], usize> = BTreeMap::new();
    let mut statements: BTreeMap<(&str, bool), usize> = BTreeMap::new();
    let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
    let of = |row: usize| part.get(row).copied().unwrap_or_default();
    let apart = |row: usize, earlier: Option<usize>| earlier.filter(|first| of(*first) != of(row));
    for (row, item) in items.iter().enumerate() {
        if let Some(first) = apart(row, Some(*contents.entry(item.content).or_insert(row))) {
            return Err(leak("the same content", items, (first, row))
                .hint("put byte-identical items into one group, or remove the copies"));
        }
        let first = tokens.entry(item.tokens).or_insert(row);
        if !item.tokens.is_empty()
            && let Some(first) = apart(row, Some(*first))
        {
            return Err(leak("the same tokens", items, (first, row)).hint(
                "put items that the tokenizer makes equal into one group, or remove the copies",
            ));
        }
        let (statement, negated) = item.statement;
        if !statement.is_empty() {
            statements.entry((statement, negated)).or_insert(row);
            let twin = statements.get(&(statement, !negated)).copied();
            if let Some(first) = apart(row, twin) {
                return Err(leak("a statement and its negation", items, (first, row))
                    .hint("put a statement and its negation into one group"));
            }
        }
        if let Some((number, pair)) = item.pair {
            numbers.insert(number, row);
            if let Some(first) = apart(row, numbers.get(&pair).copied()) {
                return Err(leak("a pair", items, (first, row))
                    .hint("put an item and its pair into one group"));
            }
        }
    }
    Ok(())
}

fn leak(what: &str, items: &[SplitItem<'_>], (first, second): (usize, usize)) -> Fault {
    let of = |row: usize| items.get(row).copied().unwrap_or_default();
    let (first, second) = (of(first), of(second));
    let other = if first.content == second.content {
        String::new()
    } else {
        format!(" and {:?}", second.content)
    };
    Fault::usage(
        DOING,
        format!(
            "{what} in the groups `{}` and `{}`, which fall on two sides: {:?}{other}",
            first.group, second.group, first.content
        ),
    )
    .expected("no content on both sides of a split")
}
