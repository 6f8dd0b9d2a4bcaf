//! One model's part of the page.

use super::heat::MapView;
use super::signals::{Check, Measures, ValueView};
use super::strips::{EffectView, StripGroup, groups};
use super::{Chip, Prose, prose};
use crate::report::counted;
use crate::report::{
    Account, AnswerPair, AuditReport, DetectorRecord, Finding, ModelAudit, RuleDoc, Sample,
    gating_severity, words,
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
    pub measures: Measures<'a>,
    pub accounts: Vec<AccountView<'a>>,
    pub answers: Vec<AnswerView<'a>>,
    pub effects: Vec<EffectView<'a>>,
    /// Why there is no intervention to show.
    pub no_effects: &'a str,
    /// What a reader of the verdict has to know first.
    pub caveats: Vec<Prose>,
    pub maps: Vec<MapView<'a>>,
    pub strips: Vec<StripGroup<'a>>,
    pub detectors: Vec<DetectorView<'a>>,
    pub samples: Vec<(&'a Sample, &'static str)>,
}

pub(super) struct FindingView<'a> {
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
    /// Widths in percent: true, false, unclear, unjudged.
    pub shares: [String; 4],
}

pub(super) struct AnswerView<'a> {
    pub pair: &'a AnswerPair,
    pub baseline: Vec<Word<'a>>,
    pub tested: Vec<Word<'a>>,
    pub baseline_outcome: &'static str,
    pub outcome: &'static str,
    pub baseline_class: &'static str,
    pub class: &'static str,
}

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
    pub fn of(index: usize, model: &'a ModelAudit, report: &'a AuditReport) -> Self {
        let why = model.why();
        let anchor = format!("m{}", index + 1);
        let mut ordered: Vec<&Finding> = model.findings.iter().collect();
        ordered.sort_by_key(|f| std::cmp::Reverse((f.verdict, f.severity)));
        let measures = Measures::of(&ordered, &anchor);
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
            open: model.verdict != Verdict::Pass,
            findings: findings(&ordered, &measures, report),
            no_effects: no_effects(model),
            accounts: model.accounts.iter().map(account).collect(),
            answers: model.exhibits.answers.iter().map(answer).collect(),
            effects: model.exhibits.effects.iter().map(EffectView::of).collect(),
            maps: model.exhibits.maps.iter().map(MapView::of).collect(),
            strips: groups(&model.exhibits.token_scores, &model.detectors),
            detectors: model.detectors.iter().map(detector).collect(),
            caveats: model.caveats.iter().map(|caveat| prose(caveat)).collect(),
            samples: model
                .samples
                .iter()
                .map(|sample| (sample, words::outcome(sample.outcome)))
                .collect(),
            measures,
            anchor,
            model,
        }
    }
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

fn findings<'a>(
    ordered: &[&'a Finding],
    measures: &Measures<'a>,
    report: &'a AuditReport,
) -> Vec<FindingView<'a>> {
    ordered
        .iter()
        .enumerate()
        .map(|(rank, finding)| {
            let mut rules = report.rules.iter().enumerate();
            FindingView {
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
        baseline_outcome: words::outcome(pair.baseline_outcome),
        outcome: words::outcome(pair.outcome),
        baseline_class: class(pair.baseline_outcome),
        class: class(pair.outcome),
    }
}

fn class(outcome: crate::evidence::Outcome) -> &'static str {
    use crate::evidence::Outcome;
    match outcome {
        Outcome::True => "said-true",
        Outcome::False => "said-false",
        Outcome::Unclear | Outcome::Unjudged | Outcome::Failed => "said-unclear",
    }
}

/// Marks words only where both prompts have equally many: otherwise everything after an insertion would differ.
fn compared<'a>(prompt: &'a str, other: &str) -> Vec<Word<'a>> {
    let others: Vec<_> = other.split_whitespace().collect();
    let same_length = prompt.split_whitespace().count() == others.len();
    prompt
        .split_whitespace()
        .enumerate()
        .map(|(at, text)| Word {
            text,
            differs: same_length && others.get(at) != Some(&text),
        })
        .collect()
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
            .filter_map(|(name, estimate)| Some((name, ValueView::of(estimate.as_ref()?, &[]))))
            .collect(),
        detector,
    }
}
