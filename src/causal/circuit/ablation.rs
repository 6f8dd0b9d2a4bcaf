//! What an edge that is taken out carries instead.

use std::fmt;
use std::str::FromStr;

use crate::fault::Fault;

/// What stands in for a node's part on an edge outside the circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ablation {
    /// Nothing.
    Zero,
    /// The mean of what the node writes at that position, over the clean and corrupt prompts of equal length.
    Mean,
    /// What the node writes on the pair's corrupt prompt (resample ablation with a chosen sample).
    Corrupt,
}

impl Ablation {
    /// All kinds, as they are named on the command line.
    pub const ALL: [Self; 3] = [Self::Zero, Self::Mean, Self::Corrupt];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::Mean => "mean",
            Self::Corrupt => "corrupt",
        }
    }
}

impl fmt::Display for Ablation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Ablation {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| {
            Fault::usage("reading the ablation", format!("`{text}`"))
                .expected(format!("one of {}", Self::ALL.map(Self::name).join(", ")))
        })
    }
}
