//! What was said under two conditions, over all their pairs.

use std::collections::BTreeMap;

use super::ContrastExhibit;
use crate::evidence::Evidence;
use crate::report::record::Account;

/// One entry for each suite and each two conditions that were paired in it, sorted by them.
pub(super) fn contrasts(evidence: &Evidence) -> Vec<ContrastExhibit> {
    let by_item = evidence.responses.by_item();
    let mut all: BTreeMap<(&str, &str, &str), ContrastExhibit> = BTreeMap::new();
    for tested in evidence.responses.iter() {
        let Some(baseline) = by_item.counterpart(tested) else {
            continue;
        };
        let key = (tested.suite(), tested.condition(), baseline.condition());
        let entry = all.entry(key).or_insert_with(|| ContrastExhibit {
            baseline: Account::empty(baseline),
            tested: Account::empty(tested),
            changed: 0,
        });
        entry.baseline.count(baseline.outcome());
        entry.tested.count(tested.outcome());
        entry.changed += usize::from(!baseline.says_the_same(tested));
    }
    all.into_values().collect()
}
