//! `report.html`: one page for a release meeting, self-contained and offline.
//!
//! The files in this folder turn findings into what is drawn (texts, percentages); `templates/report.html` lays it out.
//! Askama escapes every text. Nothing is loaded from elsewhere, and the page's own policy forbids it.

mod chart;
mod controls;
mod dose;
mod gate;
mod heat;
mod items;
mod model;
mod path;
mod signals;
mod strips;

use askama::Template;

use self::controls::Framework;
use self::gate::{BaselineView, Summary, WaiverView};
use self::items::Listing;
use self::model::ModelView;
use super::{AuditReport, Exit, RuleDoc, Source, words};
use crate::fault::{Fault, Result};
use crate::rules::{Severity, Verdict};

/// The most bytes of a page, whatever the audit: what a browser lays out in an instant and a mail takes along.
const MOST_BYTES: usize = 4_800_000;

/// The whole page. Its items are listed as far as there is room.
///
/// # Errors
/// Never for plain data; the type is that of the library underneath.
pub fn page(report: &AuditReport) -> Result<String> {
    page_from(report, Severity::Low)
}

/// The whole page, with findings from a severity on.
fn page_from(report: &AuditReport, least: Severity) -> Result<String> {
    let bare = Page::of(report, Listing::within(report, 0)?, least).laid_out()?;
    let room = MOST_BYTES.saturating_sub(bare.len() + FIRST_ROWS * report.models.len());
    Page::of(report, Listing::within(report, room)?, least).laid_out()
}

/// What the first rows of a model's items may take as plain HTML, in bytes.
const FIRST_ROWS: usize = 40_000;

pub(super) fn text(source: &Source) -> Result<String> {
    page_from(source.report, source.min_severity)
}

const STYLE: &str = concat!(
    include_str!("../../../templates/report.css"),
    include_str!("../../../templates/report/tables.css"),
    include_str!("../../../templates/report/narrow.css"),
    include_str!("../../../templates/report/print.css"),
);

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
    /// The least severity that findings are shown of.
    least: &'static str,
    report: &'a AuditReport,
    started: String,
    finished: String,
    models: Vec<ModelView<'a>>,
    rules: Vec<(String, Prose, Prose, &'a RuleDoc)>,
    glossary: Vec<(Chip, &'static str)>,
    standing: Summary,
    waivers: Vec<WaiverView<'a>>,
    baselines: Vec<BaselineView<'a>>,
    /// When the approved model was audited, and the margin in points of a hundred.
    approved: String,
    margin: String,
    baseline_caveats: Vec<Prose>,
    matrix: Vec<controls::Row<'a>>,
    frameworks: Vec<Framework<'a>>,
    /// Every listed item, for the page's script.
    data: String,
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
    fn laid_out(&self) -> Result<String> {
        self.render()
            .map_err(|error| Fault::failed("laying out the HTML report", error.to_string()))
    }

    fn of(report: &'a AuditReport, listing: Listing, least: Severity) -> Self {
        let exit = Exit::of_report(report);
        let baseline = report.baseline.as_ref();
        Self {
            style: STYLE,
            script: include_str!("../../../templates/report.js"),
            headline: headline(report, exit),
            gate: match exit {
                Exit::Clean => "open",
                Exit::Inconclusive => "unsure",
                Exit::Failed | Exit::Usage | Exit::NoInputs | Exit::Finding(_) => "closed",
            },
            exit_code: exit.code(),
            exit_meaning: exit.meaning(),
            least: least.name(),
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
                .zip(&listing.listed)
                .enumerate()
                .map(|(index, (model, listed))| ModelView::of(index, model, report, *listed, least))
                .collect(),
            standing: Summary::of(report),
            waivers: gate::waivers(report),
            baselines: gate::baselines(report, least),
            approved: baseline.map_or_else(String::new, |b| words::moment(&b.finished)),
            margin: baseline.map_or_else(String::new, |b| words::trimmed(100.0 * b.margin)),
            baseline_caveats: baseline
                .into_iter()
                .flat_map(|b| b.caveats.iter().map(|caveat| prose(caveat)))
                .collect(),
            matrix: controls::matrix(report),
            frameworks: controls::frameworks(report),
            data: listing.data,
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

fn model_anchor(index: usize) -> String {
    format!("m{}", index + 1)
}

/// The anchor of the finding at a place among its model's.
fn anchor_of(model: usize, finding: usize) -> String {
    format!("{}-f{}", model_anchor(model), finding + 1)
}

fn rule_anchor(index: usize) -> String {
    format!("r{}", index + 1)
}
