//! One model of findings, and a file of code for each format that shows it.
//!
//! [`AuditReport`] is plain data that the orchestrator fills; every writer reads it, so that the formats, the
//! terminal and the exit code cannot disagree.

mod account;
mod exhibit;
mod exit;
mod finding;
mod fingerprint;
pub mod html;
pub mod json;
mod judged;
mod output;
mod parquet;
mod record;
mod table;
mod why;
mod words;

pub use account::{accounts, samples};
pub use exhibit::{
    Aim, AnswerPair, ContrastExhibit, EffectExhibit, ExhibitContext, Exhibits, MapExample,
    MapExhibit, PositionClass, Share, TokenStrip, exhibits,
};
pub use exit::{Exit, gating_severity};
pub use finding::{AuditReport, Bar, BlockLine, Finding, FindingOf, ModelAudit, Side, SignalLine};
pub use output::{FORMATS, Format, ModelEvidence, Output, Source, write_all};
pub use record::{
    Account, ArchitectureSummary, DetectorRecord, FileDigest, RuleDoc, RuntimeRecord, Sample,
    SuiteRecord,
};
pub use table::{Surface, verdict_table};
pub use why::{Figure, Why};
pub use words::counted;
