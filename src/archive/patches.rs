//! Patching maps in three tables: a row for each pair, for each cell, and for each edit of the controls.

use std::collections::BTreeMap;

use ndarray::Array2;

use super::Stamp;
use super::table::{Columns, Table};
use crate::evidence::{Dose, MapCell, PairMap, PatchMap, PatchMode, PositionClass};
use crate::fault::Result;

pub(super) fn mode_named(text: &str) -> Option<PatchMode> {
    [PatchMode::Denoising, PatchMode::Noising]
        .into_iter()
        .find(|mode| mode.name() == text)
}

/// What the three tables begin with.
fn head(stamp: &Stamp, map: &PatchMap, rows: usize) -> Table {
    stamp
        .table(rows)
        .text("suite", std::iter::repeat_n(map.suite.as_str(), rows))
        .text("mode", std::iter::repeat_n(map.mode.name(), rows))
}

pub(super) fn pairs(stamp: &Stamp, map: &PatchMap) -> Result<Vec<u8>> {
    let all = &map.pairs;
    let lists = |list: &dyn Fn(&PairMap) -> String| all.iter().map(list).collect::<Vec<_>>();
    let clean_tokens = lists(&|pair| json(&pair.clean_tokens));
    let corrupt_tokens = lists(&|pair| json(&pair.corrupt_tokens));
    let differing = lists(&|pair| json(&pair.differing));
    let whole = lists(&|pair| json(&pair.whole));
    let by_class = lists(&|pair| json(&pair.by_class));
    head(stamp, map, all.len())
        .text("item", all.iter().map(|pair| pair.item.as_str()))
        .text(
            "counterpart",
            all.iter().map(|pair| pair.counterpart.as_str()),
        )
        .text("group", all.iter().map(|pair| pair.group.as_str()))
        .text("clean_tokens", texts(&clean_tokens))
        .text("corrupt_tokens", texts(&corrupt_tokens))
        .text("answer", all.iter().map(|pair| pair.answer.as_str()))
        .text("foil", all.iter().map(|pair| pair.foil.as_str()))
        .real("clean", all.iter().map(|pair| pair.clean))
        .real("corrupt", all.iter().map(|pair| pair.corrupt))
        .text("differing", texts(&differing))
        .count("last", all.iter().map(|pair| pair.last))
        .real("self_patch", all.iter().map(|pair| pair.self_patch))
        .text("whole", texts(&whole))
        .text("by_class", texts(&by_class))
        .bytes()
}

fn texts(list: &[String]) -> impl Iterator<Item = &str> {
    list.iter().map(String::as_str)
}

/// A row for each cell of each pair's map.
pub(super) fn cells(stamp: &Stamp, map: &PatchMap) -> Result<Vec<u8>> {
    struct Row<'a> {
        pair: &'a PairMap,
        site: &'a str,
        position: usize,
        metric: f64,
        recovery: f64,
    }
    let sites: Vec<String> = map.sites.iter().map(ToString::to_string).collect();
    let mut rows = Vec::new();
    for pair in &map.pairs {
        for ((row, position), metric) in pair.metric.indexed_iter() {
            rows.push(Row {
                pair,
                site: sites.get(row).map_or("", String::as_str),
                position,
                metric: *metric,
                recovery: pair
                    .recovery
                    .get((row, position))
                    .copied()
                    .unwrap_or(f64::NAN),
            });
        }
    }
    head(stamp, map, rows.len())
        .text("item", rows.iter().map(|row| row.pair.item.as_str()))
        .text("group", rows.iter().map(|row| row.pair.group.as_str()))
        .text("site", rows.iter().map(|row| row.site))
        .count("position", rows.iter().map(|row| row.position))
        .flag(
            "differs",
            rows.iter()
                .map(|row| row.pair.differing.contains(&row.position)),
        )
        .flag("last", rows.iter().map(|row| row.pair.last == row.position))
        .real("metric", rows.iter().map(|row| row.metric))
        .real("recovery", rows.iter().map(|row| row.recovery))
        .bytes()
}

/// A row for each random direction and for each part of the real edit, at the cell of the controls.
pub(super) fn controls(stamp: &Stamp, map: &PatchMap) -> Result<Vec<u8>> {
    struct Row<'a> {
        pair: &'a PairMap,
        site: &'a str,
        class: &'static str,
        edit: &'static str,
        share: f64,
        recovery: f64,
    }
    let sites: Vec<String> = map.sites.iter().map(ToString::to_string).collect();
    let mut rows = Vec::new();
    for pair in &map.pairs {
        let Some(cell) = pair.random_cell else {
            continue;
        };
        let mut add = |edit, share, recovery| {
            rows.push(Row {
                pair,
                site: sites.get(cell.site).map_or("", String::as_str),
                class: cell.class.name(),
                edit,
                share,
                recovery,
            });
        };
        add(CELL, 1.0, f64::NAN);
        for recovery in &pair.random {
            add(RANDOM, 1.0, *recovery);
        }
        for dose in &pair.dose {
            add(DOSE, dose.share, dose.recovery);
            add(DOSE_RANDOM, dose.share, dose.random);
        }
    }
    head(stamp, map, rows.len())
        .text("item", rows.iter().map(|row| row.pair.item.as_str()))
        .text("group", rows.iter().map(|row| row.pair.group.as_str()))
        .text("site", rows.iter().map(|row| row.site))
        .text("positions", rows.iter().map(|row| row.class))
        .text("edit", rows.iter().map(|row| row.edit))
        .real("share", rows.iter().map(|row| row.share))
        .real("recovery", rows.iter().map(|row| row.recovery))
        .bytes()
}

/// The cell itself, whose recovery is that of the map.
const CELL: &str = "cell";
const RANDOM: &str = "random";
const DOSE: &str = "part";
const DOSE_RANDOM: &str = "random part";

/// Pairs of a part, without cells and controls.
pub(super) fn read_pairs(file: &str, bytes: Vec<u8>) -> Result<Vec<PairMap>> {
    let names = [
        "item",
        "counterpart",
        "group",
        "clean_tokens",
        "corrupt_tokens",
        "answer",
        "foil",
        "differing",
        "whole",
        "by_class",
    ];
    let mut wanted = names.to_vec();
    wanted.extend(["clean", "corrupt", "last", "self_patch"]);
    let table = Columns::read(file, bytes, &wanted)?;
    let mut texts: BTreeMap<&str, std::vec::IntoIter<String>> = BTreeMap::new();
    for name in names {
        texts.insert(name, table.all(name, table.texts(name)?)?.into_iter());
    }
    let mut text = |name: &str| {
        let column = texts.get_mut(name);
        column.and_then(Iterator::next).unwrap_or_default()
    };
    let clean = table.all("clean", table.reals("clean")?)?;
    let corrupt = table.all("corrupt", table.reals("corrupt")?)?;
    let last = table.all("last", table.counts("last")?)?;
    let self_patch = table.all("self_patch", table.reals("self_patch")?)?;
    let numbers = clean.into_iter().zip(corrupt).zip(last).zip(self_patch);
    numbers
        .map(|(((clean, corrupt), last), self_patch)| {
            Ok(PairMap {
                item: text("item"),
                counterpart: text("counterpart"),
                group: text("group"),
                clean_tokens: listed(&table, "clean_tokens", &text("clean_tokens"))?,
                corrupt_tokens: listed(&table, "corrupt_tokens", &text("corrupt_tokens"))?,
                answer: text("answer"),
                foil: text("foil"),
                clean,
                corrupt,
                metric: Array2::default((0, 0)),
                recovery: Array2::default((0, 0)),
                differing: listed(&table, "differing", &text("differing"))?,
                last,
                self_patch,
                whole: listed(&table, "whole", &text("whole"))?,
                by_class: listed(&table, "by_class", &text("by_class"))?,
                random: Vec::new(),
                random_cell: None,
                dose: Vec::new(),
            })
        })
        .collect()
}

/// Puts cells into the pairs that they belong to: rows are `sites`, columns positions.
pub(super) fn read_cells(
    file: &str,
    bytes: Vec<u8>,
    sites: &[String],
    pairs: &mut [PairMap],
) -> Result<()> {
    let table = Columns::read(
        file,
        bytes,
        &["item", "site", "position", "metric", "recovery"],
    )?;
    let item = table.all("item", table.texts("item")?)?;
    let site = table.all("site", table.texts("site")?)?;
    let position = table.all("position", table.counts("position")?)?;
    let metric = table.all("metric", table.reals("metric")?)?;
    let recovery = table.all("recovery", table.reals("recovery")?)?;
    let place: BTreeMap<String, usize> = pairs
        .iter()
        .enumerate()
        .map(|(place, pair)| (pair.item.clone(), place))
        .collect();
    for pair in pairs.iter_mut() {
        let shape = (sites.len(), pair.corrupt_tokens.len());
        pair.metric = Array2::from_elem(shape, f64::NAN);
        pair.recovery = Array2::from_elem(shape, f64::NAN);
    }
    for index in 0..table.rows() {
        let row = sites.iter().position(|known| *known == site[index]);
        let pair = place
            .get(&item[index])
            .and_then(|&place| pairs.get_mut(place));
        let (Some(row), Some(pair)) = (row, pair) else {
            let found = format!("`{}` of `{}`", site[index], item[index]);
            return Err(table.wrong("site", &found));
        };
        let cell = (row, position[index]);
        let (Some(into), Some(other)) = (pair.metric.get_mut(cell), pair.recovery.get_mut(cell))
        else {
            return Err(table.wrong("position", &position[index]));
        };
        (*into, *other) = (metric[index], recovery[index]);
    }
    Ok(())
}

/// Puts the controls into the pairs of a map.
pub(super) fn read_controls(file: &str, bytes: Vec<u8>, map: &mut PatchMap) -> Result<()> {
    let table = Columns::read(
        file,
        bytes,
        &["item", "site", "positions", "edit", "share", "recovery"],
    )?;
    let item = table.all("item", table.texts("item")?)?;
    let site = table.all("site", table.texts("site")?)?;
    let positions = table.all("positions", table.texts("positions")?)?;
    let edit = table.all("edit", table.texts("edit")?)?;
    let share = table.all("share", table.reals("share")?)?;
    let recovery = table.all("recovery", table.reals("recovery")?)?;
    let sites: Vec<String> = map.sites.iter().map(ToString::to_string).collect();
    let mut pairs: BTreeMap<String, &mut PairMap> = map
        .pairs
        .iter_mut()
        .map(|pair| (pair.item.clone(), pair))
        .collect();
    for index in 0..table.rows() {
        let row = sites.iter().position(|known| *known == site[index]);
        let (Some(row), Some(pair)) = (row, pairs.get_mut(&item[index])) else {
            return Err(table.wrong("site", &format!("`{}` of `{}`", site[index], item[index])));
        };
        let recovery = recovery[index];
        match edit[index].as_str() {
            CELL => {
                let named = |class: &PositionClass| class.name() == positions[index];
                let class = PositionClass::ALL
                    .into_iter()
                    .find(named)
                    .ok_or_else(|| table.wrong("positions", &format!("`{}`", positions[index])))?;
                pair.random_cell = Some(MapCell { site: row, class });
            }
            RANDOM => pair.random.push(recovery),
            DOSE => pair.dose.push(Dose {
                share: share[index],
                recovery,
                random: f64::NAN,
            }),
            DOSE_RANDOM => {
                if let Some(dose) = pair.dose.last_mut() {
                    dose.random = recovery;
                }
            }
            other => return Err(table.wrong("edit", &format!("`{other}`"))),
        }
    }
    Ok(())
}

/// A list as JSON in a cell: such columns are there to be read back, and no query needs them nested.
pub(super) fn json<T: serde::Serialize>(list: &[T]) -> String {
    serde_json::to_string(list).unwrap_or_default()
}

/// A list of numbers; what JSON cannot say reads back as NaN.
pub(super) fn reals(table: &Columns, name: &str, text: &str) -> Result<Vec<f64>> {
    let list: Vec<Option<f64>> = listed(table, name, text)?;
    Ok(list
        .into_iter()
        .map(|value| value.unwrap_or(f64::NAN))
        .collect())
}

pub(super) fn listed<T: serde::de::DeserializeOwned>(
    table: &Columns,
    name: &str,
    text: &str,
) -> Result<Vec<T>> {
    serde_json::from_str(text).map_err(|error| table.wrong(name, &error))
}
