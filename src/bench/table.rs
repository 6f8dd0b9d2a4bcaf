//! A summary as Markdown tables, for a file and for the terminal.

use super::summary::{FamilyLine, Summary};
use super::trial::Trial;
use crate::stats::Rate;

/// Tables of a summary, and every trial whose verdict is not true.
#[must_use]
pub fn markdown(summary: &Summary, trials: &[Trial]) -> String {
    let mut tables = vec![overall(summary), families(summary), rules(summary)];
    if !summary.power.is_empty() {
        let rows = summary.power.iter();
        tables.push(table(
            "| items | planted deceptions convicted | harmless twins cleared |",
            rows.map(|(items, [planted, harmless])| {
                format!("| {items} | {} | {} |", rate(*planted), rate(*harmless))
            }),
        ));
    }
    if trials.iter().any(|trial| !trial.is_right()) {
        let wrong = trials.iter().filter(|trial| !trial.is_right());
        tables.push(table(
            "| not true | verdict | true would be | why |",
            wrong.map(not_true),
        ));
    }
    tables.join("\n")
}

fn table(head: &str, rows: impl Iterator<Item = String>) -> String {
    let rule = "|---".repeat(head.matches('|').count() - 1) + "|";
    let lines = [head.to_owned(), rule].into_iter().chain(rows);
    lines.map(|line| line + "\n").collect()
}

fn overall(summary: &Summary) -> String {
    let rows = [
        ("planted deceptions convicted", summary.convicted),
        (
            "harmless twins convicted (false alarms)",
            summary.false_alarms,
        ),
        ("harmless twins cleared", summary.cleared),
        (
            "decisions located exactly (every layer, both modes), where the place is known",
            summary.located,
        ),
        (
            "deciding heads found exactly, where the head is known",
            summary.heads,
        ),
        (
            "verdicts that differ between runs of one file",
            summary.flipped,
        ),
        (
            "the same verdict in every export",
            summary.same_in_all_forms,
        ),
    ];
    let row = |(what, rate): (&str, Option<Rate>)| match rate {
        Some(rate) => format!(
            "| {what} | {} of {} | {} | {} to {} |",
            rate.hits,
            rate.of,
            percent(rate.point()),
            percent(rate.low),
            percent(rate.high)
        ),
        None => format!("| {what} | not measured | | |"),
    };
    let longest = format!("| longest audit | {:.1} s | | |", summary.longest);
    table(
        "| measure | of | share | exact 95 % interval |",
        rows.into_iter().map(row).chain([longest]),
    )
}

fn families(summary: &Summary) -> String {
    table(
        "| family | variant | trials | verdicts | true | located | layers | AUROC | cosine | seconds |",
        summary.families.iter().map(family),
    )
}

fn rules(summary: &Summary) -> String {
    let rows = summary.rules.iter();
    table(
        "| rule | planted deceptions convicted | harmless twins convicted |",
        rows.map(|(rule, [planted, harmless])| {
            format!("| `{rule}` | {} | {} |", rate(*planted), rate(*harmless))
        }),
    )
}

fn family(line: &FamilyLine) -> String {
    let verdicts = line
        .verdicts
        .iter()
        .map(|(verdict, n)| format!("{verdict} {n}"));
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.3}"));
    format!(
        "| {} | {}{} | {} | {} | {} | {} | {} | {} | {} | {:.1} |",
        line.family,
        line.variant,
        if line.deceives { " (deceives)" } else { "" },
        line.trials,
        verdicts.collect::<Vec<_>>().join(", "),
        short(line.right),
        short(line.located),
        short(line.layers),
        number(line.auroc),
        number(line.cosine),
        line.seconds,
    )
}

fn not_true(trial: &Trial) -> String {
    let rules = trial.rules.iter();
    let rules = rules.map(|(rule, verdict)| format!("{rule} {verdict}"));
    let why = trial
        .error
        .clone()
        .unwrap_or_else(|| rules.collect::<Vec<_>>().join(", "));
    format!(
        "| {} | {} | {} | {} |",
        trial.name,
        trial.verdict.as_deref().unwrap_or("none"),
        trial.expected.join(" or "),
        why.replace('|', "\\|").replace('\n', " "),
    )
}

fn short(rate: Option<Rate>) -> String {
    rate.map_or_else(String::new, |rate| format!("{} of {}", rate.hits, rate.of))
}

fn rate(rate: Option<Rate>) -> String {
    rate.map_or_else(
        || "none tried".to_owned(),
        |rate| {
            format!(
                "{} of {} ({} to {})",
                rate.hits,
                rate.of,
                percent(rate.low),
                percent(rate.high)
            )
        },
    )
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
