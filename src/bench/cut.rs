//! A smaller suite: the first tested items of a larger one, with their counterparts.

use std::collections::HashSet;
use std::path::Path;

use super::subset;
use crate::fault::{Fault, Result};
use crate::tokens::Suite;

/// Writes a suite of at most `items` items into `folder`: tested ones in the order of the file, each with its counterpart.
pub(super) fn cut(suite: &Suite, items: usize, folder: &Path) -> Result<()> {
    let doing = format!(
        "cutting the suite `{}` to {items} items",
        suite.path.display()
    );
    let Some(contrast) = &suite.contrast else {
        return Err(Fault::usage(&doing, "no contrast suite").expected("a suite with `contrast`"));
    };
    let tested = suite.of_condition(&contrast.tested).take(items / 2);
    let kept: HashSet<&str> = tested
        .flat_map(|item| [Some(item.id.as_str()), item.pair.as_deref()])
        .flatten()
        .collect();
    subset::write(suite, &kept, folder, &doing)
}

/// Pairs of a contrast suite; none of another one.
pub(super) fn pairs(suite: &Suite) -> usize {
    let tested = suite.contrast.as_ref().map(|contrast| &contrast.tested);
    tested.map_or(0, |tested| suite.of_condition(tested).count())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop")]

    use std::fs;
    use std::path::Path;

    use super::{cut, pairs};
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
        assert_eq!((few.items.len(), pairs(&few)), (24, 12));
        let first = |suite: &Suite| -> Vec<String> {
            let tested = suite.of_condition("trigger").take(12);
            tested.map(|item| item.id.clone()).collect()
        };
        assert_eq!(first(&few), first(&whole));
        assert!(!temp.path().join("b/outside.jsonl").exists());
    }
}
