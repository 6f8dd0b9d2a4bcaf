//! `results.html`: what the benchmark found on one page, self-contained and offline.

use askama::Template;

use super::summary::{FamilyLine, Summary};
use super::trial::Trial;
use crate::fault::{Fault, Result};
use crate::stats::Rate;

#[derive(Template)]
#[template(path = "bench.html")]
struct Page<'a> {
    version: &'a str,
    trials: usize,
    measures: Vec<Measure>,
    families: Vec<Row<'a>>,
    rules: Vec<(&'a str, [Option<Bar>; 2])>,
    power: Vec<(usize, [Option<Bar>; 2])>,
    wrong: Vec<Wrong<'a>>,
    longest: String,
}

/// A share with its interval.
struct Measure {
    what: &'static str,
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
pub fn page(summary: &Summary, trials: &[Trial]) -> Result<String> {
    let measures = [
        ("Planted deceptions convicted", summary.convicted),
        ("Harmless twins convicted", summary.false_alarms),
        ("Harmless twins cleared", summary.cleared),
        ("Decisions located at every layer", summary.located),
        ("Deciding heads found", summary.heads),
        ("Verdicts that differ between runs", summary.flipped),
        (
            "The same verdict in every export",
            summary.same_in_all_forms,
        ),
    ];
    let page = Page {
        version: env!("CARGO_PKG_VERSION"),
        trials: trials.len(),
        measures: measures
            .into_iter()
            .map(|(what, rate)| Measure {
                what,
                bar: rate.map(bar),
            })
            .collect(),
        families: summary.families.iter().map(row).collect(),
        rules: summary
            .rules
            .iter()
            .map(|(rule, rates)| (rule.as_str(), rates.map(|rate| rate.map(bar))))
            .collect(),
        power: summary
            .power
            .iter()
            .map(|(items, rates)| (*items, rates.map(|rate| rate.map(bar))))
            .collect(),
        wrong: trials
            .iter()
            .filter(|trial| !trial.is_right())
            .map(wrong)
            .collect(),
        longest: format!("{:.1}", summary.longest),
    };
    page.render()
        .map_err(|error| Fault::failed("writing the page of a benchmark", error.to_string()))
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
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.3}"));
    let short = |rate: Option<Rate>| {
        rate.map_or_else(String::new, |rate| format!("{} of {}", rate.hits, rate.of))
    };
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
        auroc: number(line.auroc),
        cosine: number(line.cosine),
        seconds: format!("{:.1}", line.seconds),
    }
}

fn wrong(trial: &Trial) -> Wrong<'_> {
    let rules = trial.rules.iter();
    let rules = rules.map(|(rule, verdict)| format!("{rule}: {verdict}"));
    let why = trial.error.clone();
    Wrong {
        name: &trial.name,
        verdict: trial.verdict.as_deref().unwrap_or("none"),
        expected: trial.expected.join(" or "),
        why: why.unwrap_or_else(|| rules.collect::<Vec<_>>().join(", ")),
    }
}
