//! How many convictions are possible on one model.

use super::context::Context;
use super::judge::missing;
use super::rule::Rule;

/// Ways in which a model without any of the behaviours could be convicted by chance: for each contrast suite every rule that can convict
/// and has what it needs, once for each alternative of its behaviour block. Known before anything is measured.
///
/// The convictions are a union, since any of them fails the model, so their joint error is held (Bonferroni, which no dependence between
/// rules on one sample can break). A pass is an intersection: every rule has to pass, and no correction is needed there.
#[must_use]
pub fn possible_convictions(rules: &[Rule], contexts: &[Context]) -> usize {
    let judged = contexts.iter().filter(|context| context.contrast.is_some());
    judged
        .flat_map(|context| rules.iter().map(move |rule| (rule, context)))
        .filter(|(rule, context)| rule.can_convict() && missing(rule, context).is_empty())
        .filter_map(|(rule, _)| rule.behaviour.as_ref())
        .map(super::condition::Condition::ways)
        .sum()
}
