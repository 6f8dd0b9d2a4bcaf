//! One model of findings, and a file of code for each format that shows it.
//!
//! [`AuditReport`] is plain data that the orchestrator fills; every writer reads it, so that the formats, the
//! terminal and the exit code cannot disagree.

mod exhibit;
mod finding;
mod fingerprint;
mod record;

pub use exhibit::{
    AnswerPair, EffectExhibit, Exhibits, MapExample, MapExhibit, PositionClass, TokenStrip,
};
pub use finding::{AuditReport, Bar, BlockLine, Finding, FindingOf, ModelAudit, Side, SignalLine};
pub use record::{
    Account, ArchitectureSummary, DetectorRecord, FileDigest, RuleDoc, RuntimeRecord, Sample,
    SuiteRecord,
};
