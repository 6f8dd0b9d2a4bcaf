//! A smaller suite: the first tested items of a larger one, with their counterparts.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::fault::{Fault, Result};
use crate::tokens::Suite;

const ITEMS: &str = "items.jsonl";

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
    let mut head: Map<String, Value> =
        serde_yaml::from_str(&yaml).map_err(|error| failed(&error))?;
    // The copy's items lie in its own folder, wherever the suite's do.
    let items = head.insert("items".to_owned(), Value::from(ITEMS));
    let Some(Value::String(file)) = items else {
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
    let yaml = serde_yaml::to_string(&head).map_err(|error| failed(&error))?;
    fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    fs::write(folder.join("suite.yaml"), yaml).map_err(|error| failed(&error))?;
    fs::write(folder.join(ITEMS), text).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop")]

    use std::fs;
    use std::path::Path;

    use super::cut;
    use crate::tokens::Suite;

    #[test]
    fn pairs_stay_whole_and_nothing_is_written_outside() {
        let oracles = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("benchmarks/organisms/oracles/seed-1/suites/scenario");
        let temp = tempfile::tempdir().unwrap();
        let (from, to) = (temp.path().join("a/from"), temp.path().join("b/to"));
        fs::create_dir_all(&from).unwrap();
        let yaml = fs::read_to_string(oracles.join("suite.yaml")).unwrap();
        let yaml = yaml.replace("items.jsonl", "../outside.jsonl");
        fs::write(from.join("suite.yaml"), yaml).unwrap();
        fs::copy(
            oracles.join("items.jsonl"),
            temp.path().join("a/outside.jsonl"),
        )
        .unwrap();
        let whole = Suite::open(&from).unwrap();
        cut(&whole, 24, &to).unwrap();
        let few = Suite::open(&to).unwrap();
        assert_eq!(few.items.len(), 24);
        let first = |suite: &Suite| -> Vec<String> {
            let tested = suite.of_condition("trigger").take(12);
            tested.map(|item| item.id.clone()).collect()
        };
        assert_eq!(first(&few), first(&whole));
        assert!(!temp.path().join("b/outside.jsonl").exists());
    }
}
