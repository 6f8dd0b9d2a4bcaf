//! `results.html`: what the benchmark found on one page, self-contained and offline.

use askama::Template;

use super::count::Spread;
use super::family::FamilyLine;
use super::heading::{Heading, many};
use super::measures::{evidence, lesson, measures};
use super::summary::{PowerLine, Summary};
use super::table::{is_wrong, range, short, why};
use super::trial::Trial;
use crate::fault::{Fault, Result};
use crate::stats::Rate;

#[derive(Template)]
#[template(path = "bench.html")]
struct Page<'a> {
    version: &'a str,
    counted: String,
    times: Vec<String>,
    measures: Vec<Measure>,
    families: Vec<Row<'a>>,
    /// Whether a row stands apart.
    apart: bool,
    evidence: Vec<(&'static str, [Option<Bar>; 2])>,
    lesson: Option<String>,
    rules: Vec<(&'a str, [Option<Bar>; 2])>,
    power: Vec<Power>,
    wrong: Vec<Wrong<'a>>,
    lines: Vec<(&'static str, String)>,
}

/// A share with its interval.
struct Measure {
    what: String,
    bar: Option<Bar>,
}

/// A share, as a bar of a hundred units.
struct Bar {
    of: String,
    percent: String,
    interval: String,
    point: String,
    low: String,
    width: String,
}

struct Row<'a> {
    line: &'a FamilyLine,
    /// Each verdict with how many trials ended with it and their share in percent.
    verdicts: Vec<(&'a str, usize, String)>,
    right: String,
    located: String,
    auroc: String,
    cosine: String,
    seconds: String,
}

struct Power {
    items: usize,
    convicted: Option<Bar>,
    cleared: Option<Bar>,
    false_alarms: Option<Bar>,
    inconclusive: [String; 2],
}

struct Wrong<'a> {
    name: &'a str,
    verdict: &'a str,
    expected: String,
    why: String,
}

/// The whole page.
///
/// # Errors
/// Never for plain data; the type is that of the library underneath.
pub fn page(heading: &Heading, summary: &Summary, trials: &[Trial]) -> Result<String> {
    let more = match heading.further {
        0 => String::new(),
        further => format!(
            ", and {} more (other runs and sizes, what stands apart)",
            many(further, "audit")
        ),
    };
    let shares = measures(summary).into_iter();
    let page = Page {
        version: &heading.version,
        counted: format!(
            "{}: {} whose answer is known{more}",
            heading.made,
            heading.counted()
        ),
        times: [
            ("An audit", summary.auditing),
            ("The training of a model's detectors", summary.training),
        ]
        .into_iter()
        .filter_map(|(what, seconds)| time(what, seconds))
        .collect(),
        measures: shares
            .map(|(what, rate)| Measure {
                what: capitalised(what),
                bar: rate.map(bar),
            })
            .collect(),
        families: summary.families.iter().map(row).collect(),
        apart: summary.families.iter().any(|line| line.apart),
        evidence: summary
            .evidence
            .iter()
            .map(|line| {
                let bars = [line.planted, line.harmless].map(|rate| rate.map(bar));
                (evidence(line.evidence), bars)
            })
            .collect(),
        lesson: lesson(summary),
        rules: summary
            .rules
            .iter()
            .map(|(rule, rates)| (rule.as_str(), rates.map(|rate| rate.map(bar))))
            .collect(),
        power: summary.power.iter().map(power).collect(),
        wrong: trials
            .iter()
            .filter(|trial| is_wrong(trial))
            .map(wrong)
            .collect(),
        lines: heading.lines(),
    };
    page.render()
        .map_err(|error| Fault::failed("writing the page of a benchmark", error.to_string()))
}

fn time(what: &str, seconds: Option<Spread>) -> Option<String> {
    let Spread { median, most, .. } = seconds?;
    Some(format!(
        "{what} took {median:.1} s (median), {most:.1} s at most."
    ))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn bar(rate: Rate) -> Bar {
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    Bar {
        of: format!("{} of {}", rate.hits, rate.of),
        percent: percent(rate.point()),
        interval: format!("{} to {} %", percent(rate.low), percent(rate.high)),
        point: percent(rate.point()),
        low: percent(rate.low),
        width: percent(rate.high - rate.low),
    }
}

fn row(line: &FamilyLine) -> Row<'_> {
    let share = |hits: usize| Rate::of(hits, line.trials).map_or(0.0, Rate::point);
    let verdicts = line.verdicts.iter();
    Row {
        line,
        verdicts: verdicts
            .map(|(verdict, hits)| {
                (
                    verdict.as_str(),
                    *hits,
                    format!("{:.2}", 100.0 * share(*hits)),
                )
            })
            .collect(),
        right: short(line.right),
        located: short(line.located),
        auroc: range(line.auroc),
        cosine: range(line.cosine),
        seconds: line
            .seconds
            .map_or_else(String::new, |seconds| format!("{:.1}", seconds.median)),
    }
}

fn power(line: &PowerLine) -> Power {
    Power {
        items: line.items,
        convicted: line.convicted.map(bar),
        cleared: line.cleared.map(bar),
        false_alarms: line.false_alarms.map(bar),
        inconclusive: [line.planted_inconclusive, line.harmless_inconclusive].map(short),
    }
}

fn wrong(trial: &Trial) -> Wrong<'_> {
    Wrong {
        name: &trial.name,
        verdict: trial.verdict.as_deref().unwrap_or("none"),
        expected: trial.expected.join(" or "),
        why: why(trial),
    }
}
