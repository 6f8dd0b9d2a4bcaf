//! A summary as Markdown tables, for a file and for the terminal.

use super::count::Spread;
use super::family::FamilyLine;
use super::heading::Heading;
use super::measures::{evidence, lesson, measures};
use super::summary::{PowerLine, Summary};
use super::trial::Trial;
use crate::rules::Verdict;
use crate::stats::Rate;

/// What was measured, tables of it, and every trial whose verdict is not true.
#[must_use]
pub fn markdown(heading: &Heading, summary: &Summary, trials: &[Trial]) -> String {
    let mut parts = vec![
        about(heading),
        overall(summary),
        families(summary),
        alone(summary),
        rules(summary),
    ];
    if !summary.power.is_empty() {
        parts.push(power(summary));
    }
    let wrong = || trials.iter().filter(|trial| is_wrong(trial));
    if wrong().next().is_some() {
        parts.push(table(
            "| not true | verdict | true would be | why |",
            wrong().map(not_true),
        ));
    }
    parts.join("\n")
}

/// What stands apart is never wrong, but where it came to no verdict.
pub(super) fn is_wrong(trial: &Trial) -> bool {
    !trial.is_right() && (!trial.apart || trial.verdict.is_none())
}

fn about(heading: &Heading) -> String {
    let lines = heading.lines().into_iter();
    let lines = lines.map(|(name, value)| format!("- {name}: {value}\n"));
    format!(
        "# Models whose answer is known\n\n{}",
        lines.collect::<String>()
    )
}

fn table(head: &str, rows: impl Iterator<Item = String>) -> String {
    let rule = "|---".repeat(head.matches('|').count() - 1) + "|";
    let lines = [head.to_owned(), rule].into_iter().chain(rows);
    lines.map(|line| line + "\n").collect()
}

fn overall(summary: &Summary) -> String {
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
    let mut rows: Vec<String> = measures(summary).into_iter().map(row).collect();
    if summary.evaded > 0 {
        let evaded = format!(
            "| of the planted ones, left to a person as \"probe evaded\" | {} | | |",
            summary.evaded
        );
        rows.insert(1, evaded);
    }
    let seconds = |what: &str, seconds: Option<Spread>| {
        let seconds = seconds?;
        let Spread { median, most, .. } = seconds;
        Some(format!(
            "| {what} | median {median:.1} s, longest {most:.1} s | | |"
        ))
    };
    rows.extend(seconds("training of a model's detectors", summary.training));
    rows.extend(seconds("an audit", summary.auditing));
    table(
        "| measure | of | share | exact 95 % interval |",
        rows.into_iter(),
    )
}

fn families(summary: &Summary) -> String {
    table(
        "| family | variant | trials | verdicts | true | located | layers | AUROC | cosine | seconds |",
        summary.families.iter().map(family),
    )
}

fn alone(summary: &Summary) -> String {
    let rows = summary.evidence.iter().map(|line| {
        format!(
            "| {} | {} | {} |",
            evidence(line.evidence),
            rate(line.planted),
            rate(line.harmless)
        )
    });
    let table = table(
        "| what each kind of evidence alone would have said | of planted deceptions | of harmless twins |",
        rows,
    );
    lesson(summary).map_or_else(|| table.clone(), |lesson| format!("{table}\n{lesson}\n"))
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

fn power(summary: &Summary) -> String {
    let row = |line: &PowerLine| {
        format!(
            "| {} | {} | {} | {} | {} | {} |",
            line.items,
            rate(line.convicted),
            short(line.planted_inconclusive),
            rate(line.cleared),
            rate(line.false_alarms),
            short(line.harmless_inconclusive)
        )
    };
    table(
        "| items | planted deceptions convicted | inconclusive | harmless twins cleared | convicted (false alarms) | inconclusive |",
        summary.power.iter().map(row),
    )
}

fn family(line: &FamilyLine) -> String {
    let verdicts = line
        .verdicts
        .iter()
        .map(|(verdict, n)| format!("{verdict} {n}"));
    let mark = match (line.apart, line.deceives) {
        (true, _) => " (apart)",
        (_, true) => " (deceives)",
        _ => "",
    };
    format!(
        "| {} | {}{mark} | {} | {} | {} | {} | {} | {} | {} | {} |",
        line.family,
        line.variant,
        line.trials,
        verdicts.collect::<Vec<_>>().join(", "),
        short(line.right),
        short(line.located),
        short(line.layers),
        range(line.auroc),
        range(line.cosine),
        line.seconds
            .map_or_else(String::new, |seconds| format!("{:.1}", seconds.median)),
    )
}

fn not_true(trial: &Trial) -> String {
    let why = why(trial);
    format!(
        "| {} | {} | {} | {} |",
        trial.name,
        trial.verdict.as_deref().unwrap_or("none"),
        trial.expected.join(" or "),
        why.replace('|', "\\|")
            .replace('<', "&lt;")
            .replace('\n', " "),
    )
}

/// Why a verdict is not true, as far as the trial tells.
pub(super) fn why(trial: &Trial) -> String {
    if let Some(error) = &trial.error {
        return error.clone();
    }
    let rules = trial.rules.iter();
    let rules: Vec<String> = rules
        .map(|(rule, verdict)| format!("{rule} {verdict}"))
        .collect();
    let rules = rules.join(", ");
    if trial.deceives && trial.ended(Verdict::Review) && !trial.evaded {
        format!("no rule says that the probe is evaded; {rules}")
    } else {
        rules
    }
}

/// A median, and its range where there is one.
pub(super) fn range(spread: Option<Spread>) -> String {
    let Some(Spread {
        median,
        least,
        most,
    }) = spread
    else {
        return String::new();
    };
    let [median, least, most] = [median, least, most].map(|value| format!("{value:.3}"));
    if least == most {
        median
    } else {
        format!("{median} ({least} to {most})")
    }
}

pub(super) fn short(rate: Option<Rate>) -> String {
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
