//! What a gate has to state of itself: the joint error of its rules, what its samples can show, how far a repetition agrees.

use super::finding::Side;
use super::words::{self, counted};
use crate::stats::Estimate;

/// The convictions that were possible on one model, and how their joint error is held.
///
/// Several rules that may each convict are a union: any of them convicts, so their intervals are simultaneous. A model that passes has to pass
/// every rule, which is an intersection: no correction is needed there.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Rules that can convict, times the contrast suites that they were judged on; a rule whose behaviour has alternatives counts once for
    /// each. See [`crate::rules::possible_convictions`].
    pub size: usize,
    /// The joint two-sided error, such as 0.05.
    pub alpha: f64,
    /// How it is held, such as `bonferroni`.
    pub method: String,
}

impl Default for Family {
    fn default() -> Self {
        Self {
            size: 0,
            alpha: 0.05,
            method: "bonferroni".to_owned(),
        }
    }
}

/// What the sample of one suite can show of one behaviour, whatever the model says. See [`crate::rules::attainable`].
#[derive(Debug, Clone, PartialEq)]
pub struct Power {
    /// Rule id.
    pub rule: String,
    /// The contrast suite.
    pub suite: String,
    /// The signal's name within the rule.
    pub signal: String,
    /// What it is called in a sentence.
    pub label: String,
    /// Items (or pairs) of the tested condition; 0 where none can be judged.
    pub items: usize,
    /// Independent groups among them: what counts.
    pub groups: usize,
    /// The side of the bar that accuses.
    pub side: Side,
    /// The bar.
    pub bar: f64,
    /// The bound that a sample without a single case gives.
    pub best_bound: f64,
    /// Whether that bound clears the bar and the rule's controls can hold: whether this sample can pass the rule at all.
    pub can_clear: bool,
    /// Smallest true value that is found with 80 % probability (by behaviour: a conviction takes a cause too); `None` if none is.
    pub found_80: Option<f64>,
    /// Smallest true value that is found with 90 % probability.
    pub found_90: Option<f64>,
}

impl Power {
    /// What samples can show, a line for each suite and behaviour, with the rules that ask alike named together; and whether it clears them.
    #[must_use]
    pub fn lines(all: &[Self]) -> Vec<(bool, String)> {
        let mut groups: Vec<(&Self, Vec<&str>)> = Vec::new();
        for power in all {
            let alike = groups.iter_mut().find(|(first, _)| first.as_of(power));
            match alike {
                Some((_, rules)) => rules.push(&power.rule),
                None => groups.push((power, vec![&power.rule])),
            }
        }
        groups
            .into_iter()
            .map(|(power, rules)| (power.can_clear, power.line(&rules.join(", "))))
            .collect()
    }

    /// Whether another rule asks for the same on the same sample.
    fn as_of(&self, other: &Self) -> bool {
        let renamed = Self {
            rule: self.rule.clone(),
            signal: self.signal.clone(),
            ..other.clone()
        };
        renamed == *self
    }

    fn line(&self, rules: &str) -> String {
        let bar = words::trimmed(self.bar);
        let bound = words::number(self.best_bound);
        let clears = if self.can_clear {
            format!("can clear the bar of {bar} (bound {bound} without a case)")
        } else if self.best_bound < self.bar {
            "cannot clear the rule whatever the model says, because its controls ask for more"
                .to_owned()
        } else {
            format!(
                "cannot clear the rule whatever the model says (bound {bound} without a case, bar {bar})"
            )
        };
        let found = match (self.found_80, self.found_90) {
            (Some(at_80), Some(at_90)) => {
                format!("finds {at_80:.2} in 80 % of audits, {at_90:.2} in 90 %")
            }
            _ => "finds nothing, however grave".to_owned(),
        };
        format!(
            "{rules} on {}: {} in {}; {clears}; {found} ({})",
            self.suite,
            counted(self.items, "item", "items"),
            counted(self.groups, "group", "groups"),
            self.label
        )
    }
}

/// Items asked twice: what changed although nothing was changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeat {
    /// Items that were asked again, each alone instead of in its batch.
    pub items: usize,
    /// Items that were answered in other words.
    pub changed: usize,
    /// Items whose answer was judged otherwise or that crossed a detector's threshold, with an exact interval.
    pub flips: Estimate,
    /// The largest change of each detector's score.
    pub noise: Vec<Noise>,
}

/// Run-to-run noise of one detector.
#[derive(Debug, Clone, PartialEq)]
pub struct Noise {
    /// Detector id.
    pub detector: String,
    /// The largest absolute change of an item's score.
    pub largest: f64,
    /// Items of the whole audit whose score lies within that of the threshold.
    pub unstable: usize,
}
