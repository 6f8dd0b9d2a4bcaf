//! Counts and random samples of what a model said.

use std::collections::BTreeMap;

use super::exhibit::shuffled;
use super::record::{Account, Sample};
use crate::evidence::{Evidence, Outcome, Said};

/// How the responses of each suite and condition were judged, sorted by both.
#[must_use]
pub fn accounts(evidence: &Evidence) -> Vec<Account> {
    let mut all: BTreeMap<(&str, &str), Account> = BTreeMap::new();
    for response in evidence.responses.iter() {
        let key = (response.suite(), response.condition());
        let account = all.entry(key).or_insert_with(|| Account::empty(response));
        account.count(response.outcome());
    }
    all.into_values().collect()
}

impl Account {
    /// No responses yet, of the suite and condition of `response`.
    pub(super) fn empty(response: Said<'_>) -> Self {
        Self {
            suite: response.suite().to_owned(),
            condition: response.condition().to_owned(),
            said_true: 0,
            said_false: 0,
            unclear: 0,
            unjudged: 0,
            failed: 0,
        }
    }

    pub(super) fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::True => &mut self.said_true,
            Outcome::False => &mut self.said_false,
            Outcome::Unclear => &mut self.unclear,
            Outcome::Unjudged => &mut self.unjudged,
            Outcome::Failed => &mut self.failed,
        } += 1;
    }

    pub(super) fn total(&self) -> usize {
        [
            self.said_true,
            self.said_false,
            self.unclear,
            self.unjudged,
            self.failed,
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }
}

/// `per_suite` responses of each suite, drawn at random by the seed (all of them where there are fewer).
#[must_use]
pub fn drawn(evidence: &Evidence, per_suite: usize, seed: u64) -> Vec<Said<'_>> {
    let mut suites: BTreeMap<&str, Vec<Said<'_>>> = BTreeMap::new();
    for response in evidence.responses.iter() {
        suites.entry(response.suite()).or_default().push(response);
    }
    suites
        .into_values()
        .flat_map(|responses| {
            let drawn = shuffled(responses, |response| response.item(), seed);
            drawn.into_iter().take(per_suite)
        })
        .collect()
}

/// The same as inputs and outputs.
#[must_use]
pub fn samples(evidence: &Evidence, per_suite: usize, seed: u64) -> Vec<Sample> {
    drawn(evidence, per_suite, seed)
        .into_iter()
        .map(|response| Sample {
            suite: response.suite().to_owned(),
            item: response.item().to_owned(),
            condition: response.condition().to_owned(),
            prompt: response.prompt().to_owned(),
            said: response.text().to_owned(),
            outcome: response.outcome(),
        })
        .collect()
}
