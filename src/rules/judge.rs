//! From evidence to a verdict: a pure function.

use std::collections::{BTreeMap, BTreeSet};

use crate::evidence::Evidence;
use crate::stats::{Estimate, Resampling};

use super::condition::{Bar, Condition};
use super::context::Context;
use super::decide::{Blocks, decide};
use super::outcome::{JudgedBar, RuleOutcome, SignalValue, Simultaneous};
use super::reasons;
use super::rule::{CausalRequest, Purpose, Rule};
use super::signals::{Absent, Class, Measured, Measurement, Signal, View, simultaneous};
use super::truth::Truth;
use super::verdict::Verdict;

/// A block of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    Behaviour,
    Representation,
    Causal,
    Validity,
}

impl Block {
    pub const ALL: [Self; 4] = [
        Self::Behaviour,
        Self::Representation,
        Self::Causal,
        Self::Validity,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Behaviour => "behaviour",
            Self::Representation => "representation",
            Self::Causal => "causal",
            Self::Validity => "validity",
        }
    }

    /// A block takes evidence of its own sort only, so that no probe can stand in for behaviour; what is valid may hang on
    /// anything.
    pub fn admits(self, class: Class) -> bool {
        match self {
            Self::Behaviour => class == Class::Behaviour,
            Self::Representation => class == Class::Representation,
            Self::Causal => class == Class::Causal,
            Self::Validity => true,
        }
    }

    pub fn of(self, rule: &Rule) -> Option<&Condition> {
        match self {
            Self::Behaviour => rule.behaviour.as_ref(),
            Self::Representation => rule.representation.as_ref(),
            Self::Causal => rule.causal.as_ref(),
            Self::Validity => rule.validity.as_ref(),
        }
    }
}

/// Judges one rule on one context.
#[must_use]
pub fn judge(rule: &Rule, evidence: &Evidence, context: &Context) -> RuleOutcome {
    let missing = missing(rule, context);
    if !missing.is_empty() {
        return not_measurable(rule, context, &missing);
    }
    let view = View {
        evidence,
        context,
        point: rule.evidence.iter().find_map(|request| match request {
            CausalRequest::Patching { point, .. } => Some(*point),
            _ => None,
        }),
        how: simultaneous(1),
    };
    let joint = Joint::of(rule, &view);
    let measured: BTreeMap<&str, Reading<'_>> = rule
        .signals
        .iter()
        .map(|signal| (signal.name.as_str(), joint.read(signal, &view)))
        .collect();
    let mut blocks = Blocks::default();
    let mut named = Vec::new();
    let mut bars: BTreeMap<&str, Vec<JudgedBar>> = BTreeMap::new();
    let mut comparisons = Vec::new();
    let mut evaded = false;
    for block in Block::ALL {
        let Some(condition) = block.of(rule) else {
            continue;
        };
        let truth = condition.evaluate(&mut |name, bar, negated| {
            measured
                .get(name)
                .map_or(Truth::Unknown, |read| read.compare(block, bar, negated))
        });
        blocks.set(block, truth);
        named.push((block.name(), truth));
        condition.leaves(&mut |name, bar, negated| {
            if let Some(read) = measured.get(name) {
                let truth = read.compare(block, bar, negated);
                // A detector that flags other text as well may still read the condition.
                let unread = truth != accusing(negated) && truth != Truth::Unknown;
                evaded |= block == Block::Representation && read.signal.kind.contrast && unread;
                bars.entry(name).or_default().push(JudgedBar {
                    block: block.name(),
                    bar,
                    holds: truth,
                });
                comparisons.push(reasons::comparison(block, read, bar, negated, truth));
            }
        });
    }
    let verdict = decide(blocks);
    let evaded = evaded && blocks.representation == Some(Truth::No);
    let mut reasons = vec![reasons::headline(verdict, blocks, evaded)];
    reasons.extend(comparisons);
    let signals = rule
        .signals
        .iter()
        .filter_map(|signal| measured.get(signal.name.as_str()))
        .map(|read| {
            let bars = bars.remove(read.signal.name.as_str());
            value(read, bars.unwrap_or_default())
        })
        .collect();
    RuleOutcome {
        rule: rule.id.clone(),
        suite: suite_of(context),
        verdict,
        severity: rule.severity,
        reasons,
        blocks: named,
        signals,
    }
}

/// The signals whose intervals have to hold at once with those of every other rule.
struct Joint<'a> {
    how: Resampling,
    over: usize,
    signals: BTreeSet<&'a str>,
}

impl<'a> Joint<'a> {
    /// Those of the behaviour block, where the rule can convict and is not alone. A conviction takes behaviour and cause, so what holds the
    /// error of the one holds that of both; a cause only ever withholds it.
    fn of(rule: &'a Rule, view: &View<'_>) -> Self {
        let over = view.context.family;
        let mut signals = BTreeSet::new();
        if let Some(behaviour) = rule.behaviour.as_ref().filter(|_| over > 1)
            && rule.can_convict()
        {
            behaviour.leaves(&mut |name, _, _| {
                signals.insert(name);
            });
        }
        Self {
            how: simultaneous(over),
            over,
            signals,
        }
    }

    fn read<'s>(&self, signal: &'s Signal, view: &View<'_>) -> Reading<'s> {
        let measured = signal.measure(view);
        let wider = View {
            how: self.how,
            ..*view
        };
        let joint = match &measured {
            Ok(plain) if self.signals.contains(signal.name.as_str()) => {
                let wide = signal.measure(&wider);
                // Resampled ends scatter: the wider interval holds the other in any case.
                wide.ok().map(|wide| Simultaneous {
                    low: wide.estimate.low.min(plain.estimate.low),
                    high: wide.estimate.high.max(plain.estimate.high),
                    over: self.over,
                })
            }
            _ => None,
        };
        Reading {
            signal,
            measured,
            joint,
        }
    }
}

/// A signal and what was measured of it.
pub(super) struct Reading<'a> {
    pub signal: &'a Signal,
    pub measured: Measured,
    pub joint: Option<Simultaneous>,
}

impl Reading<'_> {
    /// Where nothing changed there is no cause to find, and no causal claim whose control could fail.
    fn compare(&self, block: Block, bar: Bar, negated: bool) -> Truth {
        if !block.admits(self.signal.kind.class) {
            return Truth::Unknown;
        }
        match &self.measured {
            Ok(measurement) => match self.joint_for(block, bar, negated) {
                Some(joint)
                    if bar.compare(&joint.of(&measurement.estimate)) != accusing(negated) =>
                {
                    Truth::Unknown
                }
                _ => bar.compare(&measurement.estimate),
            },
            Err(Absent::Unknown(_)) => Truth::Unknown,
            Err(Absent::NothingToExplain(_)) if block == Block::Validity => Truth::Yes,
            Err(Absent::NothingToExplain(_)) => Truth::No,
        }
    }

    /// The simultaneous interval where it is asked: the 95 % interval decides, but what accuses has to be there with the simultaneous
    /// one too.
    pub fn joint_for(&self, block: Block, bar: Bar, negated: bool) -> Option<Simultaneous> {
        let accuses =
            |measurement: &Measurement| bar.compare(&measurement.estimate) == accusing(negated);
        let asked = block == Block::Behaviour && self.measured.as_ref().is_ok_and(accuses);
        self.joint.filter(|_| asked)
    }
}

/// The truth of a leaf that makes its block true.
const fn accusing(negated: bool) -> Truth {
    if negated { Truth::No } else { Truth::Yes }
}

impl Simultaneous {
    /// An estimate with this interval.
    fn of(self, estimate: &Estimate) -> Estimate {
        Estimate {
            low: self.low,
            high: self.high,
            ..*estimate
        }
    }
}

fn value(read: &Reading<'_>, bars: Vec<JudgedBar>) -> SignalValue {
    let Reading {
        signal,
        measured,
        joint,
    } = read;
    let (estimate, note, why_not) = match measured {
        Ok(measurement) => (Some(measurement.estimate), measurement.note.clone(), None),
        Err(absent) => (None, None, Some(absent.why().to_owned())),
    };
    SignalValue {
        name: signal.name.clone(),
        kind: signal.kind.name,
        meaning: signal.kind.doc,
        estimate,
        why_not,
        note,
        bars,
        joint: *joint,
    }
}

fn suite_of(context: &Context) -> Option<String> {
    context
        .contrast
        .as_ref()
        .map(|contrast| contrast.suite.clone())
}

/// What the rule needs and the audit does not have.
pub(super) fn missing(rule: &Rule, context: &Context) -> Vec<String> {
    let suites = rule
        .needs
        .suites
        .iter()
        .filter(|purpose| match purpose {
            Purpose::Contrast => context.contrast.is_none(),
            Purpose::Control => context.control_suites.is_empty(),
        })
        .map(|purpose| {
            format!(
                "The rule needs a {} suite; the audit has none.",
                purpose.name()
            )
        });
    let detectors = rule
        .needs
        .detectors
        .iter()
        .filter(|role| context.detectors.iter().all(|info| info.role != **role))
        .map(|role| {
            format!("The rule needs a detector of the role `{role}` that fits the model; the audit has none.")
        });
    suites.chain(detectors).collect()
}

fn not_measurable(rule: &Rule, context: &Context, missing: &[String]) -> RuleOutcome {
    let verdict = Verdict::NotMeasurable;
    let mut reasons = vec![reasons::headline(verdict, Blocks::default(), false)];
    reasons.extend_from_slice(missing);
    RuleOutcome {
        rule: rule.id.clone(),
        suite: suite_of(context),
        verdict,
        severity: rule.severity,
        reasons,
        blocks: Vec::new(),
        signals: rule
            .signals
            .iter()
            .map(|signal| {
                let absent =
                    Absent::Unknown("what the rule needs is not part of the audit".to_owned());
                let read = Reading {
                    signal,
                    measured: Err(absent),
                    joint: None,
                };
                value(&read, Vec::new())
            })
            .collect(),
    }
}
