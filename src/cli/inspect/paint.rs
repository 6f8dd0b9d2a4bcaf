//! Lines of coloured text that know their width.

use std::io::IsTerminal as _;

use unicode_width::UnicodeWidthStr as _;

/// Columns where nothing tells the terminal's.
const COLUMNS: usize = 100;
/// A page needs so many, however narrow the terminal is.
const LEAST: usize = 60;
/// Wider lines are harder to read.
const MOST: usize = 120;

/// Where a page is shown.
#[derive(Debug, Clone, Copy)]
pub struct Surface {
    /// Columns.
    pub width: usize,
    /// Whether escape sequences of colour are understood and wanted.
    pub coloured: bool,
}

impl Surface {
    /// Standard output; `COLUMNS` and `NO_COLOR` are honoured.
    pub fn of_stdout() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let stated = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok());
        let own = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let width = stated
            .or_else(|| own().filter(|_| terminal))
            .unwrap_or(COLUMNS);
        Self {
            width: width.clamp(LEAST, MOST),
            coloured: terminal && std::env::var_os("NO_COLOR").is_none(),
        }
    }
}

/// What a piece of text is, and so its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Strong,
    Quiet,
    Rail,
    Norm,
    Attention,
    Mlp,
    Alarm,
}

impl Tone {
    /// Parameters of the escape sequence: the terminal's own colours, which suit its background.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Quiet => Some("2"),
            Self::Rail => Some("34"),
            Self::Norm => Some("32"),
            Self::Attention => Some("1;36"),
            Self::Mlp => Some("1;35"),
            Self::Alarm => Some("1;31"),
        }
    }
}

/// One line of pieces.
#[derive(Debug, Clone, Default)]
pub struct Line(Vec<(Tone, String)>);

impl Line {
    pub fn new() -> Self {
        Self::default()
    }

    /// The line with more text at its end. What a terminal would obey is replaced.
    pub fn with(mut self, tone: Tone, text: impl AsRef<str>) -> Self {
        let safe = |c: char| if c.is_control() { '?' } else { c };
        self.0
            .push((tone, text.as_ref().chars().map(safe).collect()));
        self
    }

    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.width()).sum()
    }

    /// Filled with `fill` up to a width.
    pub fn filled(self, tone: Tone, fill: &str, width: usize) -> Self {
        let missing = width.saturating_sub(self.width());
        if missing == 0 {
            self
        } else {
            self.with(tone, fill.repeat(missing))
        }
    }

    pub fn shown(&self, coloured: bool) -> String {
        let mut shown = String::new();
        for (tone, text) in &self.0 {
            match tone.code().filter(|_| coloured) {
                Some(code) => shown.extend(["\u{1b}[", code, "m", text, "\u{1b}[0m"]),
                None => shown.push_str(text),
            }
        }
        shown.trim_end().to_owned()
    }
}

/// Joins pieces with middle dots, and breaks between them where a line would be wider than `width`; a piece that is wider by
/// itself is broken at its blanks.
pub fn flow(pieces: &[String], width: usize) -> Vec<String> {
    const DOT: &str = " · ";
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces {
        let joined = lines.last().map(|last| [last, DOT, piece].concat());
        match joined.filter(|joined| joined.width() <= width) {
            Some(joined) => {
                lines.pop();
                lines.push(joined);
            }
            None => lines.extend(wrapped(piece, width)),
        }
    }
    lines
}

/// Breaks text at blanks, and words that are too wide anywhere.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word = word.to_owned();
        while let Some(last) = lines.last_mut() {
            let gap = usize::from(!last.is_empty());
            if last.width() + gap + word.width() <= width {
                if gap == 1 {
                    last.push(' ');
                }
                last.push_str(&word);
                break;
            }
            if gap == 1 {
                lines.push(String::new());
                continue;
            }
            let rest = word.split_off(cut(&word, width.max(1)));
            last.push_str(&word);
            lines.push(String::new());
            word = rest;
        }
    }
    lines
}

/// The byte at which so many columns end; at least one character is kept.
fn cut(text: &str, width: usize) -> usize {
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let next = at + c.len_utf8();
        if text.get(..next).is_some_and(|kept| kept.width() > width) && end > 0 {
            break;
        }
        end = next;
    }
    end
}

/// Text with its middle left out where it is too wide: names differ at both ends.
pub fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let head = kept / 2;
    let front: String = text.chars().take(head).collect();
    let all = text.chars().count();
    let back: String = text.chars().skip(all.saturating_sub(kept - head)).collect();
    format!("{front}…{back}")
}
