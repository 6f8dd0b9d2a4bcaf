//! What is opened with a click: what samples can show, answers, digests; and how to make the report again.

use super::escape::{cell, code, fenced, sentence};
use super::page::Page;
use crate::report::{AuditReport, Power, words};

/// What the samples can show, and how sure the answers are.
pub fn reach(report: &AuditReport, page: &mut Page) {
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

pub fn answers(report: &AuditReport, page: &mut Page) {
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

pub fn certified(report: &AuditReport, page: &mut Page) {
    let rules = report.rules.iter();
    let rows: Vec<Vec<String>> = rules
        .filter_map(|rule| {
            Some(vec![
                code(&rule.id),
                cell(&report.certified_rule(&rule.id)?),
            ])
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    page.folded("How often the rules are right", |page| {
        page.table(&["Rule", "Measured"], rows.into_iter());
    });
}

pub fn record(report: &AuditReport, page: &mut Page) {
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

pub fn reproduce(report: &AuditReport, page: &mut Page) {
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
