//! One model of findings, and a file of code for each format that shows it.
//!
//! [`AuditReport`] is plain data that the orchestrator fills; every writer reads it, so that the formats, the
//! terminal and the exit code cannot disagree.

mod account;
mod annotations;
mod assurance;
mod baseline;
mod certificate;
mod compare;
mod csv;
pub mod cyclonedx;
mod exhibit;
mod exit;
mod finding;
mod fingerprint;
mod gate;
pub mod html;
mod incomplete;
pub mod intoto;
mod items;
pub mod json;
mod judged;
mod junit;
mod listing;
mod markdown;
pub mod oscal;
mod output;
mod parquet;
mod record;
mod repeat;
mod sarif;
mod table;
mod waiver;
mod why;
mod words;

pub use account::{accounts, drawn, samples};
pub use baseline::{BaselineModel, BaselineRecord, Change, Comparison, Fixed, Shows};
pub use certificate::{CertificateDoc, CertifiedDetectorDoc, CertifiedRuleDoc, MissedFamilyDoc};
pub use compare::{Approved, DEFAULT_MARGIN, Terms};
pub use exhibit::{
    Aim, AnswerPair, ContrastExhibit, DosePoint, EffectExhibit, ExhibitContext, Exhibits,
    MapExample, MapExhibit, PositionClass, Share, TokenStrip, exhibits, shown,
};
pub use exit::{Exit, Standing, gates, gating_severity};
pub use finding::{
    AuditReport, Bar, BlockLine, Finding, FindingOf, ModelAudit, Range, Side, SignalLine,
};
pub use gate::{Family, Noise, Power, Repeat};
pub use incomplete::{failed, refused};
pub use items::{ItemLine, Items, MOST_ITEMS, items, listed};
pub use judged::{label, side};
pub use output::{EVIDENCE, FORMATS, Format, Mode, Output, Source, write_all};
pub use record::{
    Account, ArchitectureSummary, ContrastRecord, ControlDoc, DetectorRecord, FileDigest,
    HostRecord, RuleDoc, RuntimeRecord, Sample, Setting, SuiteRecord,
};
pub use repeat::repeat;
pub use table::{Surface, verdict_table};
pub use waiver::{WaiverRecord, WaiverState};
pub use why::{Figure, Why};
pub use words::counted;
