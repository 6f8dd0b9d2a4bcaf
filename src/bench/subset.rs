//! Some items of a suite as a suite of their own.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::fault::{Fault, Result};
use crate::tokens::Suite;

const ITEMS: &str = "items.jsonl";

/// Writes the items whose ids are `kept` into `folder`, in the order of the suite's file and under the suite's own id.
pub(super) fn write(suite: &Suite, kept: &HashSet<&str>, folder: &Path, doing: &str) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| Fault::failed(doing, error.to_string());
    let yaml = fs::read_to_string(&suite.path).map_err(|error| failed(&error))?;
    let mut head: Map<String, Value> =
        serde_yaml::from_str(&yaml).map_err(|error| failed(&error))?;
    // The copy's items lie in its own folder, wherever the suite's do.
    let items = head.insert("items".to_owned(), Value::from(ITEMS));
    let Some(Value::String(file)) = items else {
        return Err(Fault::usage(doing, "no key `items`")
            .expected("a suite whose items are a file of its own"));
    };
    let lines =
        fs::read_to_string(suite.path.with_file_name(file)).map_err(|error| failed(&error))?;
    let id_of = |line: &str| -> Option<String> {
        let item: Value = serde_json::from_str(line).ok()?;
        Some(item.get("id")?.as_str()?.to_owned())
    };
    let lines = lines
        .lines()
        .filter(|line| id_of(line).is_some_and(|id| kept.contains(id.as_str())));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    let yaml = serde_yaml::to_string(&head).map_err(|error| failed(&error))?;
    fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    fs::write(folder.join("suite.yaml"), yaml).map_err(|error| failed(&error))?;
    fs::write(folder.join(ITEMS), text).map_err(|error| failed(&error))
}
