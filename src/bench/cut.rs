//! A smaller suite: the first tested items of a larger one, with their counterparts.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::fault::{Fault, Result};
use crate::tokens::Suite;

/// Writes a suite of at most `items` items into `folder`: tested ones in the order of the file, each with its counterpart.
pub(super) fn cut(suite: &Suite, items: usize, folder: &Path) -> Result<()> {
    let doing = format!(
        "cutting the suite `{}` to {items} items",
        suite.path.display()
    );
    let failed = |error: &dyn std::fmt::Display| Fault::failed(&doing, error.to_string());
    let Some(contrast) = &suite.contrast else {
        return Err(Fault::usage(&doing, "no contrast suite").expected("a suite with `contrast`"));
    };
    let tested = suite.of_condition(&contrast.tested).take(items / 2);
    let kept: HashSet<&str> = tested
        .flat_map(|item| [Some(item.id.as_str()), item.pair.as_deref()])
        .flatten()
        .collect();
    let yaml = fs::read_to_string(&suite.path).map_err(|error| failed(&error))?;
    let head: Value = serde_yaml::from_str(&yaml).map_err(|error| failed(&error))?;
    let Some(file) = head.get("items").and_then(Value::as_str) else {
        return Err(Fault::usage(&doing, "no key `items`")
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
    fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    fs::write(folder.join("suite.yaml"), yaml).map_err(|error| failed(&error))?;
    fs::write(folder.join(file), text).map_err(|error| failed(&error))
}
