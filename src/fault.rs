//! The one error type: every message says what was being done, what was found, what was expected and what to do.
//!
//! A single struct instead of an enum for each room, because the four parts are what a person needs and a constructor
//! that asks for them keeps every message complete. The [`Kind`] decides the exit code, in one place (`cli`).

use std::fmt;

/// Result of every fallible function of the library.
pub type Result<T> = std::result::Result<T, Fault>;

/// Who has to act, and so which exit code it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A wrong argument, file or configuration: exit code 2.
    Usage,
    /// There was nothing to work on (an empty suite): exit code 3.
    NoInputs,
    /// The work itself failed (a run, a disk, a NaN in activations): exit code 1.
    Failed,
}

/// What went wrong, in four parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Who has to act.
    pub kind: Kind,
    /// What was being done, such as ``opening the model `m.onnx` ``.
    pub doing: String,
    /// What was found.
    pub found: String,
    /// What was expected instead; empty where `found` says it all.
    pub expected: String,
    /// What to do about it; empty where there is nothing to advise.
    pub hint: String,
}

impl Fault {
    /// A wrong argument, file or configuration (exit code 2).
    pub fn usage(doing: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Kind::Usage, doing, found)
    }

    /// Nothing to work on (exit code 3).
    pub fn no_inputs(doing: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Kind::NoInputs, doing, found)
    }

    /// The work itself failed (exit code 1).
    pub fn failed(doing: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Kind::Failed, doing, found)
    }

    fn new(kind: Kind, doing: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            kind,
            doing: doing.into(),
            found: found.into(),
            expected: String::new(),
            hint: String::new(),
        }
    }

    /// What was expected instead.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n     found: {}", self.doing, self.found)?;
        if !self.expected.is_empty() {
            write!(f, "\n  expected: {}", self.expected)?;
        }
        if !self.hint.is_empty() {
            write!(f, "\n      hint: {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
