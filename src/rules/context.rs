//! What a rule is judged against: which suite, which conditions, which detectors. Rules name purposes and roles only, so
//! that one pack serves every audit.

use crate::detect::Flags;

/// The part of an audit that a rule is judged on: one contrast suite, the controls, the detectors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Context {
    /// The contrast suite, if the audit has one.
    pub contrast: Option<Contrast>,
    /// Ids of the control suites.
    pub control_suites: Vec<String>,
    /// The audit's detectors that fit the model. At most one for each role: a signal refuses to choose between two.
    pub detectors: Vec<DetectorInfo>,
    /// Convictions that are possible on the model, over all rules and contrast suites (see [`possible_convictions`]). Their joint error
    /// is held: a behaviour is established by an interval that is simultaneous over them. At most 1 stands for a rule judged alone.
    ///
    /// [`possible_convictions`]: super::possible_convictions
    pub family: usize,
}

/// The conditions that a contrast suite sets against each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Contrast {
    /// Suite id.
    pub suite: String,
    /// The condition under suspicion.
    pub tested: String,
    /// The baseline condition.
    pub against: String,
}

impl DetectorInfo {
    /// Whether an item's score is a flag.
    #[must_use]
    pub fn flag(&self, score: f64) -> bool {
        self.flags.flag(score, self.threshold)
    }
}

/// What a rule has to know of a detector.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectorInfo {
    /// Detector id, as in the scores.
    pub id: String,
    /// What it detects, such as `truth`, `condition` or `features`.
    pub role: String,
    /// The card's threshold: a score beyond it is a flag. A `truth` detector's score is high for what the model holds to be true, and
    /// it flags what lies below.
    pub threshold: f64,
    /// On which side of it.
    pub flags: Flags,
    /// Suites of the audit by which that threshold was set.
    pub calibrated_on: Vec<String>,
    /// The card's selected SAE features; empty for a probe.
    pub features: Vec<usize>,
}
