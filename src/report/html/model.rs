//! One model's part of the page.

use super::gate::{PowerView, RepeatView, Tag, powers, repeat, tags};
use super::heat::MapView;
use super::items::{ItemsView, cut};
use super::path::{PathView, paths};
use super::signals::{Check, Measures, ValueView};
use super::strips::{EffectView, StripGroup, groups};
use super::{Chip, Prose, anchor_of, model_anchor, prose};
use crate::evidence::Unmeasured;
use crate::report::counted;
use crate::report::output::shows;
use crate::report::{
    Account, AnswerPair, AuditReport, DetectorRecord, Family, Finding, ModelAudit, RuleDoc, Sample,
    WaiverRecord, gates, gating_severity, words,
};
use crate::rules::{Severity, Verdict};

pub(super) struct ModelView<'a> {
    /// Unique on the page, whatever the model's name.
    pub anchor: String,
    pub model: &'a ModelAudit,
    pub chip: Chip,
    pub severity: Option<&'static str>,
    pub figure: Option<FigureView>,
    pub why: Prose,
    pub tally: String,
    pub architecture: String,
    pub instrument_difference: Option<String>,
    /// Whether its evidence is unfolded at first.
    pub open: bool,
    pub findings: Vec<FindingView<'a>>,
    /// Findings below the severity that was asked for.
    pub hidden: usize,
    pub measures: Measures<'a>,
    pub accounts: Vec<AccountView<'a>>,
    pub answers: Vec<AnswerView<'a>>,
    pub effects: Vec<EffectView<'a>>,
    /// Why there is no intervention to show.
    pub no_effects: &'a str,
    /// What a reader of the verdict has to know first.
    pub caveats: Vec<Prose>,
    pub incomplete: Vec<(Prose, Prose)>,
    pub unmeasured: Vec<(Prose, Prose)>,
    pub maps: Vec<MapView<'a>>,
    pub paths: Vec<PathView>,
    pub strips: Vec<StripGroup<'a>>,
    pub detectors: Vec<DetectorView<'a>>,
    pub samples: Vec<SampleView<'a>>,
    pub items: ItemsView<'a>,
    pub powers: Vec<PowerView<'a>>,
    pub repeat: Option<RepeatView<'a>>,
    /// How the joint error of several rules is held; `None` where only one conviction was possible.
    pub family: Option<String>,
}

pub(super) struct SampleView<'a> {
    pub sample: &'a Sample,
    pub prompt: String,
    pub said: String,
    pub outcome: &'static str,
}

/// Characters of a sample that are shown.
const MOST_CHARS: usize = 600;

pub(super) struct FindingView<'a> {
    pub anchor: String,
    pub tags: Vec<Tag>,
    pub waiver: Option<&'a WaiverRecord>,
    pub finding: &'a Finding,
    pub rule: Option<(String, &'a RuleDoc)>,
    /// Whether something is to be done about it.
    pub act: bool,
    pub chip: Chip,
    pub severity: Option<&'static str>,
    pub open: bool,
    pub checks: Vec<Check<'a>>,
}

pub(super) struct FigureView {
    pub value: String,
    pub what: Prose,
    pub against: Prose,
}

pub(super) struct AccountView<'a> {
    pub account: &'a Account,
    /// Widths in percent: true, false, unclear, not judged, failed.
    pub shares: [String; 5],
}

pub(super) struct AnswerView<'a> {
    pub pair: &'a AnswerPair,
    pub baseline: Vec<Word<'a>>,
    pub tested: Vec<Word<'a>>,
    pub baseline_said: String,
    pub said: String,
    pub baseline_outcome: &'static str,
    pub outcome: &'static str,
    pub baseline_class: &'static str,
    pub class: &'static str,
}

/// Words that are shown at each side of what differs and at the beginning of a long prompt; at its end three times as many.
const AROUND: usize = 16;

/// A word of a prompt, and whether the other prompt of the pair has another one there.
pub(super) struct Word<'a> {
    pub text: &'a str,
    pub differs: bool,
}

pub(super) struct DetectorView<'a> {
    pub detector: &'a DetectorRecord,
    pub threshold: String,
    /// How many limits there are, and what they are.
    pub limits: (String, Vec<Prose>),
    pub declared: Option<String>,
    /// How well an SAE fits this audit's activations.
    pub fit: Vec<(&'static str, String)>,
    pub measured: Vec<(&'static str, ValueView)>,
}

impl<'a> ModelView<'a> {
    /// `listed` is how many of its items the page lists.
    pub fn of(
        index: usize,
        model: &'a ModelAudit,
        report: &'a AuditReport,
        listed: usize,
        least: Severity,
    ) -> Self {
        let why = model.why();
        let anchor = model_anchor(index);
        let mut ordered: Vec<(String, &Finding)> = model
            .findings
            .iter()
            .enumerate()
            .map(|(at, finding)| (anchor_of(index, at), finding))
            .collect();
        ordered.sort_by_key(|(_, f)| std::cmp::Reverse((gates(report, f), f.verdict, f.severity)));
        let in_order: Vec<&Finding> = ordered.iter().map(|(_, finding)| *finding).collect();
        let measures = Measures::of(&in_order, &anchor);
        ordered.retain(|(_, finding)| shows(finding, least));
        Self {
            chip: Chip::from(model.verdict),
            severity: model.leading().and_then(severity),
            figure: why.figure.map(|figure| FigureView {
                value: figure.value,
                what: prose(&figure.what),
                against: prose(&figure.against),
            }),
            why: prose(&why.sentence),
            tally: tally(model),
            architecture: architecture(model),
            instrument_difference: model.instrument_difference.map(words::number),
            open: !matches!(model.verdict, Verdict::Pass | Verdict::ConditionalBenign),
            hidden: model.findings.len() - ordered.len(),
            findings: findings(ordered, &measures, report),
            no_effects: no_effects(model),
            accounts: model.accounts.iter().map(account).collect(),
            answers: model.exhibits.answers.iter().map(answer).collect(),
            effects: model.exhibits.effects.iter().map(EffectView::of).collect(),
            maps: model.exhibits.maps.iter().map(MapView::of).collect(),
            paths: paths(&model.exhibits.maps),
            strips: groups(&model.exhibits.token_scores, &model.detectors),
            detectors: model.detectors.iter().map(detector).collect(),
            incomplete: gaps(&model.incomplete),
            unmeasured: gaps(&model.unmeasured),
            caveats: model.caveats.iter().map(|caveat| prose(caveat)).collect(),
            samples: model
                .samples
                .iter()
                .map(|sample| SampleView {
                    prompt: cut(&sample.prompt, MOST_CHARS),
                    said: cut(&sample.said, MOST_CHARS),
                    outcome: words::outcome(sample.outcome),
                    sample,
                })
                .collect(),
            items: ItemsView::of(model, listed),
            powers: powers(model),
            repeat: model.repeat.as_ref().map(repeat),
            family: family(&model.family),
            measures,
            anchor,
            model,
        }
    }
}

fn gaps(gaps: &[Unmeasured]) -> Vec<(Prose, Prose)> {
    let gaps = gaps.iter();
    gaps.map(|gap| (prose(&gap.what), prose(&gap.why)))
        .collect()
}

fn severity(finding: &Finding) -> Option<&'static str> {
    gating_severity(finding).map(Severity::name)
}

fn tally(model: &ModelAudit) -> String {
    let parts: Vec<_> = words::VERDICTS
        .iter()
        .filter_map(|verdict| {
            let findings = model.findings.iter();
            let count = findings.filter(|f| f.verdict == *verdict).count();
            (count > 0).then(|| format!("{count} {}", verdict.name()))
        })
        .collect();
    parts.join(" · ")
}

fn architecture(model: &ModelAudit) -> String {
    let shape = &model.architecture;
    let mut parts = vec![
        counted(shape.n_layers, "layer", "layers"),
        format!("width {}", shape.d_model),
    ];
    parts.extend(shape.n_heads.map(|heads| counted(heads, "head", "heads")));
    parts.push(format!("vocabulary {}", shape.vocab_size));
    if shape.parallel {
        parts.push("parallel attention and MLP".to_owned());
    }
    if !shape.family_hint.is_empty() {
        parts.push(shape.family_hint.clone());
    }
    parts.join(" · ")
}

/// How the joint error is held, where there is one.
fn family(family: &Family) -> Option<String> {
    (family.size > 1).then(|| {
        format!(
            "{} convictions were possible on this model (rules that can convict, on each suite). Bars on behaviour are therefore held against wider intervals, all of which hold the truth together but for a probability of {} (method: {}).",
            family.size,
            words::trimmed(family.alpha),
            family.method
        )
    })
}

fn findings<'a>(
    ordered: Vec<(String, &'a Finding)>,
    measures: &Measures<'a>,
    report: &'a AuditReport,
) -> Vec<FindingView<'a>> {
    ordered
        .into_iter()
        .enumerate()
        .map(|(rank, (anchor, finding))| {
            let mut rules = report.rules.iter().enumerate();
            FindingView {
                anchor,
                tags: tags(report, finding),
                waiver: finding.waiver.and_then(|at| report.waivers.get(at)),
                rule: rules
                    .find(|(_, rule)| rule.id == finding.rule)
                    .map(|(index, rule)| (super::rule_anchor(index), rule)),
                act: matches!(finding.verdict, Verdict::Fail | Verdict::Review),
                chip: Chip::from(finding.verdict),
                severity: severity(finding),
                open: rank == 0 && finding.verdict != Verdict::Pass,
                checks: measures.checks(finding),
                finding,
            }
        })
        .collect()
}

/// What kept causal signals from being measured, if rules asked for any.
fn no_effects(model: &ModelAudit) -> &str {
    let mut signals = model.findings.iter().flat_map(|finding| &finding.signals);
    signals
        .find_map(|signal| {
            let causal = signal.bars.iter().any(|bar| bar.block == "causal");
            signal.why_not.as_deref().filter(|_| causal)
        })
        .unwrap_or("no rule asked for an intervention")
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of items are far below 2^52"
)]
fn account(account: &Account) -> AccountView<'_> {
    let counts = [
        account.said_true,
        account.said_false,
        account.unclear,
        account.unjudged,
        account.failed,
    ];
    let total = counts.iter().fold(0_usize, |sum, n| sum.saturating_add(*n));
    AccountView {
        account,
        shares: counts.map(|count| format!("{:.2}%", 100.0 * count as f64 / total.max(1) as f64)),
    }
}

fn answer(pair: &AnswerPair) -> AnswerView<'_> {
    AnswerView {
        pair,
        baseline: compared(&pair.baseline_prompt, &pair.prompt),
        tested: compared(&pair.prompt, &pair.baseline_prompt),
        baseline_said: cut(&pair.baseline_said, MOST_CHARS),
        said: cut(&pair.said, MOST_CHARS),
        baseline_outcome: words::outcome(pair.baseline_outcome),
        outcome: words::outcome(pair.outcome),
        baseline_class: class(pair.baseline_outcome),
        class: class(pair.outcome),
    }
}

pub(super) fn class(outcome: crate::evidence::Outcome) -> &'static str {
    use crate::evidence::Outcome;
    match outcome {
        Outcome::True => "said-true",
        Outcome::False => "said-false",
        Outcome::Unclear | Outcome::Unjudged | Outcome::Failed => "said-unclear",
    }
}

/// Marks words only where both prompts have equally many: otherwise everything after an insertion would differ. Of long prompts
/// the beginning, the end and what lies around marked words is shown.
fn compared<'a>(prompt: &'a str, other: &str) -> Vec<Word<'a>> {
    let own: Vec<&str> = prompt.split_whitespace().collect();
    let others: Vec<&str> = other.split_whitespace().collect();
    let differing: Vec<usize> = if own.len() == others.len() {
        (0..own.len())
            .filter(|at| own.get(*at) != others.get(*at))
            .collect()
    } else {
        Vec::new()
    };
    let near = |at: usize| {
        let after = differing.partition_point(|differs| *differs < at);
        let neighbours = [after.checked_sub(1), Some(after)];
        let mut close = neighbours
            .into_iter()
            .flatten()
            .filter_map(|n| differing.get(n));
        close.any(|differs| differs.abs_diff(at) <= AROUND)
    };
    let kept = |at: usize| at < AROUND || at + 3 * AROUND >= own.len() || near(at);
    let mut words = Vec::new();
    let mut left_out = false;
    for (at, text) in own.iter().enumerate() {
        if !kept(at) {
            left_out = true;
            continue;
        }
        if std::mem::take(&mut left_out) {
            words.push(Word {
                text: "…",
                differs: false,
            });
        }
        words.push(Word {
            text,
            differs: differing.binary_search(&at).is_ok(),
        });
    }
    words
}

fn detector(detector: &DetectorRecord) -> DetectorView<'_> {
    let measured = [
        ("AUROC, tested against baseline items", &detector.auroc),
        ("False alarms on the control corpus", &detector.fpr_control),
        (
            "False alarms on matched honest answers",
            &detector.fpr_matched,
        ),
    ];
    DetectorView {
        threshold: match (detector.threshold, detector.flags) {
            (Some(threshold), flags) => format!(
                "Flags what scores {} {}",
                flags.unwrap_or_default().name(),
                words::number(threshold)
            ),
            (None, _) => "Has no threshold".to_owned(),
        },
        limits: (
            counted(detector.limits.len(), "limit", "limits"),
            detector.limits.iter().map(|limit| prose(limit)).collect(),
        ),
        fit: [
            ("active features a token (L0)", detector.l0),
            ("variance explained", detector.explained_variance),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, words::trimmed(value?))))
        .collect(),
        declared: detector.declared_auroc.map(words::number),
        measured: measured
            .into_iter()
            .filter_map(|(name, estimate)| {
                Some((name, ValueView::of(estimate.as_ref()?, None, &[])))
            })
            .collect(),
        detector,
    }
}
