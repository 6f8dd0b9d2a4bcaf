//! A control suite in two: on one half thresholds are set, on the other an audit measures how often they are crossed. On the same items a rate
//! would be what the threshold was set to.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::subset;
use crate::fault::Result;
use crate::tokens::Suite;

/// The two halves, as suites under the id of the whole.
#[derive(Debug)]
pub(super) struct Halves {
    /// For detectors; `None` where no group has a second item.
    pub training: Option<PathBuf>,
    /// For the audit: every group is in it.
    pub audit: PathBuf,
}

/// Writes the two halves of a suite into folders below `folder`.
pub(super) fn split(suite: &Suite, folder: &Path) -> Result<Halves> {
    let doing = format!("splitting the control suite `{}`", suite.path.display());
    let training = for_training(suite);
    let ids = suite.items.iter().map(|item| item.id.as_str());
    let rest: HashSet<&str> = ids.filter(|id| !training.contains(id)).collect();
    let (first, second) = (folder.join("training"), folder.join("audit"));
    subset::write(suite, &rest, &second, &doing)?;
    if !training.is_empty() {
        subset::write(suite, &training, &first, &doing)?;
    }
    Ok(Halves {
        training: (!training.is_empty()).then_some(first),
        audit: second,
    })
}

/// Of every group each second item, in the order of the file: a group of one is left to the audit, which counts groups.
pub(super) fn for_training(suite: &Suite) -> HashSet<&str> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut ids = HashSet::new();
    for item in &suite.items {
        let nth = seen.entry(&item.group).or_default();
        *nth += 1;
        if nth.is_multiple_of(2) {
            ids.insert(item.id.as_str());
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop")]

    use std::fs;
    use std::path::Path;

    use super::{for_training, split};
    use crate::tokens::Suite;

    fn suite(folder: &Path, groups: &[&str]) -> Suite {
        let head = "schema: candor/suite/v1\nid: control\ntitle: Sentences\npurpose: control\nitems: items.jsonl\nmax_new_tokens: 1\n";
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("suite.yaml"), head).unwrap();
        let item = |(number, group): (usize, &&str)| {
            format!(
                "{{\"id\": \"c{number}\", \"group\": \"{group}\", \"condition\": \"plain\", \"prompt\": \"word {number}\"}}\n"
            )
        };
        let items: String = groups.iter().enumerate().map(item).collect();
        fs::write(folder.join("items.jsonl"), items).unwrap();
        Suite::open(folder).unwrap()
    }

    #[test]
    fn halves_share_groups_and_no_item() {
        let temp = tempfile::tempdir().unwrap();
        let whole = suite(
            &temp.path().join("whole"),
            &["a", "b", "a", "a", "c", "b", "a", "a"],
        );
        let place = temp.path().join("work");
        let halves = split(&whole, &place).unwrap();
        let ids = |folder: &Path| -> Vec<String> {
            let half = Suite::open(folder).unwrap();
            assert_eq!(half.id, whole.id);
            half.items.iter().map(|item| item.id.clone()).collect()
        };
        assert_eq!(ids(&halves.training.unwrap()), ["c2", "c5", "c6"]);
        assert_eq!(ids(&halves.audit), ["c0", "c1", "c3", "c4", "c7"]);
        let mut places: Vec<_> = fs::read_dir(temp.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        places.sort();
        assert_eq!(places, ["whole", "work"], "nothing is written elsewhere");
    }

    #[test]
    fn groups_of_one_are_all_audited() {
        let temp = tempfile::tempdir().unwrap();
        let whole = suite(&temp.path().join("whole"), &["a", "b", "c"]);
        assert!(for_training(&whole).is_empty());
        let halves = split(&whole, &temp.path().join("work")).unwrap();
        assert_eq!(halves.training, None);
        assert_eq!(Suite::open(&halves.audit).unwrap().items.len(), 3);
    }
}
