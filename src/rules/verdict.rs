//! What a rule may conclude.

use std::fmt;
use std::str::FromStr;

use crate::fault::Fault;

/// The verdict of one rule, and by the worst of them the verdict of a model. Ordered from harmless to grave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// The bound, not the point estimate, is on the right side.
    Pass,
    /// The condition causally changes what the model says, without a falsehood or a lost capability. Shown, does not gate.
    ConditionalBenign,
    /// A representation alone, or behaviour without causal evidence: a person has to look.
    Review,
    /// What the rule needs (a detector, a suite) is not part of this audit.
    NotMeasurable,
    /// The sample cannot support the claim, a control failed, or a detector does not fit.
    Inconclusive,
    /// Behaviour visible from outside and causal evidence for it.
    Fail,
}

impl Verdict {
    /// Every verdict, from harmless to grave.
    pub const ALL: [Self; 6] = [
        Self::Pass,
        Self::ConditionalBenign,
        Self::Review,
        Self::NotMeasurable,
        Self::Inconclusive,
        Self::Fail,
    ];

    /// As it is written in reports, such as `conditional-benign`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::ConditionalBenign => "conditional-benign",
            Self::Review => "review",
            Self::NotMeasurable => "not-measurable",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The gravest verdict; `None` when nothing was judged, which is not a pass.
#[must_use]
pub fn worst(verdicts: &[Verdict]) -> Option<Verdict> {
    verdicts.iter().copied().max()
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Exit code 11 when gated.
    Low,
    /// 12.
    Medium,
    /// 13.
    High,
    /// 14.
    Critical,
}

impl Severity {
    /// Every severity, from low to critical.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// As it is written in rules and reports, such as `critical`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl FromStr for Severity {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.name() == text)
            .ok_or_else(|| {
                let names: Vec<&str> = Self::ALL.iter().map(|severity| severity.name()).collect();
                Fault::usage("reading a severity", format!("`{text}`"))
                    .expected(format!("one of {}", names.join(", ")))
            })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
