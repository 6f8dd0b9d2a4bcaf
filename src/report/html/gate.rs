//! What stands between a finding and the gate: waivers, the approved model, what a sample can show, and how far a repetition agrees.

use super::signals::ValueView;
use super::{Chip, Prose, anchor_of, prose};
use crate::report::output::shows;
use crate::report::{
    AuditReport, BaselineModel, Change, Comparison, Finding, Fixed, ModelAudit, Power, Repeat,
    Shows, Side, Standing, WaiverRecord, WaiverState, counted, words,
};
use crate::rules::Severity;

/// A few words beside a finding, and how they are coloured.
pub(super) struct Tag {
    pub class: &'static str,
    pub text: String,
}

/// What is said of the whole audit on the first screen.
pub(super) struct Summary {
    pub change: String,
    pub waived: String,
}

pub(super) struct WaiverView<'a> {
    pub waiver: &'a WaiverRecord,
    pub state: Tag,
    /// Model and suite that it is limited to.
    pub scope: String,
    pub reason: Prose,
}

pub(super) struct BaselineView<'a> {
    pub model: &'a BaselineModel,
    pub fixed: Vec<FixedView<'a>>,
    pub comparisons: Vec<ComparisonView<'a>>,
    /// Findings with their change: anchor, title, tag.
    pub findings: Vec<(String, &'a Finding, Chip, Tag)>,
}

pub(super) struct FixedView<'a> {
    pub fixed: &'a Fixed,
    pub was: Chip,
    pub now: Option<Chip>,
}

pub(super) struct ComparisonView<'a> {
    pub comparison: &'a Comparison,
    pub before: String,
    pub now: String,
    /// In points of a hundred, with its interval.
    pub difference: String,
    pub interval: String,
    pub shows: Tag,
    pub power: Option<String>,
}

pub(super) struct PowerView<'a> {
    pub power: &'a Power,
    /// The rules that ask alike.
    pub rules: Vec<&'a str>,
    pub label: String,
    pub bar: String,
    pub best: String,
    pub found: [String; 2],
}

pub(super) struct RepeatView<'a> {
    pub repeat: &'a Repeat,
    pub flips: ValueView,
    /// Detector, largest change, items within it of the threshold.
    pub noise: Vec<(&'a str, String, String)>,
}

impl Summary {
    pub fn of(report: &AuditReport) -> Self {
        Self {
            change: since(report),
            waived: waived(report),
        }
    }
}

fn since(report: &AuditReport) -> String {
    let Some(baseline) = &report.baseline else {
        return "Not compared with an approved model".to_owned();
    };
    let findings = || report.models.iter().flat_map(|model| &model.findings);
    let mut parts: Vec<String> = [
        Change::New,
        Change::Worse,
        Change::CannotTell,
        Change::Unchanged,
        Change::Improved,
    ]
    .into_iter()
    .filter_map(|change| {
        let count = findings().filter(|f| f.change == Some(change)).count();
        (count > 0).then(|| format!("{count} {}", changed(change).text))
    })
    .collect();
    let fixed: usize = baseline.models.iter().map(|model| model.fixed.len()).sum();
    if fixed > 0 {
        parts.push(format!("{fixed} fixed"));
    }
    if parts.is_empty() {
        parts.push("no finding on either side".to_owned());
    }
    format!("Since the approved model: {}", parts.join(", "))
}

fn waived(report: &AuditReport) -> String {
    if report.waivers.is_empty() {
        return "Nothing is waived".to_owned();
    }
    let findings = report.models.iter().flat_map(|model| &model.findings);
    let waived = findings.filter(|finding| finding.waiver.is_some()).count();
    let mut parts = vec![format!("{} waived", counted(waived, "finding", "findings"))];
    for state in [WaiverState::Expired, WaiverState::Unused] {
        let count = report.waivers.iter().filter(|w| w.state == state).count();
        if count > 0 {
            let name = state_tag(state).text;
            parts.push(format!("{} {name}", counted(count, "waiver", "waivers")));
        }
    }
    parts.join(", ")
}

pub(super) fn changed(change: Change) -> Tag {
    let (class, text) = match change {
        Change::New => ("bad", "new"),
        Change::Worse => ("bad", "worse"),
        Change::CannotTell => ("warn", "perhaps worse"),
        Change::Unchanged => ("same", "unchanged"),
        Change::Improved => ("good", "improved"),
    };
    Tag {
        class,
        text: text.to_owned(),
    }
}

fn state_tag(state: WaiverState) -> Tag {
    let (class, text) = match state {
        WaiverState::Applied => ("same", "applied"),
        WaiverState::Unused => ("warn", "unused"),
        WaiverState::Expired => ("bad", "expired"),
    };
    Tag {
        class,
        text: text.to_owned(),
    }
}

/// What a reader of a finding has to know of the gate.
pub(super) fn tags(report: &AuditReport, finding: &Finding) -> Vec<Tag> {
    let said = match Standing::of(report, finding) {
        Standing::Gates(_) => Some(("bad", "closes the gate".to_owned())),
        Standing::Waived(waiver) => Some(("same", format!("waived until {}", waiver.expires))),
        Standing::Excused => Some(("same", "excused by the approved model".to_owned())),
        Standing::Untold | Standing::Below(_) | Standing::Harmless => None,
    };
    let said = said.map(|(class, text)| Tag { class, text });
    said.into_iter()
        .chain(finding.change.map(changed))
        .collect()
}

pub(super) fn waivers(report: &AuditReport) -> Vec<WaiverView<'_>> {
    report.waivers.iter().map(waiver).collect()
}

fn waiver(waiver: &WaiverRecord) -> WaiverView<'_> {
    let WaiverRecord { model, suite, .. } = waiver;
    let parts: Vec<String> = [("model", model), ("suite", suite)]
        .into_iter()
        .filter_map(|(what, name)| Some(format!("{what} {}", name.as_deref()?)))
        .collect();
    WaiverView {
        waiver,
        state: state_tag(waiver.state),
        scope: if parts.is_empty() {
            "every model and suite".to_owned()
        } else {
            parts.join(", ")
        },
        reason: prose(&waiver.reason),
    }
}

pub(super) fn baselines(report: &AuditReport, least: Severity) -> Vec<BaselineView<'_>> {
    let models = report.baseline.iter().flat_map(|baseline| &baseline.models);
    models.map(|model| baseline(report, model, least)).collect()
}

fn baseline<'a>(
    report: &'a AuditReport,
    model: &'a BaselineModel,
    least: Severity,
) -> BaselineView<'a> {
    let own = report
        .models
        .iter()
        .enumerate()
        .find(|(_, own)| own.name == model.model);
    let findings = own.into_iter().flat_map(|(index, own)| {
        let findings = own.findings.iter().enumerate();
        let changed_ones = findings.filter(move |(_, finding)| shows(finding, least));
        changed_ones.filter_map(move |(at, finding)| {
            Some((
                anchor_of(index, at),
                finding,
                Chip::from(finding.verdict),
                changed(finding.change?),
            ))
        })
    });
    BaselineView {
        fixed: model
            .fixed
            .iter()
            .map(|fixed| FixedView {
                fixed,
                was: Chip::from(fixed.was),
                now: fixed.now.map(Chip::from),
            })
            .collect(),
        comparisons: model.comparisons.iter().map(comparison).collect(),
        findings: findings.collect(),
        model,
    }
}

fn comparison(comparison: &Comparison) -> ComparisonView<'_> {
    let (class, text) = match comparison.shows {
        Shows::NotWorse => ("good", "no worse"),
        Shows::Worse => ("bad", "worse"),
        Shows::CannotTell => ("warn", "cannot tell"),
    };
    ComparisonView {
        before: share(comparison.before),
        now: share(comparison.now),
        difference: points(comparison.difference.point),
        interval: format!(
            "{} to {}",
            points(comparison.difference.low),
            points(comparison.difference.high)
        ),
        shows: Tag {
            class,
            text: text.to_owned(),
        },
        power: comparison.power.map(share),
        comparison,
    }
}

pub(super) fn powers(model: &ModelAudit) -> Vec<PowerView<'_>> {
    let mut views: Vec<PowerView> = Vec::new();
    for one in &model.power {
        match views.iter_mut().find(|view| view.power.as_of(one)) {
            Some(view) => view.rules.push(&one.rule),
            None => views.push(power(one)),
        }
    }
    views
}

fn power(power: &Power) -> PowerView<'_> {
    let found = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), words::trimmed);
    let Power {
        side,
        bar,
        best_bound,
        ..
    } = power;
    let side = match side {
        Side::AtLeast => "at least",
        Side::Above => "above",
        Side::AtMost => "at most",
        Side::Below => "below",
    };
    PowerView {
        label: words::sentence(&power.label),
        bar: format!("{side} {}", words::trimmed(*bar)),
        rules: vec![&power.rule],
        best: words::number(*best_bound),
        found: [found(power.found_80), found(power.found_90)],
        power,
    }
}

pub(super) fn repeat(repeat: &Repeat) -> RepeatView<'_> {
    RepeatView {
        flips: ValueView::of(&repeat.flips, None, &[]),
        noise: repeat
            .noise
            .iter()
            .map(|noise| {
                (
                    noise.detector.as_str(),
                    words::number(noise.largest),
                    counted(noise.unstable, "item", "items"),
                )
            })
            .collect(),
        repeat,
    }
}

/// A difference of shares, with its sign, in points of a hundred.
fn points(difference: f64) -> String {
    let text = format!("{:+.1}", 100.0 * difference);
    match text.as_str() {
        "+0.0" | "-0.0" => "0.0".to_owned(),
        _ => text.replace('-', "−"),
    }
}

/// A share in percent, as precise as such shares are known.
fn share(value: f64) -> String {
    format!("{:.1} %", 100.0 * value)
}
