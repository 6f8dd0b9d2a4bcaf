//! What was said under two conditions, over all their pairs.

use std::collections::BTreeMap;

use super::ContrastExhibit;
use crate::evidence::{Evidence, Response};
use crate::report::record::Account;

/// One entry for each suite and each two conditions that were paired in it, sorted by them.
pub(super) fn contrasts(evidence: &Evidence) -> Vec<ContrastExhibit> {
    let by_item: BTreeMap<(&str, &str), &Response> = evidence
        .responses
        .iter()
        .map(|response| ((response.suite.as_str(), response.item.as_str()), response))
        .collect();
    let mut all: BTreeMap<(&str, &str, &str), ContrastExhibit> = BTreeMap::new();
    for tested in &evidence.responses {
        let Some(pair) = &tested.pair else { continue };
        let Some(baseline) = by_item.get(&(tested.suite.as_str(), pair.as_str())) else {
            continue;
        };
        let key = (
            tested.suite.as_str(),
            tested.condition.as_str(),
            baseline.condition.as_str(),
        );
        let entry = all.entry(key).or_insert_with(|| ContrastExhibit {
            baseline: Account::empty(baseline),
            tested: Account::empty(tested),
            changed: 0,
        });
        entry.baseline.count(baseline.outcome);
        entry.tested.count(tested.outcome);
        entry.changed += usize::from(baseline.text.trim() != tested.text.trim());
    }
    all.into_values().collect()
}
