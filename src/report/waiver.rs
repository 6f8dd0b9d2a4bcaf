//! Waivers as a report carries them: who accepts which finding, why and until when.

/// One waiver of a waiver file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaiverRecord {
    /// The rule that it waives.
    pub rule: String,
    /// The model that it is limited to.
    pub model: Option<String>,
    /// The suite that it is limited to.
    pub suite: Option<String>,
    /// Why the finding is accepted.
    pub reason: String,
    /// Who accepts it.
    pub owner: String,
    /// The last day on which it holds (UTC, `YYYY-MM-DD`).
    pub expires: String,
    /// What became of it.
    pub state: WaiverState,
    /// The waiver's file.
    pub file: String,
    /// Its line in `file`, from 1.
    pub line: usize,
}

/// What became of a waiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaiverState {
    /// It waives a finding.
    Applied,
    /// No finding matches it: a warning.
    Unused,
    /// Its day is over: the finding is live.
    Expired,
}
