//! What a rule may conclude.

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
