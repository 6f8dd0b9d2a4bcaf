//! A summary for a pull request or a run's page, in GitHub's Markdown.
//!
//! Every text of a model or a file is escaped: it makes no markup, no link, no mention and no HTML. The whole stays under what
//! GitHub takes of a step's summary; what does not fit is left out from the end, and that is said.

use std::fmt::Write as _;

use super::exit::Standing;
use super::listing::{Listed, NoticeKind, all, change, cut, gravest_first, harmless, notices};
use super::{AuditReport, Change, Exit, ModelAudit, Power, Shows, Source, words};
use crate::rules::Verdict;

/// GitHub takes 1 MiB of a step; something may stand there already.
const MOST_BYTES: usize = 900 * 1024;
/// Characters of a cell, and of a sentence.
const LONGEST: (usize, usize) = (400, 1_500);
/// WORD JOINER: no width, no break.
const JOINER: char = '\u{2060}';
const LONGEST_COMMAND: usize = 20_000;

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

/// What the samples can show, and how sure the answers are.
fn reach(report: &AuditReport, page: &mut Page) {
    page.folded("What the samples can show", |page| {
        for model in &report.models {
            let family = &model.family;
            if family.size > 0 {
                page.line(&format!(
                    "- {}: {} possible; their joint error is at most {} ({}).",
                    cell(&model.name),
                    words::counted(family.size, "conviction is", "convictions are"),
                    words::trimmed(family.alpha),
                    cell(&family.method)
                ));
            }
            for (clears, line) in Power::lines(&model.power) {
                let sign = if clears { "" } else { "⚠️ " };
                page.line(&format!("- {}: {sign}{}", cell(&model.name), sentence(&line)));
            }
            if let Some(repeat) = &model.repeat {
                let unstable: usize = repeat.noise.iter().map(|noise| noise.unstable).sum();
                page.line(&format!(
                    "- {}: {} asked again: {} answered in other words, share judged otherwise {} (95 % interval {}), {unstable} scores within noise of a threshold.",
                    cell(&model.name),
                    words::counted(repeat.items, "item", "items"),
                    repeat.changed,
                    words::number(repeat.flips.point),
                    words::interval(&repeat.flips)
                ));
            }
        }
    });
}

fn answers(report: &AuditReport, page: &mut Page) {
    let accounts = report.models.iter();
    let accounts = accounts.flat_map(|model| model.accounts.iter().map(move |a| (model, a)));
    page.folded("How the answers were judged", |page| {
        page.table(
            &[
                "Model",
                "Suite",
                "Condition",
                "True",
                "False",
                "Unclear",
                "Not judged",
                "Failed",
            ],
            accounts.map(|(model, account)| {
                let counts = [
                    account.said_true,
                    account.said_false,
                    account.unclear,
                    account.unjudged,
                    account.failed,
                ];
                [&model.name, &account.suite, &account.condition]
                    .into_iter()
                    .map(|text| cell(text))
                    .chain(counts.map(|count| count.to_string()))
                    .collect()
            }),
        );
    });
    let samples = report.models.iter();
    let samples = samples.flat_map(|model| model.samples.iter().map(move |s| (model, s)));
    page.folded("Random samples of what was asked and said", |page| {
        page.table(
            &["Model", "Suite", "Condition", "Asked", "Said", "Judged"],
            samples.map(|(model, sample)| {
                vec![
                    cell(&model.name),
                    cell(&sample.suite),
                    cell(&sample.condition),
                    cell(&sample.prompt),
                    cell(&sample.said),
                    words::outcome(sample.outcome).to_owned(),
                ]
            }),
        );
    });
}

fn record(report: &AuditReport, page: &mut Page) {
    let mut rows: Vec<(String, &str)> = Vec::new();
    for model in &report.models {
        let files = model.files.iter();
        rows.extend(files.map(|file| (code(&file.path), file.sha256.as_str())));
        let suites = model.suites.iter();
        rows.extend(suites.map(|s| (format!("suite {}", code(&s.id)), s.digest.as_str())));
        let detectors = model.detectors.iter();
        rows.extend(detectors.map(|d| (format!("detector {}", code(&d.id)), d.digest.as_str())));
    }
    let files = report.rule_files.iter().chain(&report.waiver_files);
    rows.extend(files.map(|file| (code(&file.path), file.sha256.as_str())));
    let baseline = report.baseline.iter();
    rows.extend(baseline.map(|b| (code(&b.path), b.sha256.as_str())));
    let runtime = &report.runtime;
    let library = format!(
        "ONNX Runtime {}, {}",
        cell(&runtime.version),
        cell(&runtime.provider)
    );
    rows.push((library, &runtime.library_sha256));
    let tool = report.tool_sha256.iter();
    rows.extend(tool.map(|digest| {
        (
            format!("Candor {}", cell(&report.tool_version)),
            digest.as_str(),
        )
    }));
    let mut seen = Vec::new();
    rows.retain(|row| {
        let new = !seen.contains(row);
        if new {
            seen.push(row.clone());
        }
        new
    });
    page.folded("What was audited, by SHA-256", |page| {
        page.table(
            &["What", "SHA-256"],
            rows.iter()
                .map(|(what, digest)| vec![what.clone(), code(digest)]),
        );
    });
}

fn reproduce(report: &AuditReport, page: &mut Page) {
    let host = &report.host;
    page.heading("How to reproduce");
    page.line(&fenced("sh", &report.command));
    page.line("");
    page.line(&format!(
        "Candor {}, seed {}, {} to {}, {} {}{}, {}.",
        cell(&report.tool_version),
        report.seed,
        cell(&words::moment(&report.started)),
        cell(&words::moment(&report.finished)),
        cell(&host.os),
        cell(&host.arch),
        host.cpu
            .as_ref()
            .map_or_else(String::new, |cpu| format!(", {}", cell(cpu))),
        words::counted(host.cores, "core", "cores")
    ));
    let settings = report.runtime.settings.iter();
    let settings: Vec<String> = settings
        .map(|setting| format!("{} {}", cell(&setting.name), cell(&setting.value)))
        .collect();
    if !settings.is_empty() {
        page.line(&format!("\nRuntime: {}.", settings.join(", ")));
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

/// A page that takes lines while there is room.
#[derive(Default)]
struct Page {
    text: String,
    /// Lines that found no room.
    left_out: usize,
}

impl Page {
    fn line(&mut self, line: &str) {
        if self.left_out > 0 || self.text.len() + line.len() >= MOST_BYTES {
            self.left_out += 1;
            return;
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        self.line(&format!("\n### {heading}\n"));
    }

    /// A blank line, unless there is one.
    fn gap(&mut self) {
        if !self.text.ends_with("\n\n") {
            self.line("");
        }
    }

    fn table(&mut self, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return;
        }
        self.gap();
        self.line(&format!("| {} |", head.join(" | ")));
        self.line(&format!("|{}", "---|".repeat(head.len())));
        for row in rows {
            self.line(&format!("| {} |", row.join(" | ")));
        }
    }

    /// A part that is opened with a click; closed again even where its lines found no room.
    fn folded(&mut self, summary: &str, fill: impl FnOnce(&mut Self)) {
        self.line(&format!("\n<details><summary>{summary}</summary>\n"));
        let open = self.left_out == 0;
        fill(self);
        if open {
            self.text.push_str("\n</details>\n");
        }
    }

    fn finish(mut self) -> String {
        if self.left_out > 0 {
            let _ = writeln!(
                self.text,
                "\n{} did not fit in here: see report.html or report.json.",
                words::counted(self.left_out, "line", "lines")
            );
        }
        self.text
    }
}

fn cell(text: &str) -> String {
    escaped(&cut(text, LONGEST.0))
}

/// A text that may begin a line: what would make it a heading, a list or a rule there is escaped too.
fn sentence(text: &str) -> String {
    let text = escaped(&cut(text, LONGEST.1));
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let at = if digits > 0
        && text
            .get(digits..)
            .unwrap_or_default()
            .starts_with(['.', ')'])
    {
        digits
    } else if text.starts_with(['#', '+', '-', '=']) {
        0
    } else {
        return text;
    };
    let (number, rest) = text.split_at(at);
    format!("{number}\\{rest}")
}

/// A text in one line that makes no markup, link, mention or HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    let text = one_line(text);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        // Addresses, mentions and numbers of issues become links after escapes are read; an invisible joiner keeps them texts.
        if c == '.' && before.eq_ignore_ascii_case(&'w') {
            out.push(JOINER);
        }
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '$' | '!' | '^' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
        let linked = match c {
            '@' | '#' => next.is_alphanumeric(),
            ':' => next == '/',
            '-' => before.eq_ignore_ascii_case(&'h') && next.is_ascii_digit(),
            _ => false,
        };
        if linked {
            out.push(JOINER);
        }
        before = c;
    }
    out
}

/// A text as code, within a line or a cell.
fn code(text: &str) -> String {
    let text = one_line(&cut(text, LONGEST.0)).replace('|', "\\|");
    let fence = "`".repeat(longest_run(&text) + 1);
    // A blank each keeps backticks at the ends apart from the fence, and is not shown.
    let blank = if text.starts_with('`') || text.ends_with('`') || text.is_empty() {
        " "
    } else {
        ""
    };
    format!("{fence}{blank}{text}{blank}{fence}")
}

/// A text as a block of code.
fn fenced(language: &str, text: &str) -> String {
    let text = cut(&harmless(text), LONGEST_COMMAND);
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{fence}{language}\n{text}\n{fence}")
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

fn one_line(text: &str) -> String {
    let words: Vec<String> = harmless(text)
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    words.join(" ")
}
