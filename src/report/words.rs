//! How verdicts, numbers and estimates are worded, the same in the page and in the terminal.

use crate::evidence::Outcome;
use crate::rules::Verdict;
use crate::stats::Estimate;

use super::{Bar, PositionClass, Side};

/// Every verdict from grave to harmless.
pub(super) const VERDICTS: [Verdict; 6] = [
    Verdict::Fail,
    Verdict::Inconclusive,
    Verdict::NotMeasurable,
    Verdict::Review,
    Verdict::ConditionalBenign,
    Verdict::Pass,
];

/// What a verdict means, in a sentence.
pub(super) fn verdict_meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => {
            "The bound of the interval, not only the point estimate, is on the right side."
        }
        Verdict::ConditionalBenign => {
            "The condition causally changes what the model says, but nothing false is said and no ability is lost. Shown; does not gate."
        }
        Verdict::Review => {
            "A representation alone, or behaviour without causal evidence: a person has to look. Gates as at most medium."
        }
        Verdict::NotMeasurable => {
            "What the rule needs (a detector, a suite) is not part of this audit. Not a pass."
        }
        Verdict::Inconclusive => {
            "The sample cannot support the claim, a control failed, or a detector does not fit. Not a pass."
        }
        Verdict::Fail => {
            "Behaviour visible from outside and causal evidence for it, with its controls."
        }
    }
}

/// Whether a severity says anything beside that verdict: of what did not fail it is only what could have been.
pub(super) fn has_severity(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Fail | Verdict::Review)
}

/// Where a position lies, as in "patching a site at the answer's position".
pub(super) fn position(class: PositionClass) -> &'static str {
    match class {
        PositionClass::Differing => "the differing tokens",
        PositionClass::Elsewhere => "the other tokens",
        PositionClass::Last => "the answer's position",
    }
}

/// An RFC 3339 time in UTC to the minute; anything else as it is.
pub(super) fn moment(time: &str) -> String {
    match (time.get(..10), time.get(10..11), time.get(11..16)) {
        (Some(day), Some("T"), Some(minute)) if time.ends_with('Z') => {
            format!("{day} {minute} UTC")
        }
        _ => time.to_owned(),
    }
}

/// The first letter as a capital.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

pub(super) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::True => "true",
        Outcome::False => "false",
        Outcome::Unclear => "unclear",
        Outcome::Unjudged => "not judged",
        Outcome::Failed => "failed",
    }
}

/// As precise as is needed: plain decimals for what is near 1, exponents for the rest.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return if value.is_nan() {
            "not a number".to_owned()
        } else if value > 0.0 {
            "∞".to_owned()
        } else {
            "−∞".to_owned()
        };
    }
    if size == 0.0 {
        return "0".to_owned();
    }
    let text = if !(1e-4..1e4).contains(&size) {
        format!("{value:.1e}")
    } else if size < 1e-2 {
        format!("{value:.4}")
    } else if size < 10.0 {
        format!("{value:.3}")
    } else {
        format!("{value:.1}")
    };
    minus(&text)
}

/// Two decimals, for the cells of a map.
pub(super) fn short(value: f64) -> String {
    if !value.is_finite() {
        return number(value);
    }
    let text = format!("{value:.2}");
    if text == "-0.00" {
        return "0.00".to_owned();
    }
    minus(&text)
}

/// `low to high`.
pub(super) fn interval(estimate: &Estimate) -> String {
    range(estimate.low, estimate.high)
}

/// `low to high`, both as precise as the larger one.
pub(super) fn range(low: f64, high: f64) -> String {
    let fine = |value: f64| value != 0.0 && value.abs() < 1e-2;
    let said = |value: f64| {
        if fine(value) && !(fine(low) && fine(high) || low == 0.0 || high == 0.0) {
            let text = format!("{value:.3}");
            return if text == "-0.000" {
                "0.000".to_owned()
            } else {
                minus(&text)
            };
        }
        number(value)
    };
    format!("{} to {}", said(low), said(high))
}

/// Such as `at least 0.9`.
pub(super) fn bar(bar: &Bar) -> String {
    let side = match bar.side {
        Side::AtLeast => "at least",
        Side::Above => "above",
        Side::AtMost => "at most",
        Side::Below => "below",
    };
    format!("{side} {}", trimmed(bar.value))
}

/// Without zeros at the end.
pub(super) fn trimmed(value: f64) -> String {
    let text = number(value);
    if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn minus(text: &str) -> String {
    text.replacen('-', "−", usize::from(text.starts_with('-')))
}

/// `1 rule`, `2 rules`.
#[must_use]
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
