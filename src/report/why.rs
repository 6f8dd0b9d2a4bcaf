//! Why a model has its verdict: a number and a sentence, made from what was measured on it.

use super::exhibit::{Aim, ContrastExhibit, EffectExhibit};
use super::{Account, DetectorRecord, Finding, ModelAudit, words};
use crate::rules::Verdict;

/// What matters most on one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// The number to look at first; `None` where no answers of pairs were judged.
    pub figure: Option<Figure>,
    /// Why the model has its verdict. Names of conditions, detectors and sites stand in backticks where they are the user's.
    pub sentence: String,
    /// The measurements that the sentence rests on, each in a few words.
    pub numbers: Vec<String>,
}

/// So many pairs of so many, and what about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// Such as `128 of 128`.
    pub value: String,
    /// Such as ``false under `trigger` ``.
    pub what: String,
    /// Such as ``0 under `neutral` ``.
    pub against: String,
}

impl ModelAudit {
    /// The number and the sentence that matter for this model.
    #[must_use]
    pub fn why(&self) -> Why {
        let Some(leading) = self.leading() else {
            return Why {
                figure: None,
                sentence: "No rule was applied.".to_owned(),
                numbers: Vec::new(),
            };
        };
        let facts = Facts::of(self, leading);
        Why {
            figure: facts.behaviour.as_ref().map(Behaviour::figure),
            sentence: facts.sentence(),
            numbers: facts.numbers(),
        }
    }
}

/// What is known of the suite that the leading finding was judged on.
struct Facts<'a> {
    finding: &'a Finding,
    behaviour: Option<Behaviour<'a>>,
    /// The intervention that turned the most answers.
    effect: Option<&'a EffectExhibit>,
    /// The probe of the condition that separates best, and its AUROC.
    probe: Option<(&'a DetectorRecord, f64)>,
}

impl<'a> Facts<'a> {
    fn of(model: &'a ModelAudit, finding: &'a Finding) -> Self {
        let here = |suite: &str| finding.suite.as_deref().is_none_or(|own| own == suite);
        let contrasts = model.exhibits.contrasts.iter();
        let effects = model.exhibits.effects.iter();
        Self {
            finding,
            behaviour: contrasts
                .filter(|contrast| here(&contrast.tested.suite))
                .filter_map(Behaviour::of)
                .reduce(|worst, next| {
                    if next.harm() > worst.harm() {
                        next
                    } else {
                        worst
                    }
                }),
            effect: effects
                .filter(|effect| effect.aim == Aim::Restore && here(&effect.suite))
                .reduce(|best, next| {
                    if share(next) > share(best) {
                        next
                    } else {
                        best
                    }
                }),
            probe: model
                .detectors
                .iter()
                .filter(|detector| detector.role == "condition")
                .filter_map(|detector| Some((detector, detector.auroc?.point)))
                .max_by(|a, b| a.1.total_cmp(&b.1)),
        }
    }

    fn sentence(&self) -> String {
        let behaviour = self.behaviour.as_ref();
        let said = behaviour.map(Behaviour::sentence);
        let headline = self.finding.reasons.first().map(String::as_str);
        let effect = self.effect.map(effect);
        let probe = self.probe.map(probe);
        match self.finding.verdict {
            Verdict::Fail => joined(
                &[said, effect.map(|effect| words::sentence(&effect))],
                headline,
            ),
            Verdict::Review => {
                let inside = probe.into_iter().chain(effect);
                let inside = inside.map(|fact| Some(words::sentence(&fact)));
                let parts: Vec<_> = [said, headline.map(unstopped)]
                    .into_iter()
                    .chain(inside)
                    .collect();
                joined(&parts, None)
            }
            Verdict::ConditionalBenign => {
                let close = if behaviour.is_some_and(|b| b.harm() <= 0) {
                    "so the condition decides how the model answers, not whether the answer is right"
                } else {
                    "but what changes for the worse stays below the bar that the rule sets"
                };
                let inside: Vec<String> = probe.into_iter().chain(effect).collect();
                let inside = (!inside.is_empty())
                    .then(|| words::sentence(&format!("{}, {close}", inside.join(" and "))));
                joined(&[said, inside], headline)
            }
            Verdict::Pass => joined(&[said, probe.map(|p| words::sentence(&p))], headline),
            Verdict::Inconclusive | Verdict::NotMeasurable => {
                let gap = gap(self.finding).map(|gap| words::sentence(&gap));
                joined(&[headline.map(unstopped), gap, said], None)
            }
        }
    }

    fn numbers(&self) -> Vec<String> {
        let mut numbers: Vec<String> = self.behaviour.iter().map(Behaviour::short).collect();
        numbers.extend(self.effect.map(|effect| {
            let random = effect
                .turned_random
                .map_or_else(String::new, |random| format!(", random {}", random.hits));
            let turned = effect.turned;
            format!("edit: {} of {}{random}", turned.hits, turned.of)
        }));
        numbers.extend(
            self.probe
                .map(|(_, auroc)| format!("probe AUROC: {}", words::number(auroc))),
        );
        numbers
    }
}

/// Sentences of what there is, or `otherwise`.
fn joined(parts: &[Option<String>], otherwise: Option<&str>) -> String {
    let said: Vec<String> = parts
        .iter()
        .flatten()
        .map(|part| format!("{part}."))
        .collect();
    if said.is_empty() {
        return otherwise.unwrap_or_default().to_owned();
    }
    said.join(" ")
}

fn unstopped(text: &str) -> String {
    text.trim_end_matches('.').to_owned()
}

/// How the answers of pairs compare, told by what became worse.
struct Behaviour<'a> {
    contrast: &'a ContrastExhibit,
    /// Right answers are what changed most, or nothing did.
    by_right: bool,
}

impl<'a> Behaviour<'a> {
    fn of(contrast: &'a ContrastExhibit) -> Option<Self> {
        let judged = |account: &Account| account.total() > account.unjudged;
        if !judged(&contrast.tested) && !judged(&contrast.baseline) {
            return None;
        }
        let (risen, lost) = changes(contrast);
        Some(Self {
            contrast,
            by_right: lost > risen || risen <= 0,
        })
    }

    /// Pairs by which it is worse; 0 or less where nothing is.
    fn harm(&self) -> i128 {
        let (risen, lost) = changes(self.contrast);
        risen.max(lost)
    }

    fn count(&self, account: &Account) -> usize {
        if self.by_right {
            account.said_true
        } else {
            account.said_false
        }
    }

    fn what(&self) -> &'static str {
        if self.by_right { "right" } else { "false" }
    }

    fn figure(&self) -> Figure {
        let ContrastExhibit {
            tested, baseline, ..
        } = self.contrast;
        Figure {
            value: format!("{} of {}", self.count(tested), tested.total()),
            what: format!("{} under `{}`", self.what(), tested.condition),
            against: format!("{} under `{}`", self.count(baseline), baseline.condition),
        }
    }

    fn short(&self) -> String {
        let ContrastExhibit {
            tested, baseline, ..
        } = self.contrast;
        format!(
            "{}: {} of {}, baseline {}",
            self.what(),
            self.count(tested),
            tested.total(),
            self.count(baseline)
        )
    }

    fn sentence(&self) -> String {
        let ContrastExhibit {
            tested, baseline, ..
        } = self.contrast;
        let (now, before) = (self.count(tested), self.count(baseline));
        let compared = if now == before {
            "as".to_owned()
        } else {
            format!("against {before}")
        };
        let wording = match self.contrast.changed {
            _ if self.harm() > 0 => String::new(),
            0 => ", word for word".to_owned(),
            changed => format!(", though in other words in {changed}"),
        };
        format!(
            "{} in {now} of {} pairs under `{}`, {compared} under `{}`{wording}",
            words::sentence(self.what()),
            tested.total(),
            tested.condition,
            baseline.condition
        )
    }
}

/// By how many pairs falsehoods rose and right answers fell.
fn changes(contrast: &ContrastExhibit) -> (i128, i128) {
    // A count of items fits in 127 bits.
    let wide = |count: usize| count as i128;
    let ContrastExhibit {
        tested, baseline, ..
    } = contrast;
    (
        wide(tested.said_false) - wide(baseline.said_false),
        wide(baseline.said_true) - wide(tested.said_true),
    )
}

#[allow(clippy::cast_precision_loss, reason = "only compared with others")]
fn share(effect: &EffectExhibit) -> f64 {
    effect.turned.hits as f64 / effect.turned.of as f64
}

fn effect(effect: &EffectExhibit) -> String {
    let turned = effect.turned;
    let random = effect.turned_random.map_or_else(String::new, |random| {
        let directions = effect.random.len();
        let hits = random.hits;
        format!(", the best of {directions} random directions in {hits}")
    });
    format!(
        "{} brings the baseline's answer back in {} of {} pairs{random}",
        effect.title, turned.hits, turned.of
    )
}

fn probe((detector, auroc): (&DetectorRecord, f64)) -> String {
    format!(
        "the probe `{}` tells the two conditions apart with AUROC {} (chance is 0.5)",
        detector.id,
        words::number(auroc)
    )
}

/// The first thing that keeps a rule from a conclusion.
fn gap(finding: &Finding) -> Option<String> {
    let bars = || {
        let signals = finding.signals.iter();
        signals.flat_map(|signal| signal.bars.iter().map(move |bar| (signal, bar)))
    };
    let invalid = bars().find(|(_, bar)| bar.block == "validity" && bar.met == Some(false));
    let open = || bars().find(|(signal, bar)| bar.met.is_none() && signal.estimate.is_some());
    if let Some((signal, bar)) = invalid.or_else(open) {
        let estimate = signal.estimate?;
        let undecided = (estimate.low..=estimate.high).contains(&bar.value);
        // Beyond the bar, and not established: what accuses is held against the simultaneous interval.
        let joint = signal.joint.filter(|_| bar.met.is_none() && !undecided);
        let interval = joint.map_or_else(
            || format!("95 % interval {}", words::interval(&estimate)),
            |joint| {
                let range = words::range(joint.low, joint.high);
                format!("interval simultaneous over all rules {range}")
            },
        );
        return Some(format!(
            "{}: {} ({interval}), asked: {}",
            signal.label,
            words::number(estimate.point),
            words::bar(bar)
        ));
    }
    finding.signals.iter().find_map(|signal| {
        let why_not = signal.why_not.as_ref()?;
        Some(format!("{}: not measured, because {why_not}", signal.label))
    })
}
