//! Which head carries a decision, found as a user would: `candor patch --by head` over pairs that the model answered differently.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::organism::Head;
use crate::fault::{Fault, Result};
use crate::report::{ItemLine, ModelAudit};

/// More say no more of a head that decides all of them alike.
const MOST_PAIRS: usize = 32;

/// The head whose patch does most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadFound {
    /// Its layer.
    pub layer: usize,
    /// Its index in the layer.
    pub head: usize,
    /// Share of the whole effect.
    pub effect: f64,
    /// Whether it is the one that decides.
    pub right: bool,
}

/// The patching map that `candor patch` writes, as far as it is read here.
#[derive(Deserialize)]
struct Map {
    heads: Vec<usize>,
    sites: Vec<String>,
    recovery: Option<Vec<Vec<Option<f64>>>>,
}

/// Writes pairs for `candor patch` from what the audited model said: the baseline's prompt is the clean one. `false` if it said the same
/// everywhere.
pub(super) fn write_pairs(model: &ModelAudit, file: &Path) -> Result<bool> {
    let items = &model.items.lines;
    let of = |line: &ItemLine| {
        let pair = line.pair.as_ref()?;
        let mut others = items.iter();
        let other = others.find(|other| other.suite == line.suite && other.item == *pair)?;
        let pair = json!({
            "id": line.item, "group": line.group, "clean": other.prompt, "corrupt": line.prompt,
            "answer": other.said, "foil": line.said,
        });
        (other.said != line.said).then_some(pair)
    };
    let pairs: Vec<Value> = items.iter().filter_map(of).take(MOST_PAIRS).collect();
    let lines: Vec<String> = pairs.iter().map(Value::to_string).collect();
    fs::write(file, lines.join("\n") + "\n").map_err(|error| {
        Fault::failed(format!("writing `{}`", file.display()), error.to_string())
    })?;
    Ok(!pairs.is_empty())
}

/// The head with the largest recovery in what `candor patch --by head` wrote.
pub(super) fn strongest(file: &Path, truth: &Head) -> Result<Option<HeadFound>> {
    let doing = || format!("reading the map of heads `{}`", file.display());
    let text =
        fs::read_to_string(file).map_err(|error| Fault::failed(doing(), error.to_string()))?;
    let map: Map =
        serde_json::from_str(&text).map_err(|error| Fault::failed(doing(), error.to_string()))?;
    let rows = map.sites.iter().zip(map.recovery.iter().flatten());
    let cells = rows.flat_map(|(site, row)| {
        let layer = site.split('.').nth(1).and_then(|layer| layer.parse().ok());
        let cells = map.heads.iter().zip(row);
        cells.filter_map(move |(head, effect)| Some((layer?, *head, (*effect)?)))
    });
    let strongest = cells.max_by(|a, b| a.2.total_cmp(&b.2));
    Ok(strongest.map(|(layer, head, effect)| HeadFound {
        layer,
        head,
        effect,
        right: (layer, head) == (truth.layer, truth.head),
    }))
}
