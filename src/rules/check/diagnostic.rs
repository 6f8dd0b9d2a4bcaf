//! What is wrong in a rule file, where, and what to do about it.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as given or as found in a given folder.
    pub file: PathBuf,
    /// 1-based line.
    pub line: usize,
    /// 1-based column, in characters.
    pub column: usize,
    /// Whether the pack can be used all the same.
    pub severity: Level,
    /// Stable name of the kind of problem.
    pub code: Code,
    /// What was found and what was expected.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line of the file, for an excerpt; empty if there is none.
    pub excerpt: String,
    /// Characters to underline from `column` on.
    pub width: usize,
}

/// Whether a pack with this diagnostic can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// It cannot.
    Error,
    /// It can, but probably does not say what was meant.
    Warning,
}

/// Kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// The file or folder cannot be read, or holds no rules.
    Unreadable,
    /// Not YAML, or YAML that a rule file does not use (anchors, tags, several documents).
    Yaml,
    /// A key that is not known here.
    UnknownKey,
    /// A key that occurs twice.
    DuplicateKey,
    /// A key that is needed here.
    MissingKey,
    /// Such as text where a number belongs.
    WrongType,
    /// A word that is not among the known ones.
    UnknownWord,
    /// An empty text, list or mapping.
    Empty,
    /// A name or id that is not spelled as it should be.
    BadName,
    /// An id that another rule or control of the pack has.
    DuplicateId,
    /// A waiver of what another one waives.
    DuplicateWaiver,
    /// A day that is not in the calendar.
    BadDay,
    /// A kind of signal that does not exist.
    UnknownSignalKind,
    /// A condition over a signal that the rule does not define.
    UnknownSignal,
    /// A signal that no condition uses.
    UnusedSignal,
    /// A number outside of what it can be.
    OutOfRange,
    /// A signal in a block that is not for evidence of its sort.
    WrongBlock,
    /// A rule that concludes nothing.
    NothingToJudge,
    /// A causal signal whose intervention the rule does not demand.
    MissingEvidence,
    /// An intervention that no signal reads.
    UnusedEvidence,
    /// A signal that reads a suite or detector that the rule does not say it needs.
    MissingNeed,
    /// A need that nothing in the rule reads.
    UnusedNeed,
    /// A bar that no result can reach with the evidence demanded.
    Unattainable,
    /// A control that no mapping knows.
    UnknownControl,
    /// A certificate of a rule that is not there.
    UnknownRule,
}

impl Code {
    /// As it is printed, such as `unknown-signal`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Yaml => "yaml",
            Self::UnknownKey => "unknown-key",
            Self::DuplicateKey => "duplicate-key",
            Self::MissingKey => "missing-key",
            Self::WrongType => "wrong-type",
            Self::UnknownWord => "unknown-word",
            Self::Empty => "empty",
            Self::BadName => "bad-name",
            Self::DuplicateId => "duplicate-id",
            Self::DuplicateWaiver => "duplicate-waiver",
            Self::BadDay => "bad-day",
            Self::UnknownSignalKind => "unknown-signal-kind",
            Self::UnknownSignal => "unknown-signal",
            Self::UnusedSignal => "unused-signal",
            Self::OutOfRange => "out-of-range",
            Self::WrongBlock => "wrong-block",
            Self::NothingToJudge => "nothing-to-judge",
            Self::MissingEvidence => "missing-evidence",
            Self::UnusedEvidence => "unused-evidence",
            Self::MissingNeed => "missing-need",
            Self::UnusedNeed => "unused-need",
            Self::Unattainable => "unattainable",
            Self::UnknownControl => "unknown-control",
            Self::UnknownRule => "unknown-rule",
        }
    }

    /// Whether a pack with this problem can be used.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::UnusedSignal
            | Self::UnusedEvidence
            | Self::UnusedNeed
            | Self::UnknownControl
            | Self::UnknownRule => Level::Warning,
            _ => Level::Error,
        }
    }
}

/// The problem, its place, the line with a caret under it, and the hint.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.severity {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        writeln!(f, "{level}[{}]: {}", self.code.name(), self.message)?;
        let margin = self.line.to_string().len();
        write!(
            f,
            "{:margin$}--> {}:{}:{}",
            "",
            self.file.display(),
            self.line,
            self.column
        )?;
        if !self.excerpt.is_empty() {
            let (excerpt, column) = window(&self.excerpt, self.column);
            let before: String = excerpt
                .chars()
                .take(column.saturating_sub(1))
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            let rest = excerpt.chars().count().saturating_sub(column - 1);
            let carets = "^".repeat(self.width.clamp(1, rest.max(1)));
            write!(
                f,
                "\n{:margin$} |\n{} | {excerpt}\n{:margin$} | {before}{carets}",
                "", self.line, ""
            )?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n{:margin$} = hint: {hint}", "")?;
        }
        Ok(())
    }
}

/// Characters of a line that are shown, and how many of them stand before the place.
const WINDOW: (usize, usize) = (160, 80);

/// What a person can read of a line, and the column within that.
fn window(line: &str, column: usize) -> (String, usize) {
    let (most, before) = WINDOW;
    let characters = line.chars().count();
    if characters <= most {
        return (line.to_owned(), column.max(1));
    }
    let start = column.saturating_sub(1 + before).min(characters - most);
    let shown: String = line.chars().skip(start).take(most).collect();
    let lead = if start > 0 { "…" } else { "" };
    let trail = if start + most < characters { "…" } else { "" };
    let column = column.max(1) - start + lead.chars().count();
    (format!("{lead}{shown}{trail}"), column)
}

/// Diagnostics that are shown in full: a file that is wrong throughout is wrong in the same way.
const MOST: usize = 50;

/// The first diagnostics as text, with a line that counts all; empty if there are none.
#[must_use]
pub fn render(diagnostics: &[Diagnostic]) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let count = |level: Level, word: &str| {
        let n = diagnostics
            .iter()
            .filter(|one| one.severity == level)
            .count();
        format!("{n} {word}{}", if n == 1 { "" } else { "s" })
    };
    let shown = diagnostics.iter().take(MOST);
    let mut parts: Vec<String> = shown.map(ToString::to_string).collect();
    if let Some(more) = diagnostics.len().checked_sub(MOST).filter(|more| *more > 0) {
        parts.push(format!("… and {more} more"));
    }
    parts.push(format!(
        "{}, {}\n",
        count(Level::Error, "error"),
        count(Level::Warning, "warning")
    ));
    parts.join("\n\n")
}
