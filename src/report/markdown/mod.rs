//! A summary for a pull request or a run's page, in GitHub's Markdown.
//!
//! Every text of a model or a file is escaped: it makes no markup, no link, no mention and no HTML. The whole stays under what
//! GitHub takes of a step's summary; what does not fit is left out from the end, and that is said.

mod escape;
mod folded;
mod page;

use super::exit::Standing;
use super::listing::{Listed, NoticeKind, all, change, gravest_first, notices};
use super::{AuditReport, Change, Exit, ModelAudit, Shows, Source, words};
use crate::rules::Verdict;

pub(super) use self::escape::escaped;

use self::escape::{cell, code, sentence};
use self::folded::{answers, certified, reach, record, reproduce};
use self::page::Page;

pub(super) fn text(source: &Source) -> String {
    let report = source.report;
    let mut page = Page::default();
    head(report, &mut page);
    models(report, &mut page);
    let incomplete = [NoticeKind::Incomplete, NoticeKind::Unjudged];
    noticed(report, "Incomplete", &incomplete, &mut page);
    findings(source, &mut page);
    waived(report, &mut page);
    baseline(report, &mut page);
    let unmeasured = [NoticeKind::Unmeasured];
    noticed(report, "What was not measured", &unmeasured, &mut page);
    let caveats = [NoticeKind::Caveat, NoticeKind::Waiver];
    noticed(report, "To know first", &caveats, &mut page);
    noticed(report, "Fixed", &[NoticeKind::Fixed], &mut page);
    reach(report, &mut page);
    certified(report, &mut page);
    answers(report, &mut page);
    record(report, &mut page);
    reproduce(report, &mut page);
    page.finish()
}

fn head(report: &AuditReport, page: &mut Page) {
    let exit = Exit::of_report(report);
    let title = if report.title.is_empty() {
        String::new()
    } else {
        format!(": {}", sentence(&report.title))
    };
    page.line(&format!("## Candor{title}"));
    page.line("");
    page.line(&format!(
        "{} **Exit code {}**: {} (`--fail-on {}`).",
        match exit {
            Exit::Clean => "✅",
            Exit::Finding(_) => "❌",
            _ => "⚠️",
        },
        exit.code(),
        exit.meaning(),
        report.fail_on.name()
    ));
}

fn models(report: &AuditReport, page: &mut Page) {
    page.table(
        &["Model", "Verdict", "Rules", "Key numbers"],
        report.models.iter().map(|model| {
            let alike = model.findings.iter().filter(|f| f.verdict == model.verdict);
            vec![
                format!("**{}**", cell(&model.name)),
                format!("{} {}", sign(model.verdict), model.verdict.name()),
                format!("{} of {}", alike.count(), model.findings.len()),
                cell(&model.why().numbers.join(" · ")),
            ]
        }),
    );
    page.heading("Why");
    for model in &report.models {
        page.line(&why(model));
    }
}

fn why(model: &ModelAudit) -> String {
    let said = model.why().sentence.replace('`', "");
    format!("- **{}**: {}", cell(&model.name), sentence(&said))
}

fn findings(source: &Source, page: &mut Page) {
    let (harmless, listed): (Vec<_>, Vec<_>) = gravest_first(source)
        .into_iter()
        .partition(|row| row.standing == Standing::Harmless);
    if !listed.is_empty() {
        page.heading("Findings");
        finding_rows(&listed, page);
    }
    if !harmless.is_empty() {
        let count = words::counted(harmless.len(), "finding", "findings");
        page.folded(&format!("{count} that cannot gate"), |page| {
            finding_rows(&harmless, page);
        });
    }
}

fn finding_rows(rows: &[Listed], page: &mut Page) {
    page.table(
        &["Model", "Finding", "Verdict", "Gate", "Reason"],
        rows.iter().map(|row| {
            let Listed { model, finding, .. } = row;
            let suite = finding.suite.as_ref();
            let suite = suite.map_or_else(String::new, |suite| format!(", on {}", cell(suite)));
            let compared = finding
                .change
                .map_or_else(String::new, |compared| format!(" ({})", change(compared)));
            vec![
                cell(&model.name),
                format!("{} {}{suite}", code(&finding.rule), cell(&finding.title)),
                format!("{}{compared}", row.verdict()),
                format!("{} {}", gate_sign(row.standing), cell(&row.consequence())),
                row.reasons()
                    .last()
                    .map_or_else(String::new, |reason| cell(reason)),
            ]
        }),
    );
}

fn waived(report: &AuditReport, page: &mut Page) {
    if report.waivers.is_empty() {
        return;
    }
    page.heading("Waivers");
    page.table(
        &[
            "Rule", "Model", "Suite", "State", "Owner", "Until", "Reason",
        ],
        report.waivers.iter().map(|waiver| {
            let any = |text: &Option<String>| text.as_deref().map_or("any".to_owned(), cell);
            vec![
                code(&waiver.rule),
                any(&waiver.model),
                any(&waiver.suite),
                super::listing::waiver_state(waiver.state).to_owned(),
                cell(&waiver.owner),
                cell(&waiver.expires),
                cell(&waiver.reason),
            ]
        }),
    );
}

fn baseline(report: &AuditReport, page: &mut Page) {
    let Some(baseline) = &report.baseline else {
        return;
    };
    page.heading("Against the approved model");
    let count = |wanted: Change| {
        let compared = all(report).filter(|row| row.finding.change == Some(wanted));
        format!("{} {}", compared.count(), change(wanted))
    };
    let counts = [
        Change::New,
        Change::Worse,
        Change::CannotTell,
        Change::Unchanged,
        Change::Improved,
    ]
    .map(count);
    page.line(&format!(
        "Findings: {}. Margin {}. Approved report: {} of {}, SHA-256 {}.",
        counts.join(", "),
        words::trimmed(baseline.margin),
        code(&baseline.path),
        cell(&words::moment(&baseline.finished)),
        code(&baseline.sha256)
    ));
    let compared = baseline.models.iter();
    page.table(
        &[
            "Model",
            "Suite",
            "What",
            "Approved",
            "Now",
            "Difference",
            "Shows",
        ],
        compared.flat_map(|model| {
            model.comparisons.iter().map(|line| {
                vec![
                    cell(&model.model),
                    format!("{}, {}", cell(&line.suite), cell(&line.condition)),
                    cell(&line.what),
                    words::number(line.before),
                    words::number(line.now),
                    format!(
                        "{} ({})",
                        words::number(line.difference.point),
                        words::interval(&line.difference)
                    ),
                    match line.shows {
                        Shows::NotWorse => "no worse".to_owned(),
                        Shows::Worse => "worse".to_owned(),
                        Shows::CannotTell => {
                            let needed = line
                                .needed
                                .map(|items| format!(", about {items} items would"));
                            format!("cannot tell{}", needed.unwrap_or_default())
                        }
                    },
                ]
            })
        }),
    );
}

/// Notices of some kinds under a heading, if there are any.
fn noticed(report: &AuditReport, heading: &str, kinds: &[NoticeKind], page: &mut Page) {
    let mut notices = notices(report);
    notices.retain(|notice| kinds.contains(&notice.kind));
    if !notices.is_empty() {
        page.heading(heading);
    }
    for notice in notices {
        page.line(&format!("- {}", sentence(&notice.text.replace('`', ""))));
    }
}

fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass | Verdict::ConditionalBenign => "✅",
        Verdict::Review | Verdict::NotMeasurable | Verdict::Inconclusive => "⚠️",
        Verdict::Fail => "❌",
    }
}

fn gate_sign(standing: Standing) -> &'static str {
    match standing {
        Standing::Gates(_) => "❌",
        Standing::Untold | Standing::Below(_) => "⚠️",
        Standing::Waived(_) | Standing::Excused | Standing::Harmless => "➖",
    }
}
