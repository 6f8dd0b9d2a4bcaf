//! Three-valued logic (Kleene): what is not known stays not known unless the rest decides.

use std::ops::Not;

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Truth {
    /// The whole interval is on the wrong side.
    No,
    /// The interval holds the bar, or the evidence is missing.
    Unknown,
    /// The whole interval is on the right side.
    Yes,
}

impl Truth {
    /// Every truth value, for exhaustive tables.
    pub const ALL: [Self; 3] = [Self::No, Self::Unknown, Self::Yes];

    /// `yes`, `no` or `unknown`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Unknown => "unknown",
            Self::Yes => "yes",
        }
    }

    /// Kleene's conjunction; `Yes` of nothing.
    #[must_use]
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().min().unwrap_or(Self::Yes)
    }

    /// Kleene's disjunction; `No` of nothing.
    #[must_use]
    pub fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().max().unwrap_or(Self::No)
    }
}

impl Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Truth::{self, No, Unknown, Yes};

    #[test]
    fn kleene_s_tables() {
        for (a, b, all, any) in [
            (No, No, No, No),
            (No, Unknown, No, Unknown),
            (No, Yes, No, Yes),
            (Unknown, Unknown, Unknown, Unknown),
            (Unknown, Yes, Unknown, Yes),
            (Yes, Yes, Yes, Yes),
        ] {
            for (a, b) in [(a, b), (b, a)] {
                assert_eq!(Truth::all([a, b]), all, "{a:?} and {b:?}");
                assert_eq!(Truth::any([a, b]), any, "{a:?} or {b:?}");
                assert_eq!(!Truth::all([a, b]), Truth::any([!a, !b]), "De Morgan");
            }
        }
    }
}
