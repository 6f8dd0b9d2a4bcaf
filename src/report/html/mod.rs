//! `report.html`: one page for a release meeting, self-contained and offline.
//!
//! The files in this folder turn findings into what is drawn (texts, percentages); `templates/report.html` lays it out.
//! Askama escapes every text. Nothing is loaded from elsewhere, and the page's own policy forbids it.

mod chart;
mod heat;
mod model;
mod signals;
mod strips;

use askama::Template;

use self::model::ModelView;
use super::{AuditReport, Exit, RuleDoc, Source, words};
use crate::fault::{Fault, Result};
use crate::rules::Verdict;

/// The whole page.
///
/// # Errors
/// Never for plain data; the type is that of the library underneath.
pub fn page(report: &AuditReport) -> Result<String> {
    Page::of(report)
        .render()
        .map_err(|error| Fault::failed("laying out the HTML report", error.to_string()))
}

pub(super) fn text(source: &Source) -> Result<String> {
    page(source.report)
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    headline: String,
    gate: &'static str,
    exit_code: u8,
    exit_meaning: &'static str,
    fail_on: &'static str,
    report: &'a AuditReport,
    started: String,
    finished: String,
    models: Vec<ModelView<'a>>,
    rules: Vec<(String, Prose, Prose, &'a RuleDoc)>,
    glossary: Vec<(Chip, &'static str)>,
}

/// A verdict as a word with a sign, so that colour is never all there is.
struct Chip {
    class: &'static str,
    sign: &'static str,
    word: &'static str,
}

impl From<Verdict> for Chip {
    fn from(verdict: Verdict) -> Self {
        let sign = match verdict {
            Verdict::Fail => "✕",
            Verdict::Inconclusive => "?",
            Verdict::NotMeasurable => "–",
            Verdict::Review => "!",
            Verdict::ConditionalBenign => "≈",
            Verdict::Pass => "✓",
        };
        let word = verdict.name();
        Self {
            class: word,
            sign,
            word,
        }
    }
}

impl<'a> Page<'a> {
    fn of(report: &'a AuditReport) -> Self {
        let exit = Exit::of_report(report);
        Self {
            style: include_str!("../../../templates/report.css"),
            script: include_str!("../../../templates/report.js"),
            headline: headline(report, exit),
            gate: match exit {
                Exit::Clean => "open",
                Exit::Inconclusive => "unsure",
                Exit::Failed | Exit::Usage | Exit::NoInputs | Exit::Finding(_) => "closed",
            },
            exit_code: exit.code(),
            exit_meaning: exit.meaning(),
            fail_on: report.fail_on.name(),
            started: words::moment(&report.started),
            finished: words::moment(&report.finished),
            report,
            rules: report
                .rules
                .iter()
                .enumerate()
                .map(|(at, rule)| {
                    (
                        rule_anchor(at),
                        prose(&rule.why),
                        prose(&rule.summary),
                        rule,
                    )
                })
                .collect(),
            models: report
                .models
                .iter()
                .enumerate()
                .map(|(index, model)| ModelView::of(index, model, report))
                .collect(),
            glossary: words::VERDICTS
                .iter()
                .map(|verdict| (Chip::from(*verdict), words::verdict_meaning(*verdict)))
                .collect(),
        }
    }
}

fn headline(report: &AuditReport, exit: Exit) -> String {
    let names = |chosen: &dyn Fn(&super::ModelAudit) -> bool| {
        let names: Vec<_> = report
            .models
            .iter()
            .filter(|model| chosen(model))
            .map(|model| model.name.as_str())
            .collect();
        listed(&names)
    };
    match exit {
        Exit::Finding(_) => {
            let closing = names(&|model| {
                let mut findings = model.findings.iter();
                findings.any(|finding| super::gates(report, finding).is_some())
            });
            format!("Gate closed by {closing}")
        }
        Exit::Inconclusive => {
            let untold = names(&|model| {
                !model.incomplete.is_empty()
                    || matches!(
                        model.verdict,
                        Verdict::Inconclusive | Verdict::NotMeasurable
                    )
            });
            format!("Inconclusive for {untold}")
        }
        Exit::Clean | Exit::Failed | Exit::Usage | Exit::NoInputs => {
            "Gate open: no finding stops the release".to_owned()
        }
    }
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "this audit".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Pieces of a text, and whether each stood in backticks.
type Prose = Vec<(bool, String)>;

fn prose(text: &str) -> Prose {
    let pieces = text.split('`').enumerate();
    pieces
        .map(|(at, piece)| (at % 2 == 1, piece.to_owned()))
        .filter(|(_, piece)| !piece.is_empty())
        .collect()
}

fn rule_anchor(index: usize) -> String {
    format!("r{}", index + 1)
}
