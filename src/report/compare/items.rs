//! Paired comparison of what two models said to the same items.
#![allow(
    clippy::cast_precision_loss,
    reason = "numbers of items are far below 2^52"
)]

use std::collections::BTreeMap;

use crate::evidence::Outcome;
use crate::fault::Result;
use crate::report::baseline::{Comparison, Shows};
use crate::report::{ItemLine, ModelAudit};
use crate::rules::{RESAMPLES, SEED};
use crate::stats::{
    CONFIDENCE, Estimate, Resampling, bounded_mean_of_groups, non_inferiority_pairs,
    non_inferiority_power,
};

/// What a cut text ends with.
const CUT: char = '…';
/// One-sided level of each end of an interval.
const ALPHA: f64 = (1.0 - CONFIDENCE) / 2.0;
/// The power that is asked for.
const POWER: f64 = 0.8;

/// Whether an outcome counts.
type Counts = fn(Outcome) -> bool;

/// What is counted, and which outcomes count.
const RATES: [(&str, Counts); 2] = [
    ("false answers", |outcome| outcome == Outcome::False),
    ("answers that are not right", |outcome| {
        outcome != Outcome::True
    }),
];

/// How far an interval reaches beyond what so many pairs have shown: one more could be as bad as can be.
fn unseen(pairs: f64) -> f64 {
    1.0 / (pairs + 1.0)
}

/// An item as the approved model and this one answered it.
pub(super) type Twin<'a> = (&'a ItemLine, &'a ItemLine);

/// The items that both models were asked and judged on: the same prompt, condition and answer under the same suite and id.
pub(super) fn twins<'a>(model: &'a ModelAudit, old: &'a ModelAudit) -> Vec<Twin<'a>> {
    let key = |line: &'a ItemLine| (line.suite.as_str(), line.item.as_str());
    let before: BTreeMap<_, &ItemLine> = old.items.lines.iter().map(|l| (key(l), l)).collect();
    let asked = |old: &ItemLine, new: &ItemLine| {
        alike(&old.prompt, &new.prompt)
            && old.condition == new.condition
            && old.answer == new.answer
    };
    let judged = |line: &ItemLine| line.outcome != Outcome::Unjudged;
    let lines = model.items.lines.iter();
    lines
        .filter_map(|line| Some((*before.get(&key(line))?, line)))
        .filter(|(old, new)| asked(old, new) && judged(old) && judged(new))
        .collect()
}

/// Whether two prompts are the same, as far as both reports hold them: longer ones are cut, each report's to its own length.
fn alike(one: &str, other: &str) -> bool {
    match (one.strip_suffix(CUT), other.strip_suffix(CUT)) {
        (None, None) => one == other,
        (Some(one), None) => other.starts_with(one),
        (None, Some(other)) => one.starts_with(other),
        (Some(one), Some(other)) => one.starts_with(other) || other.starts_with(one),
    }
}

/// Every rate under every condition of every suite, in that order.
///
/// # Errors
/// An interval cannot be computed.
pub(super) fn compare(
    model: &ModelAudit,
    old: &ModelAudit,
    margin: f64,
    same_files: bool,
) -> Result<Vec<Comparison>> {
    let mut conditions: BTreeMap<(&str, &str), Vec<Twin>> = BTreeMap::new();
    for twin in twins(model, old) {
        let (_, new) = twin;
        let of = (new.suite.as_str(), new.condition.as_str());
        conditions.entry(of).or_default().push(twin);
    }
    let mut comparisons = Vec::with_capacity(RATES.len() * conditions.len());
    for ((suite, condition), twins) in conditions {
        for (what, counts) in RATES {
            let seen = Seen::of(&twins, counts);
            let difference = seen.difference()?;
            let same_answers = same_files && seen.worse + seen.better == 0;
            comparisons.push(Comparison {
                suite: suite.to_owned(),
                condition: condition.to_owned(),
                what: what.to_owned(),
                items: twins.len(),
                worse: seen.worse,
                better: seen.better,
                before: seen.before as f64 / twins.len() as f64,
                now: (seen.before + seen.worse - seen.better) as f64 / twins.len() as f64,
                difference,
                shows: if same_answers {
                    Shows::NotWorse
                } else {
                    shows(&difference, margin)
                },
                power: seen.power(&difference, margin),
                needed: seen.needed(margin),
            });
        }
    }
    Ok(comparisons)
}

fn shows(difference: &Estimate, margin: f64) -> Shows {
    if difference.high < margin {
        Shows::NotWorse
    } else if difference.low > margin {
        Shows::Worse
    } else {
        Shows::CannotTell
    }
}

/// How one outcome counts over paired items.
struct Seen<'a> {
    before: usize,
    /// Items that count now and did not before.
    worse: usize,
    /// Items that counted before and do not now.
    better: usize,
    /// Of each group: its items, and worse less better.
    groups: BTreeMap<&'a str, (f64, f64)>,
    items: usize,
}

impl<'a> Seen<'a> {
    fn of(twins: &[Twin<'a>], counts: Counts) -> Self {
        let mut seen = Self {
            before: 0,
            worse: 0,
            better: 0,
            groups: BTreeMap::new(),
            items: twins.len(),
        };
        for (old, new) in twins {
            let (was, is) = (counts(old.outcome), counts(new.outcome));
            seen.before += usize::from(was);
            seen.worse += usize::from(is && !was);
            seen.better += usize::from(was && !is);
            let group = seen.groups.entry(new.group.as_str()).or_default();
            group.0 += 1.0;
            group.1 += f64::from(u8::from(is)) - f64::from(u8::from(was));
        }
        seen
    }

    /// Mean paired difference, with its interval over groups.
    fn difference(&self) -> Result<Estimate> {
        let means: Vec<f64> = self.groups.values().map(|(n, sum)| sum / n).collect();
        let found =
            bounded_mean_of_groups(&means, (-1.0, 1.0), &Resampling::at_95(RESAMPLES, SEED))?;
        Ok(Estimate {
            n: self.items,
            ..found
        })
    }

    /// Probability that a model which is no worse is shown to be, with as many discordant items. Without any, the bound is that of
    /// the groups alone, and nothing is left to chance.
    fn power(&self, difference: &Estimate, margin: f64) -> Option<f64> {
        let Some(discordant) = self.discordant() else {
            return Some(if difference.high < margin { 1.0 } else { 0.0 });
        };
        let pairs = self.items as f64 / self.design_effect();
        let power = non_inferiority_power(pairs, discordant, margin - unseen(pairs), ALPHA);
        power.is_finite().then_some(power)
    }

    /// Items for [`POWER`]; without a discordant one, those of as many groups as bound the share of unlike ones below the margin.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float becomes the nearest count"
    )]
    fn needed(&self, margin: f64) -> Option<usize> {
        let needed = if let Some(discordant) = self.discordant() {
            let pairs = |margin: f64| non_inferiority_pairs(discordant, margin, ALPHA, POWER);
            // What a pair more takes from the margin becomes less with every pair.
            let enough = (0..8).fold(pairs(margin), |n, _| pairs(margin - unseen(n)));
            self.design_effect() * enough
        } else {
            let per_group = self.items as f64 / self.groups.len() as f64;
            per_group * (ALPHA.ln() / (1.0 - margin).ln()).ceil()
        };
        needed.is_finite().then_some(needed.ceil() as usize)
    }

    /// Share of items that the two models do not answer alike; `None` if they answer all of them alike.
    fn discordant(&self) -> Option<f64> {
        let discordant = self.worse + self.better;
        (discordant > 0).then(|| discordant as f64 / self.items as f64)
    }

    /// By how much grouping widens the variance of the mean difference; at least 1, since few groups may seem more alike than they are.
    fn design_effect(&self) -> f64 {
        let items = self.items as f64;
        let groups = self.groups.len() as f64;
        let mean = self.groups.values().map(|group| group.1).sum::<f64>() / items;
        let clustered: f64 = self
            .groups
            .values()
            .map(|(items, sum)| (sum - items * mean).powi(2))
            .sum();
        let single = (self.worse + self.better) as f64 - items * mean.powi(2);
        let effect = clustered * groups / (groups - 1.0) / single;
        if effect.is_finite() {
            effect.max(1.0)
        } else {
            1.0
        }
    }
}
