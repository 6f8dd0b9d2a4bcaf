//! Numbers, lists and meanings in words.

use crate::model::{InputRole, Quantisation, Stored};
pub use crate::report::counted;

/// A large number with three figures and a unit: `124 M`.
pub fn rounded(count: u64) -> String {
    scaled(count, ["", " k", " M", " G", " T"])
}

/// A size in bytes with three figures: `498 MB`.
pub fn bytes(count: u64) -> String {
    scaled(count, [" B", " kB", " MB", " GB", " TB"])
}

#[allow(clippy::cast_precision_loss, reason = "three figures are shown")]
fn scaled(count: u64, units: [&str; 5]) -> String {
    let mut value = count as f64;
    let mut unit = 0;
    // What would be shown as 1000 is shown as 1 of the next unit.
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let shown = match (unit, value) {
        (0, _) => count.to_string(),
        (_, value) if value < 9.995 => format!("{value:.2}"),
        (_, value) if value < 99.95 => format!("{value:.1}"),
        (_, value) => format!("{value:.0}"),
    };
    format!("{shown}{}", units.get(unit).unwrap_or(&""))
}

/// A constant without needless figures: `30`, `0.0625`, `5.657`.
pub fn constant(value: f32) -> String {
    let figures = format!("{value:.4}");
    let trimmed = figures.trim_end_matches('0').trim_end_matches('.');
    if value != 0.0 && matches!(trimmed, "0" | "-0") {
        format!("{value:e}")
    } else {
        trimmed.to_owned()
    }
}

/// How many runs of layers are listed before the rest is left to their number.
const RUNS: usize = 4;

/// Ascending numbers of layers, runs with one step shortened: `0–11`, `0, 2, 4 … 40`.
pub fn layers(numbers: &[usize]) -> String {
    let mut runs: Vec<String> = Vec::new();
    let mut rest = numbers;
    while let [first, tail @ ..] = rest {
        let step = tail.first().map_or(1, |second| second - first);
        let alike = rest
            .windows(2)
            .take_while(|pair| matches!(pair, [a, b] if b - a == step))
            .count();
        let last = rest.get(alike).copied().unwrap_or(*first);
        let taken = match (step, alike) {
            (_, 0) => (first.to_string(), 1),
            (1, _) => (format!("{first}–{last}"), alike + 1),
            (_, 1) => (first.to_string(), 1),
            (_, 2) => (format!("{first}, {}, {last}", first + step), 3),
            _ => (
                format!("{first}, {}, {} … {last}", first + step, first + 2 * step),
                alike + 1,
            ),
        };
        runs.push(taken.0);
        rest = rest.get(taken.1..).unwrap_or_default();
    }
    if runs.len() > RUNS {
        runs.truncate(RUNS);
        runs.push(format!("… ({} in all)", numbers.len()));
    }
    runs.join(", ")
}

/// The same with the word before them: `block 3`, `blocks 0–11`.
pub fn blocks(numbers: &[usize]) -> String {
    let word = if numbers.len() == 1 {
        "block"
    } else {
        "blocks"
    };
    format!("{word} {}", layers(numbers))
}

/// A dimension if it is a number, and one sign for all that are not: exporters name one symbol differently.
pub fn size(dimension: &str) -> String {
    let is_number = dimension.chars().all(|c| c.is_ascii_digit());
    if is_number {
        dimension.to_owned()
    } else {
        "?".into()
    }
}

/// What an input means, in words.
pub fn role(role: &InputRole) -> &'static str {
    match role {
        InputRole::TokenIds => "token ids",
        InputRole::AttentionMask => "attention mask",
        InputRole::ScoreMask(_) => "attention mask by head and query",
        InputRole::PositionIds => "position ids",
        InputRole::CachePositions => "positions in the cache",
        InputRole::TokenTypes => "token types, all 0",
        InputRole::LogitsToKeep => "number of tokens that get logits, all",
        InputRole::LastTokens => "number of real tokens so far less one",
        InputRole::TotalLength => "number of tokens so far",
        InputRole::PastKeyValue(_) => "past key or value",
    }
}

/// How weights are stored.
pub fn storage(stored: &Stored) -> String {
    let element = &stored.element;
    match stored.quantisation {
        None => element.clone(),
        Some(Quantisation::Blocks(size)) => format!("{element} in blocks of {size}"),
        Some(Quantisation::Dynamic) => format!("{element}, activations quantised dynamically"),
        Some(Quantisation::Dequantised) => format!("{element}, dequantised where used"),
        Some(Quantisation::Static) => format!("{element}, products of integers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_listed_by_runs() {
        let even: Vec<usize> = (0..42).step_by(2).collect();
        let of_four: Vec<usize> = (0..48).filter(|layer| layer % 4 != 3).collect();
        assert_eq!(layers(&[]), "");
        assert_eq!(layers(&[7]), "7");
        assert_eq!(layers(&[0, 1]), "0–1");
        assert_eq!(layers(&[0, 5]), "0, 5");
        assert_eq!(layers(&(0..48).collect::<Vec<_>>()), "0–47");
        assert_eq!(layers(&[1, 3, 5]), "1, 3, 5");
        assert_eq!(layers(&even), "0, 2, 4 … 40");
        assert_eq!(layers(&[0, 2, 3, 4, 9]), "0, 2–4, 9");
        assert_eq!(layers(&of_four), "0–2, 4–6, 8–10, 12–14, … (36 in all)");
    }

    #[test]
    fn numbers_have_three_figures() {
        let said: Vec<String> = [0, 999, 1_000, 12_345, 999_499, 999_500, 124_439_808]
            .map(rounded)
            .into();
        assert_eq!(
            said,
            ["0", "999", "1.00 k", "12.3 k", "999 k", "1.00 M", "124 M"]
        );
        assert_eq!(bytes(u64::MAX), "18446744 TB");
        let constants = [30.0, 0.0625, 5.656_854, 0.25, 1e-7, 0.0].map(constant);
        assert_eq!(constants, ["30", "0.0625", "5.6569", "0.25", "1e-7", "0"]);
    }
}
