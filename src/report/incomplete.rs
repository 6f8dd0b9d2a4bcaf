//! Samples that were planned and did not come to an answer or an intervention.

use super::record::Account;
use super::words::counted;
use crate::evidence::{Evidence, Unmeasured};

/// One entry for each suite and condition with failed items. They stay in every denominator, and intervals allow either of them, so that a
/// failure neither clears nor convicts; but what was planned and not done outranks every verdict.
#[must_use]
pub fn failed(accounts: &[Account]) -> Vec<Unmeasured> {
    let lacking = accounts.iter().filter(|account| account.failed > 0);
    lacking
        .map(|account| Unmeasured {
            what: format!(
                "{} of {} under `{}` in `{}`",
                account.failed,
                counted(account.total(), "answer", "answers"),
                account.condition,
                account.suite
            ),
            why: "the model could not be run on them; they stay in every denominator, and may be right or wrong"
                .to_owned(),
        })
        .collect()
}

/// One entry for each map that lacks pairs: so many of those planned, and why the first of them.
#[must_use]
pub fn refused(evidence: &Evidence) -> Vec<Unmeasured> {
    let maps = evidence.maps.iter();
    maps.filter_map(|map| {
        let first = map.refused.first()?;
        let refused = map.refused.len();
        Some(Unmeasured {
            what: format!(
                "patching ({}) on {refused} of {} of `{}`",
                map.mode.name(),
                counted(refused + map.pairs.len(), "pair", "pairs"),
                map.suite
            ),
            why: format!("refused; the first, {}: {}", first.what, first.why),
        })
    })
    .collect()
}
