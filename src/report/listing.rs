//! Findings as lists show them, and what stands beside them: the same in every format that has a line for each.

use super::exit::Standing;
use super::{AuditReport, Change, Finding, ModelAudit, SignalLine, Source, WaiverState, words};
use crate::rules::Verdict;

/// A finding in its list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed<'a> {
    pub model: &'a ModelAudit,
    pub finding: &'a Finding,
    pub standing: Standing<'a>,
}

/// Every finding, whatever lists show.
pub(super) fn all(report: &AuditReport) -> impl Iterator<Item = Listed<'_>> {
    let models = report.models.iter();
    models.flat_map(move |model| {
        model.findings.iter().map(move |finding| Listed {
            model,
            finding,
            standing: Standing::of(report, finding),
        })
    })
}

/// Every finding that lists show and that is more than a pass: what gates first, then what could not be told.
pub(super) fn gravest_first<'a>(source: &Source<'a>) -> Vec<Listed<'a>> {
    let shown =
        |listed: &Listed| listed.finding.verdict != Verdict::Pass && source.shows(listed.finding);
    let mut rows: Vec<Listed> = all(source.report).filter(shown).collect();
    rows.sort_by_key(|listed| {
        let finding = listed.finding;
        let key = (rank(listed.standing), finding.verdict, finding.severity);
        std::cmp::Reverse(key)
    });
    rows
}

fn rank(standing: Standing) -> u8 {
    match standing {
        Standing::Gates(_) => 5,
        Standing::Untold => 4,
        Standing::Below(_) => 3,
        Standing::Waived(_) => 2,
        Standing::Excused => 1,
        Standing::Harmless => 0,
    }
}

impl Listed<'_> {
    /// Such as `liar: fail, critical: False answers under a condition (suite facts)`.
    pub fn headline(&self) -> String {
        let finding = self.finding;
        let suite = finding.suite.as_ref();
        format!(
            "{}: {}: {}{}",
            self.model.name,
            self.verdict(),
            finding.title,
            suite.map_or_else(String::new, |suite| format!(" (suite {suite})"))
        )
    }

    /// The verdict, with a severity where it says anything.
    pub fn verdict(&self) -> String {
        let verdict = self.finding.verdict;
        match super::gating_severity(self.finding) {
            Some(severity) => format!("{verdict}, {severity}"),
            None => verdict.name().to_owned(),
        }
    }

    /// What the rule concludes and the first number behind it.
    pub fn reasons(&self) -> &[String] {
        let reasons = &self.finding.reasons;
        reasons.get(..reasons.len().min(2)).unwrap_or_default()
    }

    /// What the finding means for the gate, in a few words.
    pub fn consequence(&self) -> String {
        match self.standing {
            Standing::Gates(severity) => format!("closes the gate as {severity}"),
            Standing::Untold => "could not be told, which is no pass".to_owned(),
            Standing::Waived(waiver) => format!(
                "waived by {} until {}: {}",
                waiver.owner, waiver.expires, waiver.reason
            ),
            Standing::Excused => {
                "does not gate: the approved model had it, and this one is measurably no worse"
                    .to_owned()
            }
            Standing::Below(severity) => format!("does not gate: {severity} is below --fail-on"),
            Standing::Harmless => "does not gate".to_owned(),
        }
    }
}

/// How a finding compares with the approved model's, in a few words.
pub(super) fn change(change: Change) -> &'static str {
    match change {
        Change::New => "new",
        Change::Worse => "worse",
        Change::CannotTell => "cannot tell",
        Change::Unchanged => "unchanged",
        Change::Improved => "improved",
    }
}

/// What became of a waiver, in a word.
pub(super) fn waiver_state(state: WaiverState) -> &'static str {
    match state {
        WaiverState::Applied => "applied",
        WaiverState::Unused => "unused",
        WaiverState::Expired => "expired",
    }
}

/// Such as `gap: 1.000 (95 % interval 0.541 to 1.000), asked: at least 0.1`.
pub(super) fn signal(signal: &SignalLine) -> String {
    let bars: Vec<String> = signal.bars.iter().map(words::bar).collect();
    let asked = if bars.is_empty() {
        String::new()
    } else {
        format!(", asked: {}", bars.join(" and "))
    };
    let measured = match (&signal.estimate, &signal.why_not) {
        (Some(estimate), _) => {
            let joint = signal.joint.map_or_else(String::new, |joint| {
                format!(", joint {}", words::range(joint.low, joint.high))
            });
            format!(
                "{} (95 % interval {}{joint})",
                words::number(estimate.point),
                words::interval(estimate)
            )
        }
        (None, Some(why_not)) => format!("not measured, because {why_not}"),
        (None, None) => "not measured".to_owned(),
    };
    format!("{}: {measured}{asked}", signal.label)
}

/// What a reader has to know beside the findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub kind: NoticeKind,
    pub text: String,
}

/// Sorts of notices, gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NoticeKind {
    /// Planned work did not come to its end.
    Incomplete,
    /// A model was judged by no rule.
    Unjudged,
    /// A waiver whose day is over, or that no finding matches.
    Waiver,
    /// What could not be measured.
    Unmeasured,
    /// What a reader of a verdict or of the comparison has to know first.
    Caveat,
    /// A finding of the approved model that is gone.
    Fixed,
}

impl NoticeKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Unjudged => "not-judged",
            Self::Waiver => "waiver",
            Self::Unmeasured => "not-measured",
            Self::Caveat => "caveat",
            Self::Fixed => "fixed",
        }
    }
}

/// Everything beside the findings that has to be said, gravest first.
pub(super) fn notices(report: &AuditReport) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut say = |kind, text| notices.push(Notice { kind, text });
    for model in &report.models {
        let name = &model.name;
        for gap in &model.incomplete {
            say(
                NoticeKind::Incomplete,
                format!("{name}: {}: {}", gap.what, gap.why),
            );
        }
        if model.findings.is_empty() {
            say(
                NoticeKind::Unjudged,
                format!("{name}: no rule was applied."),
            );
        }
        for gap in &model.unmeasured {
            say(
                NoticeKind::Unmeasured,
                format!("{name}: {}: {}", gap.what, gap.why),
            );
        }
        for caveat in &model.caveats {
            say(NoticeKind::Caveat, format!("{name}: {caveat}"));
        }
    }
    for waiver in &report.waivers {
        let place = format!("{}:{}", waiver.file, waiver.line);
        match waiver.state {
            WaiverState::Applied => {}
            WaiverState::Unused => say(
                NoticeKind::Waiver,
                format!(
                    "The waiver of {} at {place} matches no finding.",
                    waiver.rule
                ),
            ),
            WaiverState::Expired => say(
                NoticeKind::Waiver,
                format!(
                    "The waiver of {} at {place} expired on {}: its finding is live.",
                    waiver.rule, waiver.expires
                ),
            ),
        }
    }
    if let Some(baseline) = &report.baseline {
        for caveat in &baseline.caveats {
            say(NoticeKind::Caveat, format!("Baseline: {caveat}"));
        }
        for model in &baseline.models {
            for fixed in &model.fixed {
                let suite = fixed.suite.as_ref();
                let suite = suite.map_or_else(String::new, |suite| format!(" on {suite}"));
                let now = fixed.now.map_or("not part of this audit", Verdict::name);
                say(
                    NoticeKind::Fixed,
                    format!(
                        "{}: {}{suite}: was {}, is {now}.",
                        model.model, fixed.title, fixed.was
                    ),
                );
            }
        }
    }
    notices.sort_by_key(|notice| notice.kind);
    notices
}

/// A text of a model or a file without what would act where it is shown: control characters, and those that turn the direction
/// of a line. Line breaks stay, tabs become blanks.
pub(super) fn harmless(text: &str) -> String {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
    };
    text.replace("\r\n", "\n")
        .chars()
        .map(|c| match c {
            '\n' => '\n',
            '\t' => ' ',
            c if acts(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// At most `most` characters, with a sign where something was cut.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
