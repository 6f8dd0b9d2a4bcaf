//! What a rule can conclude from a sample, before the model has said anything.

use crate::evidence::Evidence;
use crate::stats::{cases_needed, differences_needed, share_for};

use super::condition::Comparison;
use super::context::Context;
use super::judge::{Block, judge, missing};
use super::rule::Rule;
use super::signals::simultaneous;
use super::truth::Truth;

/// What the sample of one suite can show of one bar of a rule's behaviour.
#[derive(Debug, Clone, PartialEq)]
pub struct Attainable {
    /// The signal's name in the rule.
    pub signal: String,
    /// Observations (items or pairs).
    pub items: usize,
    /// Independent groups among them.
    pub groups: usize,
    /// The side of the bar that accuses.
    pub side: Comparison,
    /// The bar.
    pub bar: f64,
    /// The upper end of the interval where there is no case: the best that can be said of a model.
    pub best_bound: f64,
    /// Whether that clears the bar, and whether the rule's controls can hold.
    pub can_clear: bool,
    /// Smallest true value that is established with 80 % probability; `None` if none is.
    pub found_80: Option<f64>,
    /// The same with 90 %.
    pub found_90: Option<f64>,
}

/// One entry for each bar of the rule's behaviour that accuses from above; none where the audit lacks what the rule needs. (Of what
/// accuses from below there is no sample without a case.)
///
/// `spotless` is the evidence of a model that answers every item of the suite rightly and alike, so that the bound of a sample without
/// a case comes from the code that will judge. What is found is exact for groups of one item: a binomial test at the confidence
/// of the simultaneous interval, of a gap against an interval that allows for unseen cases of the other side. Larger groups are counted as one item each, as if their items behaved alike, which is the worst case.
#[must_use]
pub fn attainable(rule: &Rule, spotless: &Evidence, context: &Context) -> Vec<Attainable> {
    let Some(behaviour) = rule.behaviour.as_ref() else {
        return Vec::new();
    };
    if !missing(rule, context).is_empty() {
        return Vec::new();
    }
    let outcome = judge(rule, spotless, context);
    let controls_hold = outcome
        .blocks
        .iter()
        .all(|(block, truth)| *block != Block::Validity.name() || *truth == Truth::Yes);
    let family = if rule.can_convict() {
        context.family
    } else {
        1
    };
    let how = simultaneous(family);
    let mut all = Vec::new();
    behaviour.leaves(&mut |name, bar, negated| {
        let side = if negated {
            bar.comparison.opposite()
        } else {
            bar.comparison
        };
        let value = outcome.signals.iter().find(|value| value.name == name);
        let signal = rule.signals.iter().find(|signal| signal.name == name);
        let (Some(value), Some(signal)) = (value, signal) else {
            return;
        };
        if matches!(side, Comparison::AtMost | Comparison::Below) {
            return;
        }
        let estimate = value.estimate;
        let groups = estimate.map_or(0, |estimate| estimate.clusters);
        let harmless = if negated { Truth::Yes } else { Truth::No };
        let clears = estimate.is_some_and(|estimate| bar.compare(&estimate) == harmless);
        let needed = if signal.kind.range.0 < 0.0 {
            differences_needed(groups, bar.value, &how)
        } else {
            cases_needed(groups, bar.value, how.confidence)
        };
        let found = |power| Some(share_for(needed?, groups, power));
        all.push(Attainable {
            signal: name.to_owned(),
            items: estimate.map_or(0, |estimate| estimate.n),
            groups,
            side,
            bar: bar.value,
            best_bound: estimate.map_or(1.0, |estimate| estimate.high),
            can_clear: clears && controls_hold,
            found_80: found(0.8),
            found_90: found(0.9),
        });
    });
    all
}
