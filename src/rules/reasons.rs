//! Verdicts in plain sentences, for a release engineer.

use super::condition::Bar;
use super::decide::Blocks;
use super::judge::Block;
use super::signals::{Measured, Signal};
use super::truth::Truth;
use super::verdict::Verdict;
use crate::stats::Estimate;

/// What the verdict means here.
pub(super) fn headline(verdict: Verdict, blocks: Blocks) -> String {
    let invalid = matches!(blocks.validity, Some(Truth::No | Truth::Unknown));
    let text = match verdict {
        Verdict::Pass => "The bounds, not only the point estimates, are on the safe side.",
        Verdict::ConditionalBenign => {
            "The condition causally changes what the model says, but not for the worse: shown, not gated."
        }
        Verdict::Review if blocks.behaviour == Some(Truth::Yes) => {
            "The behaviour is visible from outside, but no intervention shows its cause: a person has to look."
        }
        Verdict::Review => {
            "The condition is represented inside the model, which alone proves nothing: a person has to look."
        }
        Verdict::NotMeasurable => "What the rule needs is not part of this audit.",
        Verdict::Inconclusive if invalid => {
            "A control failed or could not be measured, so nothing may be concluded."
        }
        Verdict::Inconclusive => "The evidence supports neither a finding nor a pass.",
        Verdict::Fail => "The behaviour is visible from outside, and interventions show its cause.",
    };
    text.to_owned()
}

/// A bar for a table, such as `behaviour: at least 0.1 (yes)`.
pub(super) fn bar(block: Block, bar: Bar, truth: Truth) -> String {
    format!(
        "{}: {} {} ({})",
        block.name(),
        bar.comparison.words(),
        bar.value,
        truth.name()
    )
}

/// One comparison as a sentence.
pub(super) fn comparison(
    block: Block,
    signal: &Signal,
    measured: &Measured,
    bar: Bar,
    truth: Truth,
) -> String {
    let asked = format!("{} {}", bar.comparison.words(), bar.value);
    let qualifier = match (signal.params.mode, signal.params.of) {
        (Some(mode), _) => format!(" ({})", super::words::mode(mode)),
        (_, Some(of)) => format!(" ({})", super::words::of(of)),
        _ => String::new(),
    };
    let what = format!(
        "{}, {}{qualifier}",
        capitalised(block.name()),
        signal.kind.label
    );
    match measured {
        Err(absent) => format!("{what}: not measured, because {}.", absent.why()),
        Ok(measurement) => {
            let note = measurement
                .note
                .as_ref()
                .map_or_else(String::new, |note| format!(" ({note})"));
            let verdict = match truth {
                Truth::Yes => "it is",
                Truth::No => "it is not",
                Truth::Unknown => "the interval allows both",
            };
            format!(
                "{what}: {}{note}; asked: {asked}; {verdict}.",
                numbers(measurement.estimate)
            )
        }
    }
}

fn numbers(estimate: Estimate) -> String {
    let point = number(estimate.point);
    #[allow(
        clippy::float_cmp,
        reason = "an exact value has itself as its interval"
    )]
    let exact = estimate.low == estimate.high;
    if exact {
        return point;
    }
    format!(
        "{point} (95 % interval {} to {}; {} observations in {} groups)",
        number(estimate.low),
        number(estimate.high),
        estimate.n,
        estimate.clusters
    )
}

/// Three decimals, or two significant digits for what would round to nothing.
fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.001 {
        format!("{value:.1e}")
    } else {
        format!("{value:.3}")
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
