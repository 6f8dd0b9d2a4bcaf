//! Texts side by side, each token in the colour of its score, and what each push does to the plain text.

use unicode_width::UnicodeWidthStr as _;

use super::super::inspect::paint::{Line, Surface, Tone};
use super::{AtArg, Seen, UnitArg};
use crate::detect::Calibration;
use crate::lab::SteeredText;
use crate::report::counted;

/// Levels of a score, from the lowest to the highest of all texts.
const LEVELS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const INDENT: &str = "  ";

impl Seen<'_> {
    /// The card's threshold for what is shown: a probe, or the feature that it was set on.
    pub fn calibration(&self) -> Option<&Calibration> {
        let card = &self.detector.card;
        let first = card.features.first().map(|feature| feature.index);
        card.calibration.as_ref().filter(|_| self.feature == first)
    }
}

/// The page.
pub fn page(seen: &Seen<'_>, surface: Surface) -> String {
    let mut lines = head(seen, surface);
    let range = range(&seen.steered.texts);
    for (text, (_, tokens)) in seen.steered.texts.iter().zip(&seen.responses) {
        lines.push(Line::new());
        lines.push(title(seen, text));
        lines.extend(painted(seen, text, tokens, surface.width));
        lines.extend(levels(text, range, seen.prompt.ids.len(), surface.width));
    }
    lines.push(Line::new());
    lines.extend(summary(&seen.steered.texts));
    let shown: Vec<String> = lines
        .iter()
        .map(|line| line.shown(surface.coloured))
        .collect();
    shown.join("\n")
}

fn head(seen: &Seen<'_>, surface: Surface) -> Vec<Line> {
    let card = &seen.detector.card;
    let what = match seen.feature {
        Some(feature) => format!("feature {feature} of {}", card.id),
        None => format!("{} ({})", card.id, card.kind),
    };
    let mut lines = vec![
        Line::new()
            .with(Tone::Strong, what)
            .with(Tone::Plain, format!(" · reads {}", card.site)),
    ];
    let at = match seen.args.at {
        AtArg::All => "at every token",
        AtArg::Response => "at new tokens",
    };
    let unit = match seen.args.unit {
        UnitArg::Raw => "raw",
        UnitArg::Norm => "norm",
    };
    for along in &seen.steered.along {
        let pieces = [
            format!("added to {} {at}", along.site),
            format!("scale 1 ({unit}) is {} long", number(along.unit)),
            format!("activations there are {} long", number(along.typical)),
        ];
        for line in super::super::inspect::paint::flow(&pieces, surface.width) {
            lines.push(Line::new().with(Tone::Quiet, line));
        }
    }
    lines
}

fn title(seen: &Seen<'_>, text: &SteeredText) -> Line {
    let name = if text.scale == 0.0 {
        "plain".to_owned()
    } else {
        format!("scale {}", signed(text.scale))
    };
    let flagged = seen.calibration().map_or_else(String::new, |calibration| {
        let response = text.scores.iter().skip(seen.prompt.ids.len());
        let flagged = response.filter(|score| calibration.flag(f64::from(**score)));
        let (flags, threshold) = (calibration.flags.name(), number(calibration.threshold));
        format!(", {} {flags} {threshold}", flagged.count())
    });
    let end = if text.stopped {
        ", ended by the model"
    } else {
        ""
    };
    Line::new().with(Tone::Strong, name).with(
        Tone::Quiet,
        format!(
            " · {}{flagged}{end}",
            counted(text.ids.len(), "token", "tokens")
        ),
    )
}

/// The prompt quietly, and behind it the response, its flagged tokens in the colour of an alarm.
fn painted(seen: &Seen<'_>, text: &SteeredText, response: &[String], width: usize) -> Vec<Line> {
    let calibration = seen.calibration();
    let tone = |at: usize| {
        let score = text.scores.get(at).copied().map(f64::from);
        let flagged = score
            .zip(calibration)
            .is_some_and(|(score, calibration)| calibration.flag(score));
        match (flagged, at < seen.prompt.ids.len()) {
            (true, _) => Tone::Alarm,
            (false, true) => Tone::Quiet,
            (false, false) => Tone::Plain,
        }
    };
    // Ids, and words of a vocabulary that keeps no blanks.
    let mut tokens = seen.prompt.tokens.iter().chain(response).skip(1);
    let apart =
        seen.args.ids.is_some() || !tokens.any(|token| token.starts_with(char::is_whitespace));
    let mut lines = vec![Line::new().with(Tone::Plain, INDENT)];
    let mut used = INDENT.len();
    for (at, token) in seen.prompt.tokens.iter().chain(response).enumerate() {
        let spaced = if apart {
            format!("{token} ")
        } else {
            token.clone()
        };
        for (piece, part) in spaced.split('\n').enumerate() {
            let fits = used + part.width() <= width;
            if piece > 0 || (!fits && used > INDENT.len()) {
                lines.push(Line::new().with(Tone::Plain, INDENT));
                used = INDENT.len();
            }
            let part = if used == INDENT.len() {
                part.trim_start()
            } else {
                part
            };
            used += part.width();
            if let Some(line) = lines.last_mut() {
                *line = std::mem::take(line).with(tone(at), part);
            }
        }
    }
    lines
}

/// A bar for each token, a gap where the response begins.
fn levels(text: &SteeredText, (low, high): (f32, f32), start: usize, width: usize) -> Vec<Line> {
    let bars: Vec<&str> = text
        .scores
        .iter()
        .map(|score| {
            let share = if high > low {
                (score - low) / (high - low)
            } else {
                0.0
            };
            let of = LEVELS.len() - 1;
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a share of a handful of levels"
            )]
            let level = (share * of as f32).round() as usize;
            LEVELS.get(level.min(of)).copied().unwrap_or(" ")
        })
        .collect();
    let prompt = bars.get(..start).unwrap_or(&bars);
    let response = bars.get(start..).unwrap_or(&[]);
    let whole: Vec<&str> = prompt
        .iter()
        .chain(&["│"])
        .chain(response)
        .copied()
        .collect();
    let wide = width.saturating_sub(INDENT.len()).max(1);
    whole
        .chunks(wide)
        .map(|bars| {
            Line::new()
                .with(Tone::Plain, INDENT)
                .with(Tone::Quiet, bars.concat())
        })
        .collect()
}

fn range(texts: &[SteeredText]) -> (f32, f32) {
    let scores = texts.iter().flat_map(|text| &text.scores);
    scores.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &score| {
        (low.min(score), high.max(score))
    })
}

/// Scores over each response, as it was written and read without the push, and the plain text under each push.
fn summary(texts: &[SteeredText]) -> Vec<Line> {
    let measured = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
    let mut rows = vec![[
        "scale".to_owned(),
        "mean score".to_owned(),
        "read without it".to_owned(),
        "plain text: score".to_owned(),
        "log-probability".to_owned(),
        "per token".to_owned(),
    ]];
    for text in texts {
        let plain = &text.on_unsteered;
        #[allow(clippy::cast_precision_loss, reason = "tokens of one text")]
        let each = plain
            .log_probability
            .map(|sum| sum / plain.tokens.max(1) as f64);
        rows.push([
            if text.scale == 0.0 {
                "plain".to_owned()
            } else {
                signed(text.scale)
            },
            measured(text.mean_score),
            measured(text.mean_score_unsteered),
            measured(plain.mean_score),
            measured(plain.log_probability),
            measured(each),
        ]);
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| {
            rows.iter()
                .map(|row| row[column].width())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |(at, row): (usize, &[String; 6])| {
        let tone = if at == 0 { Tone::Quiet } else { Tone::Plain };
        let cells = row.iter().zip(&widths);
        cells.fold(Line::new(), |line, (cell, width)| {
            let gap = " ".repeat(width.saturating_sub(cell.width()));
            line.with(tone, format!("{gap}{cell}   "))
        })
    };
    rows.iter().enumerate().map(line).collect()
}

fn signed(scale: f32) -> String {
    format!("{scale:+}")
}

fn number(value: f64) -> String {
    format!("{value:.3}")
}
