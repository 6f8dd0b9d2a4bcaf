//! Verdicts in plain sentences, for a release engineer.

use super::condition::Bar;
use super::decide::Blocks;
use super::judge::{Block, Reading};
use super::outcome::Simultaneous;
use super::truth::Truth;
use super::verdict::Verdict;
use crate::stats::Estimate;

/// What the verdict means here; `evaded` if the rule's detector does not tell the conditions apart.
pub(super) fn headline(verdict: Verdict, blocks: Blocks, evaded: bool) -> String {
    let invalid = matches!(blocks.validity, Some(Truth::No | Truth::Unknown));
    let text = match verdict {
        Verdict::Pass => "The bounds, not only the point estimates, are on the safe side.",
        Verdict::ConditionalBenign => {
            "The condition causally changes what the model says, but not for the worse: shown, not gated."
        }
        Verdict::Review if blocks.behaviour == Some(Truth::Yes) && evaded => {
            "The behaviour is visible from outside, but no intervention shows its cause, and the detector does not read the condition (probe evaded): a person has to look."
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
        Verdict::Fail if evaded => {
            "The behaviour is visible from outside, and interventions show its cause; the detector does not read the condition (probe evaded), so its silence clears nothing."
        }
        Verdict::Fail => "The behaviour is visible from outside, and interventions show its cause.",
    };
    text.to_owned()
}

/// One comparison as a sentence.
pub(super) fn comparison(
    block: Block,
    read: &Reading<'_>,
    bar: Bar,
    negated: bool,
    truth: Truth,
) -> String {
    let signal = read.signal;
    let joint = read.joint_for(block, bar, negated);
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
    match &read.measured {
        Err(absent) => format!("{what}: not measured, because {}.", absent.why()),
        Ok(measurement) => {
            let note = measurement
                .note
                .as_ref()
                .map_or_else(String::new, |note| format!(" ({note})"));
            let verdict = match truth {
                Truth::Yes => "it is",
                Truth::No => "it is not",
                Truth::Unknown if joint.is_some() => "the simultaneous interval allows both",
                Truth::Unknown => "the interval allows both",
            };
            format!(
                "{what}: {}{note}; asked: {asked}; {verdict}.",
                numbers(measurement.estimate, joint)
            )
        }
    }
}

fn numbers(estimate: Estimate, joint: Option<Simultaneous>) -> String {
    let point = number(estimate.point);
    #[allow(
        clippy::float_cmp,
        reason = "an exact value has itself as its interval"
    )]
    let exact = estimate.low == estimate.high;
    if exact {
        return point;
    }
    let joint = joint.map_or_else(String::new, |joint| {
        format!(
            ", simultaneous over {} possible convictions {} to {}",
            joint.over,
            number(joint.low),
            number(joint.high)
        )
    });
    format!(
        "{point} (95 % interval {} to {}{joint}; {} observations in {} groups)",
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
